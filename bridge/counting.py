"""What a process counts, told to the database every so often: whichever process is asked then knows it of all.

A worker need not be reached from outside, where hosts let nobody in, and no count begins anew with a process. A
process that is killed takes what it counted in the last seconds with it; a commit whose answer was lost counts twice.
"""

import asyncio
from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.core.errors import StoreUnavailable
from bridge.store import counters
from bridge.store.counters import Key
from bridge.store.engine import store_errors

TELL_EVERY_S = 5.0
LAST_TELLING_S = 2.0


class Counting:
    """What was counted here and is not told yet: one sum for each key, however long the database is away."""

    def __init__(self) -> None:
        self._untold: dict[Key, float] = {}

    def add(self, series: str, subject: str, kind: str, count: float = 1.0) -> None:
        key = Key(series, subject, kind)
        self._untold[key] = self._untold.get(key, 0.0) + count

    async def tell(self, engine: AsyncEngine) -> int:
        """Write down what is not told yet; returns how many counters that moved. Raises StoreUnavailable."""
        counts, self._untold = self._untold, {}
        if not counts:
            return 0
        try:
            with store_errors():
                async with engine.begin() as connection:
                    await counters.add(connection, counts)
        except BaseException:
            for key, count in counts.items():
                self.add(*key, count)
            raise
        return len(counts)

    async def keep_telling(self, engine: AsyncEngine, clock: Clock) -> None:
        """Tell until cancelled. A database that is away is told the next time."""
        while True:
            await clock.sleep(TELL_EVERY_S)
            with suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(TELL_EVERY_S):
                    await self.tell(engine)

    async def tell_the_last(self, engine: AsyncEngine) -> None:
        """Tell what is left when the process ends, if the database is there."""
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(LAST_TELLING_S):
                await self.tell(engine)
