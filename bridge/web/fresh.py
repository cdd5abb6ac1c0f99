"""A costly answer that many ask for: read once at a time, and good for a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from bridge.clock import Clock

T = TypeVar("T")


class Fresh(Generic[T]):
    """What ``read`` answers, at most ``for_s`` old. However many ask, one reads at a time; an error is not kept."""

    def __init__(self, read: Callable[[], Awaitable[T]], clock: Clock, *, for_s: float) -> None:
        self._read = read
        self._clock = clock
        self._for_s = for_s
        self._lock = asyncio.Lock()
        self._kept: tuple[float, T] | None = None

    async def get(self) -> T:
        """The answer. Raises what ``read`` raises."""
        async with self._lock:
            if self._kept is not None and self._clock.monotonic() - self._kept[0] < self._for_s:
                return self._kept[1]
            self._kept = None
            answer = await self._read()
            self._kept = (self._clock.monotonic(), answer)
            return answer
