"""Leases: one holder at a time, and a fence that a former holder cannot pass."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.store import leases

pytestmark = pytest.mark.anyio

START = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
NAME = "source:pb"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


async def take(engine: AsyncEngine, holder: str, *, now_s: float, lasting_s: float = 15) -> int | None:
    async with engine.begin() as connection:
        return await leases.take(connection, name=NAME, holder=holder, now=at(now_s), until=at(now_s + lasting_s))


async def release(engine: AsyncEngine, holder: str, fence: int, *, now_s: float) -> bool:
    async with engine.begin() as connection:
        return await leases.release(connection, name=NAME, holder=holder, fence=fence, now=at(now_s))


async def held(engine: AsyncEngine, holder: str, fence: int, *, now_s: float) -> bool:
    async with engine.begin() as connection:
        return await leases.held(connection, name=NAME, holder=holder, fence=fence, now=at(now_s))


async def row(engine: AsyncEngine) -> tuple[str, int, datetime]:
    async with engine.connect() as connection:
        found = (await connection.execute(text("SELECT holder, fence, until FROM leases"))).one()
    return found[0], found[1], found[2]


async def test_a_lease_has_one_holder_until_it_ends(engine: AsyncEngine) -> None:
    assert await take(engine, "one", now_s=0) == 1
    assert await take(engine, "two", now_s=14.9) is None
    assert await row(engine) == ("one", 1, at(15))
    assert await take(engine, "two", now_s=15) == 2


async def test_renewing_keeps_the_fence_and_moves_the_end(engine: AsyncEngine) -> None:
    assert await take(engine, "one", now_s=0) == 1
    assert await take(engine, "one", now_s=10) == 1
    assert await take(engine, "two", now_s=20) is None
    assert await row(engine) == ("one", 1, at(25))


async def test_every_change_of_holder_raises_the_fence(engine: AsyncEngine) -> None:
    holders = ["one", "two", "one", "two"]
    assert [await take(engine, who, now_s=20.0 * nth) for nth, who in enumerate(holders)] == [1, 2, 3, 4]


async def test_a_stale_holder_changes_nothing(engine: AsyncEngine) -> None:
    assert await take(engine, "one", now_s=0) == 1
    assert await take(engine, "two", now_s=20) == 2
    before = await row(engine)
    assert not await release(engine, "one", 1, now_s=21)
    assert await take(engine, "one", now_s=21) is None
    assert not await held(engine, "one", 1, now_s=21)
    assert await row(engine) == before


async def test_a_fence_of_an_earlier_time_is_stale_also_in_the_same_hands(engine: AsyncEngine) -> None:
    assert await take(engine, "one", now_s=0) == 1
    assert await take(engine, "two", now_s=20) == 2
    assert await take(engine, "one", now_s=40) == 3
    before = await row(engine)
    assert not await held(engine, "one", 1, now_s=41)
    assert not await release(engine, "one", 1, now_s=41)
    assert await row(engine) == before
    assert await held(engine, "one", 3, now_s=41)


async def test_a_lease_given_back_is_free_at_once(engine: AsyncEngine) -> None:
    assert await take(engine, "one", now_s=0) == 1
    assert await release(engine, "one", 1, now_s=1)
    assert not await held(engine, "one", 1, now_s=1)
    assert await take(engine, "two", now_s=1) == 2


async def test_of_many_who_reach_for_a_lease_at_once_one_gets_it(engine: AsyncEngine) -> None:
    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(take(engine, f"holder-{nth}", now_s=0)) for nth in range(8)]
    assert sorted(fence for task in tries if (fence := task.result()) is not None) == [1]


async def test_who_was_found_holding_stays_so_until_the_transaction_ends(engine: AsyncEngine) -> None:
    assert await take(engine, "one", now_s=0) == 1
    async with asyncio.TaskGroup() as group, engine.begin() as connection:
        assert await leases.held(connection, name=NAME, holder="one", fence=1, now=at(14))
        taking = group.create_task(take(engine, "two", now_s=16))
        await a_wait_for_a_lock(engine)
        assert not taking.done()
    assert taking.result() == 2


async def a_wait_for_a_lock(engine: AsyncEngine) -> None:
    """Return when another session waits for a lock."""
    asked = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(10):
        while True:
            async with engine.connect() as connection:
                if (await connection.execute(asked)).scalar_one():
                    return
