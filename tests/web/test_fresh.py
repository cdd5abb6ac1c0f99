"""An answer that is good for a moment, and no longer than somebody says."""

import asyncio

from bridge.clock import ManualClock
from bridge.web.fresh import Fresh
from tests.events import START


async def test_what_is_forgotten_is_read_anew_also_while_it_is_being_read() -> None:
    counted, gate = 0, asyncio.Event()

    async def read() -> int:
        nonlocal counted
        counted += 1
        answer = counted
        await gate.wait()
        return answer

    fresh = Fresh(read, ManualClock(START), for_s=60)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(fresh.get())
        while not counted:
            await asyncio.wait([first], timeout=0.001)
        fresh.forget()
        gate.set()
    assert first.result() == 1, "who asked before gets what was read for them"
    assert await fresh.get() == 2
    assert await fresh.get() == 2
    fresh.forget()
    assert await fresh.get() == 3
