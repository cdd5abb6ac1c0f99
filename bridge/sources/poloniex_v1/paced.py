"""A connection by the venue's rules: no more is said than it allows, and a ping without its pong is the end."""

from bridge.clock import Clock
from bridge.sources.poloniex_v1.quota import Quota
from bridge.sources.wire import Closed, Wire

PONG_BYTES_MAX = 256
OVERTAKEN_MAX = 4_096
"""How many frames may have been waiting before a pong that came in time."""


class PacedWire:
    """``wire``, with ``quota`` for what is sent on it.

    Other frames do not stand for a pong: a venue that swallowed a ping may have swallowed more.
    """

    def __init__(self, wire: Wire, quota: Quota, clock: Clock, *, pong_timeout_s: float) -> None:
        self._wire = wire
        self._quota = quota
        self._clock = clock
        self._pong_timeout_s = pong_timeout_s
        self._owed_at: float | None = None
        self._overtaken = 0

    async def receive(self, within_s: float) -> bytes | None:
        """The next frame, None when there is none in time. Raises Closed, also for a pong that is overdue."""
        if self._owed_at is not None:
            within_s = min(within_s, max(0.0, self._owed_at - self._clock.monotonic()))
        frame = await self._wire.receive(within_s)
        if frame is not None and len(frame) <= PONG_BYTES_MAX and b'"pong"' in frame:
            self._owed_at = None
        elif self._owed_at is not None and self._clock.monotonic() >= self._owed_at:
            # Whoever reads slowly finds it behind the frames that were waiting.
            self._overtaken += 1
            if frame is None or self._overtaken > OVERTAKEN_MAX:
                raise Closed("no pong")
        return frame

    async def send(self, frame: str) -> None:
        await within(self._quota, self._clock)
        await self._wire.send(frame)
        if self._owed_at is None and '"type":"ping"' in frame:
            self._owed_at = self._clock.monotonic() + self._pong_timeout_s
            self._overtaken = 0

    async def close(self) -> None:
        await self._wire.close()


async def within(quota: Quota, clock: Clock) -> None:
    """Return when one more is allowed, and is taken."""
    while (wait_s := quota.take(clock.monotonic())) > 0:
        await clock.sleep(wait_s)
