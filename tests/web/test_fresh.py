"""An answer that is good for a moment, and no longer than somebody says."""

import asyncio

from bridge.clock import ManualClock
from bridge.core.errors import StoreUnavailable
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


async def test_all_who_wait_for_an_answer_are_told_at_once_that_there_is_none() -> None:
    counted, gate, clock = 0, asyncio.Event(), ManualClock(START)

    async def read() -> int:
        nonlocal counted
        counted += 1
        await gate.wait()
        raise StoreUnavailable("away")

    fresh = Fresh(read, clock, for_s=60)
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(refusal(fresh)) for _ in range(20)]
        while not counted:
            await asyncio.wait(asking, timeout=0.001)
        clock.advance(10)
        gate.set()
    assert [one.result() for one in asking] == ["away"] * 20
    assert counted == 1, "and not each after the other"
    assert await refusal(fresh) == "away"
    assert counted == 2, "who asks later asks anew"


async def refusal(fresh: Fresh[int]) -> str:
    try:
        await fresh.get()
    except StoreUnavailable as error:
        return str(error)
    return ""
