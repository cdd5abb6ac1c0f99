"""One stream that is ordered by its connection: a book. What waits for a snapshot, and what may be told.

No I/O, no clock; all times are the venue's, in microseconds since 1970.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import islice

from bridge.core.channel import Channel, Told
from bridge.core.event import Kind, Transport
from bridge.core.sequel import Follows, Sequel, SequelStep, Want
from bridge.core.timeline import micros, moment
from bridge.follow import words
from bridge.follow.hole import Hole
from bridge.follow.limits import FollowLimits
from bridge.follow.pace import Pace
from bridge.ingest.followed import Chapter, GapTurn, Saying

OUTLIVED = "asked for before what is heard now"
"""What happened between an old answer and the first thing that is heard now is in neither."""


@dataclass(slots=True)
class ChainedStream:
    """What a follower knows of one stream. ``hears`` says whether a connection is subscribed to it."""

    name: str
    stream_id: int
    channel: Channel
    limits: FollowLimits
    sequel: Sequel
    position: int = 0
    gap_id: int | None = None
    hears: bool = False
    overflowed: bool = False
    settled_us: int | None = None
    _queue: deque[tuple[Saying, int | None]] = field(default_factory=deque)
    _last_number: int | None = None
    _hole: Hole | None = None
    _ended: list[GapTurn] = field(default_factory=list)
    _pace: Pace = field(default_factory=Pace)
    _heard: Counter[str] = field(default_factory=Counter)
    _dropped: int = 0
    _began_us: int | None = None

    def __post_init__(self) -> None:
        self._last_number = self.sequel.last

    def resume(self, hole: Hole | None) -> None:
        """Go on with the gap that was open when the last follower stopped."""
        self._hole = hole
        self.gap_id = None if hole is None else hole.gap_id

    # What is heard

    def subscribed(self) -> None:
        """A connection hears the channel from now on."""
        self.hears = True
        self.overflowed = False

    def unheard(self) -> None:
        """No connection hears the channel any more: whatever comes next has to be fitted to what was told."""
        self.hears = False
        self.sequel.disconnected()
        self._miss()

    def live(self, told: Told) -> None:
        """Take in what a connection says."""
        self._heard[Transport.WEBSOCKET.value] += 1
        if self.overflowed:
            self._dropped += 1
            return
        at_us = self._time_of(told)
        self._tell(self.sequel.hear(told, Transport.WEBSOCKET), at_us)

    def snapshot(self, told: Told, *, life: int) -> str | None:
        """Take in the state that was asked for in that life of the chain; why it is no help, None if it is."""
        self._heard[Transport.REPLAY.value] += 1
        self._asked()
        if life != self.sequel.lives:
            self.withhold(OUTLIVED)
            return OUTLIVED
        self._tell(self.sequel.hear(told, Transport.REPLAY), self._time_of(told))
        return None

    def pulled(self, rows: tuple[Told, ...]) -> None:
        """Take in the numbers that were asked for."""
        self._heard[Transport.REPLAY.value] += len(rows)
        self._asked()
        self._tell(self.sequel.pulled(rows), self.settled_us)

    def alive(self, until_us: int) -> None:
        """Everything that the venue had said before ``until_us`` was heard."""
        self._pace.shows(until_us)
        if self.hears and not self.sequel.broken:
            self._moves()
            # Stamps may be floored: what is told to be missing begins that much earlier.
            self.settled_us = max(self.settled_us or 0, until_us - int(self.channel.settle_s * 1_000_000))

    @property
    def has_room_again(self) -> bool:
        return self.overflowed and len(self._queue) * 2 < self.limits.events_waiting_max

    # What is missing

    def want(self) -> Want:
        """What the stream needs before it can go on; nothing as long as what a connection says is not taken in."""
        return self.sequel.want() if self.hears and not self.overflowed else Want.NOTHING

    @property
    def missing_us(self) -> tuple[int, int] | None:
        """From when to when something is known to be missing, both inclusive."""
        return None if self._hole is None else (self._hole.first_us, self._hole.last_us)

    def withhold(self, why: str) -> None:
        """The hole stays open, and this is why."""
        if self._hole is not None:
            self._hole.withheld = why

    def _asked(self) -> None:
        if self._hole is not None:
            self._hole.reads += 1

    def _miss(self) -> None:
        if self._hole is None and self.sequel.begun and self.settled_us is not None:
            self._hole = Hole(self.settled_us, self.settled_us, gap_id=self.gap_id)

    def _time_of(self, told: Told) -> int | None:
        at_us = None if told.event.occurred_at is None else micros(told.event.occurred_at)
        if at_us is not None:
            self._pace.shows(at_us)
            if self._hole is not None:
                self._hole.widen(at_us)
        return at_us

    def _moves(self) -> None:
        """What is settled is about to be more: how far it is behind by now."""
        if self.settled_us is not None:
            self._pace.moves(self.settled_us)

    # What is told

    @property
    def unfinished(self) -> bool:
        """Whether something of it is not in the log yet, and may be without more being heard."""
        return self._hole is not None or bool(self._queue)

    def chapter(self, limit: int) -> Chapter | None:
        """What may be written now, and is to be written before the next; None where there is nothing."""
        said = list(islice(self._queue, limit))
        for _ in said:
            self._queue.popleft()
        numbers = [number for _, number in said if number is not None]
        self._last_number = numbers[-1] if numbers else self._last_number
        gaps, self._ended = self._ended, []
        if self._hole is not None and self._hole.unsaid:
            gaps = [*gaps, self._hole.turn()]
        if not said and not gaps and not self._dropped:
            return None
        settled_us = self.settled_us if not self._queue else None
        chapter = Chapter(
            position=self.position,
            sayings=[saying for saying, _ in said],
            began_at=None if self._began_us is None else moment(self._began_us),
            settled_until=None if settled_us is None else moment(settled_us),
            last_number=self._last_number,
            heard=self._heard,
            dropped=self._dropped,
            gaps=gaps,
            lag_us=self._pace.take(),
            behind_us=None if self._hole is None else self._pace.behind_us(self._hole.first_us),
        )
        self._heard, self._dropped, self._began_us = Counter(), 0, None
        return chapter

    def written(self, position: int, gap_id: int | None) -> None:
        """The chapter is in the log, which ends at ``position``; ``gap_id`` is the gap that is open on record."""
        self.position = position
        self.gap_id = gap_id
        if self._hole is not None:
            self._hole.gap_id = gap_id

    def _tell(self, steps: list[SequelStep], at_us: int | None) -> None:
        for step in steps:
            if isinstance(step, Follows):
                number = step.told.link.number if step.told.link is not None else None
                self._queue.append((Saying(Kind.EVENT, step.told.event, step.transport), number))
                if step.transport is Transport.REPLAY and self._hole is not None:
                    self._hole.found[step.transport.value] += 1
            else:
                from_us = None if self._hole is None else self._hole.first_us
                self._queue.append((words.of_skipped(step, from_us, at_us), None))
                if self._hole is not None:
                    self._hole.lose(max(1, (at_us or 0) - self._hole.first_us), step.reason)
        if at_us is not None and steps:
            self._moves()
            self._began_us = at_us if self.settled_us is None else self._began_us
            self.settled_us = max(self.settled_us or 0, at_us)
        if self.sequel.broken:
            self._miss()
        elif self._hole is not None:
            self._ended.append(self._hole.end())
            self._hole = None
            self.gap_id = None
        if len(self._queue) > self.limits.events_waiting_max:
            self.overflowed = True  # what comes now is dropped, and superseded by a snapshot when there is room
            self.sequel.disconnected()
            self._miss()
