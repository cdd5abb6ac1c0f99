"""A costly answer that many ask for: read once at a time, and good for a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from bridge.clock import Clock
from bridge.core.errors import BridgeError

T = TypeVar("T")


class Fresh(Generic[T]):
    """What ``read`` answers, at most ``for_s`` old. However many ask, one reads at a time; an error is not kept.

    Who waits while a read fails is told of its error: one after the other they would wait for as many failures. What
    takes long to read is good for longer: for ``rest`` times as long as it took.
    """

    def __init__(self, read: Callable[[], Awaitable[T]], clock: Clock, *, for_s: float, rest: float = 0.0) -> None:
        self._read = read
        self._clock = clock
        self._for_s = for_s
        self._rest = rest
        self._lock = asyncio.Lock()
        self._good_until = 0.0
        self._kept: tuple[T] | None = None
        self._forgotten = 0
        self._failures = 0
        self._failed: BridgeError | None = None

    def forget(self) -> None:
        """What was read until now, or is being read, is good no longer."""
        self._kept = None
        self._forgotten += 1

    async def get(self) -> T:
        """The answer. Raises what ``read`` raises."""
        failures = self._failures
        async with self._lock:
            if self._failed is not None and failures != self._failures:
                raise self._failed.with_traceback(None)
            if self._kept is not None and self._clock.monotonic() < self._good_until:
                return self._kept[0]
            self._kept = None
            began_at, forgotten = self._clock.monotonic(), self._forgotten
            try:
                answer = await self._read()
            except BridgeError as error:
                self._failures, self._failed = self._failures + 1, error
                raise
            read_at = self._clock.monotonic()
            self._good_until = read_at + max(self._for_s, self._rest * (read_at - began_at))
            if forgotten == self._forgotten:
                self._kept = (answer,)
            return answer
