"""Sweeps: what is due is a row with a time, and no ring of the bell goes unheard."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.store import sweeps
from bridge.store.sweeps import Sweep
from tests.logs import make_stream

pytestmark = pytest.mark.anyio

START = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


async def begin(engine: AsyncEngine, *names: str) -> None:
    for name in names:
        stream = await make_stream(engine, name)
        async with engine.begin() as connection:
            await sweeps.ensure(connection, stream_id=stream.id, kinds=("tail", "audit"), now=START)


async def due(engine: AsyncEngine, now_s: float, *sources: str) -> list[Sweep]:
    async with engine.connect() as connection:
        return await sweeps.due(connection, sources=sources or ("pb",), now=at(now_s))


async def done(engine: AsyncEngine, sweep: Sweep, *, next_s: float) -> bool:
    async with engine.begin() as connection:
        return await sweeps.done(connection, sweep, next_at=at(next_s))


async def ring(engine: AsyncEngine, now_s: float, stream: str = "pb.events") -> None:
    async with engine.begin() as connection:
        await sweeps.ring(connection, stream=stream, now=at(now_s))


async def tail(engine: AsyncEngine, now_s: float) -> Sweep | None:
    return next((sweep for sweep in await due(engine, now_s) if sweep.kind == "tail"), None)


async def test_a_new_streams_sweeps_are_due_at_once(engine: AsyncEngine) -> None:
    await begin(engine, "pb.events")
    assert [(sweep.stream, sweep.kind) for sweep in await due(engine, 0)] == [
        ("pb.events", "audit"),
        ("pb.events", "tail"),
    ]


async def test_a_sweep_that_is_done_is_due_at_its_next_time_and_not_before(engine: AsyncEngine) -> None:
    await begin(engine, "pb.events")
    swept = await tail(engine, 0)
    assert swept is not None
    assert await done(engine, swept, next_s=60)
    assert await tail(engine, 59.9) is None
    assert await tail(engine, 60) is not None


async def test_making_a_streams_sweeps_again_leaves_their_times(engine: AsyncEngine) -> None:
    await begin(engine, "pb.events")
    for sweep in await due(engine, 0):
        await done(engine, sweep, next_s=60)
    await begin(engine, "pb.events")
    assert await due(engine, 30) == []


async def test_the_bell_makes_the_tail_due_at_once_and_leaves_the_audit(engine: AsyncEngine) -> None:
    await begin(engine, "pb.events")
    for sweep in await due(engine, 0):
        await done(engine, sweep, next_s=60)
    await ring(engine, 10)
    assert [sweep.kind for sweep in await due(engine, 10)] == ["tail"]


async def test_a_bell_rung_while_its_sweep_is_under_way_keeps_it_due(engine: AsyncEngine) -> None:
    await begin(engine, "pb.events")
    under_way = await tail(engine, 0)
    assert under_way is not None
    await ring(engine, 1)
    assert not await done(engine, under_way, next_s=60)
    again = await tail(engine, 2)
    assert again is not None
    assert await done(engine, again, next_s=62)
    assert await tail(engine, 3) is None


async def test_a_bell_never_puts_a_sweep_off(engine: AsyncEngine) -> None:
    await begin(engine, "pb.events")
    await ring(engine, 30)
    assert await tail(engine, 0) is not None


async def test_a_bell_rings_for_its_own_stream_and_a_source_sees_its_own(engine: AsyncEngine) -> None:
    await begin(engine, "pb.events", "other.events")
    for sweep in await due(engine, 0, "pb", "other"):
        await done(engine, sweep, next_s=60)
    await ring(engine, 5, "other.events")
    assert await due(engine, 5, "pb") == []
    assert [sweep.stream for sweep in await due(engine, 5, "pb", "other")] == ["other.events"]


async def test_what_is_due_longest_comes_first(engine: AsyncEngine) -> None:
    await begin(engine, "pb.events")
    next_s = {"tail": 40, "audit": 20}
    for sweep in await due(engine, 0):
        await done(engine, sweep, next_s=next_s[sweep.kind])
    assert [sweep.kind for sweep in await due(engine, 50)] == ["audit", "tail"]
