"""Which entry may go out beside which: the order of each key, and nothing beyond what the bridge itself tells.

Entries come in the order of the log. Those of one key form a lane, and of each lane only the first parcel is under
way. What the bridge tells - a loss, a new epoch - waits for everything before it, and everything after it waits.
"""

from collections import deque
from collections.abc import Collection, Iterable
from itertools import islice

from bridge.core.destination import DestinationPolicy
from bridge.core.event import LogEntry
from bridge.deliver.parcel import Parcel, size_of

_ALONE = "\0"
"""The lane of what the bridge tells: no venue's key is this."""


class Lane:
    """The entries of one key that wait, and how the first of them fares. ``until`` is monotonic."""

    __slots__ = ("failures", "flying", "until", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[LogEntry] = deque()
        self.flying = 0
        self.failures = 0
        self.until = 0.0


class Lanes:
    """The entries between the cursor and where the log was read to.

    ``done`` is the position up to which everything is dealt with, ``sent`` the last of it that was accepted,
    ``ahead`` the accepted positions above it. ``read_to`` is where the log was read to. ``held`` entries wait or are
    under way, ``flying`` counts the parcels that are.
    """

    def __init__(self, position: int, sent: int, ahead: Collection[int]) -> None:
        self.done = self.read_to = position
        self.sent = self._last_wanted = sent
        self.ahead = set(ahead)
        self.held = self.flying = 0
        self.bytes_held = 0
        self._previous: dict[int, int] = {}
        self._order: deque[int] = deque()
        self._accepted: dict[int, bool] = {}
        self._line: deque[LogEntry] = deque()
        self._lanes: dict[str, Lane] = {}
        self._ready: deque[str] = deque()
        self._resting: set[str] = set()

    def add(self, entries: Iterable[LogEntry], wanted: Iterable[bool]) -> None:
        """Take in what follows in the log, with whether each entry is wanted."""
        for entry, is_wanted in zip(entries, wanted, strict=True):
            self.read_to = entry.position
            if not is_wanted:
                continue
            self._previous[entry.position], self._last_wanted = self._last_wanted, entry.position
            self._order.append(entry.position)
            if entry.position in self.ahead:
                self._accepted[entry.position] = True
                continue
            self.held += 1
            self.bytes_held += len(entry.payload)
            self._line.append(entry)
        self._spread()
        self._move()

    def has_ready(self, monotonic: float) -> bool:
        """Whether a parcel may go out now."""
        for key in [key for key in self._resting if self._lanes[key].until <= monotonic]:
            self._resting.discard(key)
            self._ready.append(key)
        return bool(self._ready)

    def depart(self, policy: DestinationPolicy) -> tuple[str, Parcel, int]:
        """The next parcel that may go out, with its lane and how often it failed before. One must be ready."""
        key = self._ready.popleft()
        lane = self._lanes[key]
        lane.flying = min(len(lane.waiting), size_of(policy, lane.failures))
        entries = tuple(islice(lane.waiting, lane.flying))
        self.flying += 1
        return key, Parcel(entries, entries[-1].position), lane.failures

    def previous(self, parcel: Parcel) -> list[int]:
        """For each entry of the parcel the position that comes before it in what the destination is sent."""
        return [self._previous[entry.position] for entry in parcel.entries]

    def arrive(self, key: str, *, accepted: bool) -> None:
        """The parcel under way is dealt with: accepted, or laid aside."""
        lane = self._lanes[key]
        for _ in range(lane.flying):
            entry = lane.waiting.popleft()
            self._accepted[entry.position] = accepted
            self.held -= 1
            self.bytes_held -= len(entry.payload)
            if accepted:
                self.ahead.add(entry.position)
        lane.flying, lane.failures = 0, 0
        self.flying -= 1
        if lane.waiting:
            self._ready.append(key)
        else:
            del self._lanes[key]
        self._spread()
        self._move()

    def fail(self, key: str, *, until: float) -> None:
        """The parcel under way was not taken: its lane waits until ``until``."""
        lane = self._lanes[key]
        lane.flying, lane.failures, lane.until = 0, lane.failures + 1, until
        self.flying -= 1
        self._resting.add(key)

    def failures(self, key: str) -> int:
        """Failed attempts in a row of the lane's first parcel."""
        return self._lanes[key].failures

    @property
    def is_empty(self) -> bool:
        return not self._lanes and not self._line

    @property
    def is_moving(self) -> bool:
        """Whether something is under way, or may go out without a wait."""
        return self.flying > 0 or bool(self._ready)

    def next_wait(self) -> float | None:
        """When the first lane that rests may go on; None where none rests."""
        return min((self._lanes[key].until for key in self._resting), default=None)

    def _spread(self) -> None:
        """Hand out entries to their lanes, up to what must stand alone."""
        while self._line and _ALONE not in self._lanes:
            alone = self._line[0].sequence is None
            if alone and self._lanes:
                return
            entry = self._line.popleft()
            key = _ALONE if alone else entry.key
            lane = self._lanes.get(key)
            if lane is None:
                lane = self._lanes[key] = Lane()
                self._ready.append(key)
            lane.waiting.append(entry)

    def _move(self) -> None:
        """Let ``done`` follow over everything that is dealt with."""
        while self._order:
            position = self._order[0]
            accepted = self._accepted.pop(position, None)
            if accepted is None:
                self.done = position - 1
                return
            self._order.popleft()
            del self._previous[position]
            self.ahead.discard(position)
            if accepted:
                self.sent = position
        self.done = self.read_to
