"""A stream without numbers: coverage over the venue's time, and events that settle behind its frontier.

What is heard waits until the time around it is proven complete, and settles in the order of (venue time, natural
id). Knows no clock: every time is the venue's, told by the caller, in microseconds since 1970.
"""

import heapq
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from bridge.core.channel import Told
from bridge.core.coverage import Coverage
from bridge.core.event import Kind, Transport
from bridge.core.span import Span

_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(time: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (time - _ORIGIN) // _MICROSECOND


def moment(at_us: int) -> datetime:
    """The aware UTC time of ``micros``."""
    return _ORIGIN + timedelta(microseconds=at_us)


class Heard(NamedTuple):
    """An event whose turn it is. ``kind`` is EVENT in its turn, LATE or RECOVERED behind it."""

    kind: Kind
    told: Told
    transport: Transport


class Missing(NamedTuple):
    """A stretch of time in which events may be missing for good."""

    span: Span
    reason: str
    evidence: dict[str, object]


Step = Heard | Missing


class _Waiting(NamedTuple):
    at_us: int
    event_id: str
    told: Told
    transport: Transport


@dataclass(slots=True)
class Timeline:
    """What is heard of one stream and not told yet. ``frontier_us`` only grows; nothing below it can still change.

    ``events_max`` bounds what waits, ``remembered_max`` the ids that are kept to know a repetition by.
    """

    frontier_us: int
    events_max: int = 20_000
    remembered_max: int = 20_000
    _covered: Coverage = field(default_factory=Coverage)
    _missing: list[Missing] = field(default_factory=list)
    _waiting: list[_Waiting] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=dict)
    _settled: deque[str] = field(default_factory=deque)
    _behind: list[Step] = field(default_factory=list)
    _lost: deque[Span] = field(default_factory=lambda: deque(maxlen=1_000))
    _forgotten_us: int = 0
    _last: tuple[int, str] = (0, "")

    @property
    def waiting(self) -> int:
        """How many events wait: for their proof, or, too late for one, to be told."""
        return len(self._waiting) + len(self._behind)

    @property
    def full(self) -> bool:
        return self.waiting >= self.events_max

    @property
    def remembers_from_us(self) -> int:
        """From this time on, every event that was told is known again when it is repeated."""
        return self._forgotten_us

    @property
    def oldest_us(self) -> int | None:
        """The time of the oldest event that waits."""
        return self._waiting[0].at_us if self._waiting else None

    @property
    def reached_us(self) -> int:
        """The end of what is decided without a hole: proven, or given up."""
        decided = self._covered | Coverage.of(missing.span for missing in self._missing)
        return decided.frontier(self.frontier_us)

    def covered_from_us(self, after_us: int) -> int | None:
        """Where the next proven stretch behind ``after_us`` begins, None where there is none."""
        return next((span.start for span in self._covered.spans if span.start > after_us), None)

    def forget_before(self, at_us: int) -> None:
        """What is older is not to be told, however late it is heard."""
        self._forgotten_us = max(self._forgotten_us, at_us)

    def remember(self, told: Iterable[tuple[str, int]], *, all_of_it: bool) -> None:
        """These ids were told before, oldest first, each with its time. ``all_of_it``: there were no others."""
        for event_id, at_us in told:
            self._know(event_id, at_us)
            self._settled.append(event_id)
            self._last = max(self._last, (at_us, event_id))
        if not all_of_it and self._settled:
            self._forgotten_us = max(self._forgotten_us, self._known[self._settled[0]] + 1)

    def was_lost(self, spans: Iterable[Span]) -> None:
        """These stretches were told as missing before."""
        self._lost.extend(spans)

    def hear(self, told: Told, transport: Transport, *, at_us: int) -> bool:
        """Take in one event, whose time is ``at_us``; False if it was known, or is too old to tell.

        Raises OverflowError where there is no room: the caller owes the stream a gap.
        """
        event_id = told.event.event_id
        if event_id in self._known or at_us < self._forgotten_us:
            return False
        if self.full:
            raise OverflowError
        if at_us < self.frontier_us or (at_us, event_id) < self._last:
            kind = Kind.RECOVERED if any(at_us in span for span in self._lost) else Kind.LATE
            self._behind.append(Heard(kind, told, transport))
            self._know(event_id, at_us)
            self._settled.append(event_id)
            self._forget()
            return True
        self._know(event_id, at_us)
        heapq.heappush(self._waiting, _Waiting(at_us, event_id, told, transport))
        return True

    def cover(self, start_us: int, stop_us: int) -> None:
        """Everything that happened in this stretch has been heard."""
        start_us = max(start_us, self.frontier_us)
        if start_us < stop_us:
            self._covered |= Coverage((Span(start_us, stop_us),))

    def give_up(self, start_us: int, stop_us: int, *, reason: str, evidence: dict[str, object]) -> None:
        """What is not covered of this stretch cannot be had: it is told as missing, in its place."""
        start_us = max(start_us, self.frontier_us)
        if start_us < stop_us:
            holes = self._covered.missing(Span(start_us, stop_us))
            self._missing += [Missing(hole, reason, evidence) for hole in holes]
            self._missing.sort(key=lambda missing: missing.span.start)

    def retreat(self) -> int:
        """Let go of the newer half of what waits; from when on all has to be heard anew."""
        if not self._waiting:
            return self.frontier_us
        self._waiting.sort()
        border_us = self._waiting[len(self._waiting) // 2].at_us
        kept = bisect_left(self._waiting, border_us, key=lambda waiting: waiting.at_us)
        for gone in self._waiting[kept:]:
            del self._known[gone.event_id]
        del self._waiting[kept:]
        before = Span(min(self.frontier_us, border_us) - 1, border_us)
        self._covered = self._covered.within(before)
        cut = ((missing, missing.span.intersect(before)) for missing in self._missing)
        self._missing = [missing._replace(span=span) for missing, span in cut if span is not None]
        return border_us

    def settle(self, limit: int) -> list[Step]:
        """What may be told now, in order, at most ``limit`` steps and at least what came too late."""
        steps, self._behind = self._behind, []
        while len(steps) < limit:
            reached_us = self._covered.frontier(self.frontier_us)
            if reached_us > self.frontier_us:
                if self._settle_until(reached_us, steps, limit):
                    self.frontier_us = reached_us
                continue
            if not self._missing or self._missing[0].span.start > self.frontier_us:
                break
            self._tell_missing(steps)
        if self._covered.spans and self._covered.spans[0].stop <= self.frontier_us:
            self._covered = Coverage(tuple(span for span in self._covered.spans if span.stop > self.frontier_us))
        return steps

    def _settle_until(self, until_us: int, steps: list[Step], limit: int) -> bool:
        """Tell what waits below ``until_us``; False if ``limit`` came first."""
        while self._waiting and self._waiting[0].at_us < until_us:
            if len(steps) >= limit:
                self.frontier_us = max(self.frontier_us, self._waiting[0].at_us)
                return False
            waiting = heapq.heappop(self._waiting)
            steps.append(Heard(Kind.EVENT, waiting.told, waiting.transport))
            self._settled.append(waiting.event_id)
            self._last = waiting.at_us, waiting.event_id
        self._forget()
        return True

    def _tell_missing(self, steps: list[Step]) -> None:
        missing = self._missing.pop(0)
        if missing.span.stop <= self.frontier_us:
            return
        hole, *others = self._covered.missing(Span(self.frontier_us, missing.span.stop))
        self._missing[:0] = [missing._replace(span=span) for span in others]
        steps.append(missing._replace(span=hole))
        self._lost.append(hole)
        self._covered |= Coverage((hole,))  # what was heard inside of it is told behind the gap's entry

    def _know(self, event_id: str, at_us: int) -> None:
        self._known[event_id] = at_us

    def _forget(self) -> None:
        while len(self._settled) > self.remembered_max:
            self._forgotten_us = max(self._forgotten_us, self._known.pop(self._settled.popleft()) + 1)
