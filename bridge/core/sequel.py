"""A stream whose events follow each other within a connection: a book's snapshot, and the changes after it.

Each change names, or implies, the number it follows. Where one is missing, the changes wait until the missing ones
were pulled, or until a snapshot superseded them. Knows no clock and no connection.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from bridge.core.channel import Link, Model, Told
from bridge.core.event import Transport


class Follows(NamedTuple):
    """An event whose turn it is."""

    told: Told
    transport: Transport


class Skipped(NamedTuple):
    """Numbers strictly between ``after`` and ``before`` that are not told one by one; None where there are none."""

    after: int | None
    before: int | None
    reason: str


SequelStep = Follows | Skipped


class Want(Enum):
    """What the stream needs before it can go on."""

    NOTHING = auto()
    PULL = auto()
    SNAPSHOT = auto()


@dataclass(slots=True)
class Sequel:
    """One stream, across its connections. ``last`` is the number of the newest event told, None where unknown.

    ``comparable`` says whether numbers mean the same on the next connection. ``lenient`` takes a contiguous
    channel's jump for normal, as the venue's word of a mere update id allows. ``lives`` counts how often what was
    heard had to be let go: a snapshot that was asked for in an earlier life lacks what happened until then.
    """

    model: Model
    pulls: bool
    comparable: bool
    waiting_max: int = 5_000
    lenient: bool = False
    last: int | None = None
    begun: bool = False
    _broken: bool = True
    _pull_failed: bool = False
    _waiting: deque[tuple[Told, Transport]] = field(default_factory=deque)
    dropped: int = 0
    lives: int = 0

    @property
    def broken(self) -> bool:
        """Whether something is missing before what comes next can be told."""
        return self._broken

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def disconnected(self) -> None:
        """The connection is gone, and with it whatever it would have said."""
        self._broken = True
        self._pull_failed = False
        self._waiting.clear()
        self.lives += 1

    def want(self) -> Want:
        """What is needed now. A pull is worth asking for only once the far end of the hole is known."""
        if not self._broken:
            return Want.NOTHING
        if self.pulls and self.comparable and self.last is not None and not self._pull_failed:
            return Want.PULL if self._waiting else Want.NOTHING
        return Want.SNAPSHOT

    def hole(self) -> tuple[int, int] | None:
        """The numbers to pull, both inclusive; None where no far end is known."""
        if self.last is None or not self._waiting:
            return None
        link = _link(self._waiting[0][0])
        assert link.number is not None
        end = link.previous if link.previous is not None else link.number - 1
        return (self.last + 1, end) if end > self.last else None

    def hear(self, told: Told, transport: Transport) -> list[SequelStep]:
        """What may be told now that ``told`` was heard."""
        link = _link(told)
        if link.snapshot:
            return self._supersede(told, link, transport)
        if self._broken:
            self._keep(told, transport)
            return self._close() if self.pulls and self.last is not None else []
        return self._next(told, link, transport)

    def pulled(self, rows: tuple[Told, ...]) -> list[SequelStep]:
        """What may be told now that the venue was asked for the hole; without a row, only a snapshot can help."""
        steps: list[SequelStep] = []
        for told in rows:
            link = _link(told)
            if self.last is not None and link.number is not None and link.number > self.last:
                if not self._follows(link, exactly=True):
                    break
                steps.append(Follows(told, Transport.REPLAY))
                self.last = link.number
        closed = self._close()
        # What came of it may be a part. Where nothing waits, the connection ended meanwhile: the next one asks anew.
        self._pull_failed = self._broken and bool(self._waiting) and not steps
        return steps + closed

    def _next(self, told: Told, link: Link, transport: Transport) -> list[SequelStep]:
        if link.number is None:
            return [Follows(told, transport)]
        if self.last is not None and link.number <= self.last:
            return []
        if not self._follows(link):
            self._broken = True
            self._pull_failed = False
            self._keep(told, transport)
            return []
        self.last = link.number
        return [Follows(told, transport)]

    def _follows(self, link: Link, *, exactly: bool = False) -> bool:
        """Whether nothing is missing between the newest event and this one. A change may begin below a snapshot."""
        assert link.number is not None
        if self.last is None:
            return False
        if link.previous is None:
            return link.number == self.last + 1 or (self.lenient and link.number > self.last)
        return link.previous == self.last or (not exactly and link.previous < self.last < link.number)

    def _supersede(self, told: Told, link: Link, transport: Transport) -> list[SequelStep]:
        """A snapshot stands for everything before it: what was missed is told as superseded, in one word."""
        steps: list[SequelStep] = []
        if self.begun and self._broken and not self._seamless(link):
            steps.append(Skipped(self.last, link.number, "superseded"))
        self.begun = True
        self.last = link.number
        self._broken = False
        self._pull_failed = False
        steps.append(Follows(told, transport))
        waiting, self._waiting = self._waiting, deque()
        for kept, heard_by in waiting:
            if _link(kept).number is None and transport is heard_by:
                continue  # said before the snapshot on the same way, it is a part of it
            if self._broken:
                self._keep(kept, heard_by)
            else:
                steps += self._next(kept, _link(kept), heard_by)
        return steps

    def _seamless(self, link: Link) -> bool:
        """Whether the snapshot stands exactly where the stream did: nothing was missed."""
        return self.comparable and link.number is not None and link.number == self.last

    def _close(self) -> list[SequelStep]:
        """Tell what waits, if nothing is missing before it any more."""
        if not self._waiting:
            return []
        while self._waiting and self.last is not None:
            number = _link(self._waiting[0][0]).number
            if number is not None and number > self.last:
                break
            self._waiting.popleft()
        if self._waiting and not self._follows(_link(self._waiting[0][0])):
            return []
        self._broken = False
        steps: list[SequelStep] = []
        waiting, self._waiting = self._waiting, deque()
        for told, transport in waiting:
            if self._broken:
                self._keep(told, transport)
            else:
                steps += self._next(told, _link(told), transport)
        return steps

    def _keep(self, told: Told, transport: Transport) -> None:
        """Let it wait; where too much does, only a snapshot can help, and all of it is let go."""
        number = _link(told).number
        if not self.begun and not self.pulls and number is not None:
            return  # a change before the first snapshot changes nothing that anybody knows
        if len(self._waiting) >= self.waiting_max:
            self.dropped += len(self._waiting)
            self._waiting.clear()
            self._pull_failed = True
            self.lives += number is None  # a number would show what a snapshot lacks
        self._waiting.append((told, transport))


def _link(told: Told) -> Link:
    assert told.link is not None, f"{told.series} is ordered by its connection, and its event has no link"
    return told.link
