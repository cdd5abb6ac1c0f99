"""What makes a market's venue go: each tick emits what is owed, tells it, and breaks lines."""

from bridge.clock import Clock
from bridge.sim.market.dialect import Dialect
from bridge.sim.market.facts import Fact
from bridge.sim.market.market import Market
from bridge.sim.market.sockets import Sockets
from bridge.sim.market.truth import Truth
from bridge.sim.market.weather import Weather
from bridge.sim.market.wire import Wire

TICK_S = 0.005
EMIT_PER_TICK_MAX = 5_000


class Engine:
    """``events_per_s`` counts happenings, each of which is one fact or several; it may be changed at any time."""

    def __init__(
        self,
        market: Market,
        *,
        dialect: Dialect,
        sockets: Sockets,
        truth: Truth,
        wire: Wire,
        weather: Weather,
        clock: Clock,
        events_per_s: float,
    ) -> None:
        self._market = market
        self._dialect = dialect
        self._sockets = sockets
        self._truth = truth
        self._wire = wire
        self._weather = weather
        self._clock = clock
        self.events_per_s = events_per_s
        self._owed = 0.0
        self._ticked_at_s = clock.monotonic()
        self._cuts = self._closes = 0
        self._down = False

    def tick(self) -> int:
        """One step; returns how many facts and frames it moved."""
        at_s = self._clock.monotonic()
        self._owed = min(EMIT_PER_TICK_MAX, self._owed + (at_s - self._ticked_at_s) * self.events_per_s)
        self._ticked_at_s = at_s
        happenings = int(self._owed)
        self._owed -= happenings
        facts = self.emit(happenings)
        self._break_lines()
        self._sockets.attend(self._clock.now())
        return facts

    def emit(self, happenings: int) -> int:
        """Let that many things happen and tell of them. Returns how many facts and frames there were."""
        now = self._clock.now()
        venue_time = self._weather.venue_time(now)
        facts: list[Fact] = self._market.emit(venue_time, happenings)
        pushes = self._dialect.render(facts, self._market.now)
        for push in pushes:
            self._truth.assign(push.series, push.items)
        leaving, swallowed = self._wire.carry(pushes, now, self._weather.faults)
        for items in swallowed:
            self._truth.swallow(items)
        self._sockets.push(leaving, now)
        return len(facts) + len(leaving)

    def _break_lines(self) -> None:
        now = self._clock.now()
        down, cuts, closes = self._weather.is_down(now), self._weather.cuts(now), self._weather.closes(now)
        if cuts > self._cuts or (down and not self._down):
            self._sockets.cut()
        if closes > self._closes:
            self._sockets.close(self._weather.faults.close_code)
        self._cuts, self._closes, self._down = cuts, closes, down

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            self.tick()
            await self._clock.sleep(TICK_S)
