"""One look at everything: what the live view shows, and what tells that all has settled."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.sim.demo.markets import MarketState
from bridge.sim.demo.parts import Bridge, ConsumerState, VenueState
from bridge.sim.demo.scenario import NUMBERED, Scenario
from bridge.sim.demo.series import SeriesVerdict
from bridge.store.overview import Cursor
from bridge.store.streams import Stream


class Stage(StrEnum):
    """Where the demo is."""

    STARTING = "starting"
    TRAFFIC = "traffic"
    CALM = "calm"
    SETTLING = "settling"


@dataclass(frozen=True, slots=True)
class Look:
    """The parts at one moment; None where a part is not up yet. ``elapsed_s`` counts from the first event.

    ``markets`` are the venues without numbers by name, ``judged`` the latest verdicts on their streams. ``page`` is
    the address of the bridge's own page, for as long as the demo lasts.
    """

    scenario: Scenario
    stage: Stage
    elapsed_s: float
    consumer_away: bool = False
    venue: VenueState | None = None
    bridge: Bridge | None = None
    consumer: ConsumerState | None = None
    markets: Mapping[str, MarketState] = field(default_factory=dict)
    judged: Mapping[str, SeriesVerdict] = field(default_factory=dict)
    page: str | None = None

    def stream(self, name: str) -> Stream | None:
        """What the bridge says of a stream."""
        streams = self.bridge.overview.streams if self.bridge is not None else ()
        return next((stream for stream in streams if stream.name == name), None)

    def cursor(self, name: str) -> Cursor | None:
        """How far the consumer has acknowledged a stream."""
        cursors = self.bridge.overview.cursors if self.bridge is not None else ()
        return next((cursor for cursor in cursors if cursor.stream == name), None)

    def heard(self, stream: str, transport: str) -> tuple[int, int]:
        """How often a transport told of an event of the stream, and how often it was the first to."""
        known = self.stream(stream)
        if self.bridge is None or known is None:
            return 0, 0
        told = self.bridge.overview.heard.get((known.id, transport))
        return (0, 0) if told is None else (told.events, told.first)

    def gaps(self, state: str) -> int:
        """How many gaps of the numbered stream are in ``state``."""
        return self.bridge.counts.get(state, 0) if self.bridge is not None else 0

    def unsettled(self) -> str | None:
        """What is still to come once the venues are quiet; None when nothing is."""
        if self.bridge is None or self.consumer is None:
            return "the parts to answer"
        waits = self._unproven() if self.scenario.numbered else None
        return waits or self._open_in_time() or self._undelivered() or self._unjudged()

    def _unproven(self) -> str | None:
        stream = self.stream(NUMBERED)
        if self.venue is None or stream is None:
            return "the parts to answer"
        if stream.frontier is None or stream.frontier <= (self.venue.head or 0):
            return f"the proof up to {self.venue.head}, from {stream.frontier}"
        return f"{self.gaps('open')} open gaps" if self.gaps("open") else None

    def _open_in_time(self) -> str | None:
        gaps = () if self.bridge is None else self.bridge.in_time
        waiting = Counter(gap.stream for gap in gaps if gap.state == "open")
        return f"{waiting.total()} open gaps of {', '.join(sorted(waiting)[:3])}" if waiting else None

    def _undelivered(self) -> str | None:
        assert self.bridge is not None
        assert self.consumer is not None
        for each in self.bridge.overview.streams:
            cursor, received = self.cursor(each.name), self.consumer.of(each.name).last
            acknowledged = 0 if cursor is None else cursor.position
            if min(acknowledged, received) < each.position:
                return f"the delivery of {each.name}: {min(acknowledged, received)} of {each.position}"
        return None

    def _unjudged(self) -> str | None:
        """Streams that do not hold everything yet, as was looked at a moment ago."""
        names = [one.stream(channel) for one in self.scenario.followed for channel in one.channels]
        waiting = [name for name in names if name not in self.judged or not self.judged[name].good]
        return f"all of {', '.join(waiting[:3])}" if waiting else None
