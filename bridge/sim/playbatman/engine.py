"""What makes the venue go: each tick emits what is owed, offers webhooks, pushes frames, cuts lines."""

from bridge.clock import Clock
from bridge.sim.playbatman.row import Row
from bridge.sim.playbatman.socket import Sockets
from bridge.sim.playbatman.venue import Venue
from bridge.sim.playbatman.webhooks import Sender

TICK_S = 0.005
EMIT_PER_TICK_MAX = 5_000


class Engine:
    """``events_per_s`` counts events of ours and may be changed at any time."""

    def __init__(self, venue: Venue, *, clock: Clock, sockets: Sockets, sender: Sender, events_per_s: float) -> None:
        self._venue = venue
        self._clock = clock
        self._sockets = sockets
        self._sender = sender
        self.events_per_s = events_per_s
        self._owed = 0.0
        self._ticked_at_s = clock.monotonic()
        self._cuts = 0
        self._down = False

    def emit(self, count: int) -> list[Row]:
        return self._venue.emit(self._clock.now(), count)

    def tick(self) -> int:
        """One step; returns how many rows, webhooks and frames it moved."""
        at_s = self._clock.monotonic()
        self._owed = min(EMIT_PER_TICK_MAX, self._owed + (at_s - self._ticked_at_s) * self.events_per_s)
        self._ticked_at_s = at_s
        count = int(self._owed)
        self._owed -= count
        self.emit(count)
        self._break_lines()
        frames = self._venue.frames_of_markets_due(self._clock.now())
        self._sockets.push(frames)
        return count + self._sender.offer() + len(frames)

    def _break_lines(self) -> None:
        now = self._clock.now()
        down, cuts = self._venue.is_down(now), self._venue.cuts(now)
        if cuts > self._cuts or (down and not self._down):
            self._sockets.cut()
        self._cuts, self._down = cuts, down
        self._sockets.listen(now)

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            self.tick()
            await self._clock.sleep(TICK_S)
