"""A connection by the venue's rules: no more is said than it allows."""

from bridge.clock import Clock
from bridge.sources.poloniex_v1.quota import Quota
from bridge.sources.wire import Wire


class PacedWire:
    """``wire``, with ``quota`` for what is sent on it."""

    def __init__(self, wire: Wire, quota: Quota, clock: Clock) -> None:
        self._wire = wire
        self._quota = quota
        self._clock = clock

    async def receive(self, within_s: float) -> bytes | None:
        """The next frame, None when there is none in time. Raises Closed."""
        return await self._wire.receive(within_s)

    async def send(self, frame: str) -> None:
        await within(self._quota, self._clock)
        await self._wire.send(frame)

    async def close(self) -> None:
        await self._wire.close()


async def within(quota: Quota, clock: Clock) -> None:
    """Return when one more is allowed, and is taken."""
    while (wait_s := quota.take(clock.monotonic())) > 0:
        await clock.sleep(wait_s)
