"""Waiting for what must come about, for no longer than is reasonable."""

import inspect
from collections.abc import Awaitable, Callable

from bridge.clock import SystemClock

EVERY_S = 0.02


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], *, within_s: float = 60.0, state: Callable[[], object] = str
) -> None:
    """Return when ``condition`` holds. Fails after ``within_s``, telling the ``state`` that things are in."""
    clock = SystemClock()
    until = clock.monotonic() + within_s
    while True:
        met = condition()
        if inspect.isawaitable(met):
            met = await met
        if met:
            return
        assert clock.monotonic() < until, f"not within {within_s:g} s: {state()}"
        await clock.sleep(EVERY_S)
