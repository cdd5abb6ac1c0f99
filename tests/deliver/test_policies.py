"""What a policy may ask for beyond being delivered to: parking, stopping, a rate, checkpoints, and news of expiry."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock, SystemClock
from bridge.core.destination import DestinationPolicy, Exhausted, Order
from bridge.deliver import Deliverer
from bridge.store import destinations
from tests.consuming import KEY
from tests.deliver.desk import Desk
from tests.deliver.sending import cursor, deliverer
from tests.logs import append_events

CLOCK = SystemClock()
PATIENCE_S = 15.0
LOOK_S = 0.02
ORDERS = pytest.mark.parametrize("order", list(Order))


def policy(**chosen: Any) -> DestinationPolicy:
    usual: dict[str, Any] = {"retry_first_s": 0.01, "retry_max_s": 4}
    return DestinationPolicy("ledger", "http://ledger", (KEY,), **usual | chosen)


@asynccontextmanager
async def delivering(engine: AsyncEngine, desk: Desk, chosen: DestinationPolicy) -> AsyncIterator[Deliverer]:
    """A deliverer at work, on the real clock."""
    sender = deliverer(engine, desk, CLOCK, chosen)
    async with asyncio.TaskGroup() as group:
        group.create_task(sender.run())
        yield sender
        sender.stop()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():
            await CLOCK.sleep(LOOK_S)


@ORDERS
@pytest.mark.parametrize("batch_max", [1, 8])
async def test_what_is_not_taken_often_enough_is_parked_and_the_rest_goes_on(
    engine: AsyncEngine, order: Order, batch_max: int
) -> None:
    await append_events(engine, "pb.events", 10)
    desk = Desk(3)
    chosen = policy(order=order, on_exhausted=Exhausted.PARK, attempts_max=3, batch_max=batch_max)

    async def passed() -> bool:
        return (await cursors_at(engine)) == [10]

    async with delivering(engine, desk, chosen):
        await until(passed)
    assert desk.positions() == [1, 2, 4, 5, 6, 7, 8, 9, 10]
    [(position, state, attempts, status)] = await parked(engine)
    assert (position, state, attempts, status) == (3, "parked", 3, 500)
    assert desk.previous[4] == (2 if order is Order.STREAM else 3)


async def test_a_parked_entry_goes_out_again_when_it_is_wanted_and_says_that_it_is_out_of_its_turn(
    engine: AsyncEngine,
) -> None:
    await append_events(engine, "pb.events", 4)
    desk = Desk(2)
    chosen = policy(on_exhausted=Exhausted.PARK, attempts_max=1)

    async def passed() -> bool:
        return (await cursors_at(engine)) == [4]

    async with delivering(engine, desk, chosen):
        await until(passed)  # what follows is out of its turn only when its turn is over
        await until(lambda: is_parked(engine, "parked"))
        await tell(engine, "UPDATE parked SET state = 'due'")
        await until(lambda: is_parked(engine, "parked", attempts=2))
        desk.refused.clear()
        await tell(engine, "UPDATE parked SET state = 'due'")
        await until(lambda: is_parked(engine, "redelivered", attempts=3))
    assert desk.taken[-1] == ("market-1", 2)
    assert desk.previous[2] is None
    assert (await cursor(engine)).position == 4


async def test_a_destination_that_takes_nothing_for_long_enough_is_stopped_and_keeps_its_place(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    await append_events(engine, "pb.events", 3)
    desk = Desk(2)
    sender = deliverer(engine, desk, clock, policy(stop_after_s=10, retry_first_s=4))
    for _ in range(6):
        await sender.drain()
        clock.advance(4)
    async with engine.connect() as conn:
        found = (await conn.execute(text("SELECT state, reason FROM destinations"))).one()
    assert found.state == "stopped"
    assert "took nothing for 12 s" in found.reason
    desk.refused.clear()
    assert await sender.drain() == 0
    async with engine.begin() as conn:
        await destinations.resume(conn, "ledger", now=clock.now())
    assert await sender.drain() == 2
    assert desk.positions() == [1, 2, 3]


@ORDERS
async def test_a_rate_is_kept(engine: AsyncEngine, clock: ManualClock, order: Order) -> None:
    await append_events(engine, "pb.events", 6, keys=("a", "b", "c"))
    desk = Desk()
    if order is Order.STREAM:
        assert await deliverer(engine, desk, clock, policy(rate_per_s=2)).drain() == 6
        assert 2.4 < clock.monotonic() < 2.6
        return
    began = CLOCK.monotonic()
    async with delivering(engine, desk, policy(rate_per_s=20, order=order, in_flight_max=8)):
        await until(lambda: has_taken(desk, 6))
    assert CLOCK.monotonic() - began >= 5 / 20


@ORDERS
async def test_what_expired_is_told_before_what_follows_and_once(
    engine: AsyncEngine, clock: ManualClock, order: Order
) -> None:
    await append_events(engine, "pb.events", 5)
    desk = Desk()
    chosen = policy(order=order)
    await deliverer(engine, desk, clock, chosen).drain()
    await tell(engine, "UPDATE cursors SET position = 3, sent = 0, expired_first = 1, expired_last = 3")
    desk.bodies.clear()
    sender = deliverer(engine, desk, clock, chosen)
    await sender.drain()
    await sender.drain()
    told = desk.bodies
    assert [told[0][name] for name in ("type", "stream", "position", "first", "last")] == [
        "bridge.expired", "pb.events", None, 1, 3,
    ]  # fmt: skip
    assert [one["position"] for one in told[1:]] == [4, 5]


@ORDERS
async def test_checkpoints_come_every_so_many_entries_and_name_the_chain(
    engine: AsyncEngine, clock: ManualClock, order: Order
) -> None:
    desk = Desk()
    sender = deliverer(engine, desk, clock, policy(order=order, checkpoint_every=10))
    for _ in range(3):
        await append_events(engine, "pb.events", 7)
        await sender.drain()
    told = [one for one in desk.bodies if one["type"] == "bridge.checkpoint"]
    chains = {one["position"]: one["chain"] for one in desk.bodies if one["position"]}
    assert [(one["from"], one["to"], one["count"], one["chain"]) for one in told] == [(1, 14, 14, chains[14])]
    assert told[0]["gaps"] == []


async def test_silence_is_checkpointed_too(engine: AsyncEngine, clock: ManualClock) -> None:
    await append_events(engine, "pb.events", 2)
    desk = Desk()
    sender = deliverer(engine, desk, clock, policy(checkpoint_every_s=60))
    await sender.drain()
    for _ in range(4):
        clock.advance(30)
        await sender.drain()
    told = [one for one in desk.bodies if one["type"] == "bridge.checkpoint"]
    assert [(one["from"], one["to"], one["count"]) for one in told] == [(1, 0, 0), (1, 2, 2), (3, 2, 0)]


async def test_a_new_policy_is_followed_from_the_next_entry_on(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 2)
    desk, elsewhere = Desk(), policy(types=("NOTHING",))
    async with delivering(engine, desk, policy()) as sender:
        await until(lambda: has_taken(desk, 2))
        sender.adopt([elsewhere])
        await append_events(engine, "pb.events", 2)
        await until(lambda: is_at(engine, 4))
        sender.adopt([policy(batch_max=5)])
        await append_events(engine, "pb.events", 2)
        await until(lambda: is_at(engine, 6))
    assert desk.positions() == [1, 2, 5, 6]
    assert desk.bodies[-1]["type"] == "bridge.batch"


async def is_at(engine: AsyncEngine, position: int) -> bool:
    return (await cursors_at(engine)) == [position]


async def is_parked(engine: AsyncEngine, state: str, attempts: int = 1) -> bool:
    """Whether the one entry is so, and no attempt is under way: that is counted before it is made."""
    wanted = text("SELECT state, attempts FROM parked WHERE error IS DISTINCT FROM 'was being sent again'")
    async with engine.connect() as conn:
        return [tuple(row) for row in (await conn.execute(wanted)).all()] == [(state, attempts)]


async def has_taken(desk: Desk, count: int) -> bool:
    return len(desk.taken) >= count


async def cursors_at(engine: AsyncEngine) -> list[int]:
    async with engine.connect() as conn:
        return [row.position for row in (await conn.execute(text("SELECT position FROM cursors"))).all()]


async def parked(engine: AsyncEngine) -> list[tuple[object, ...]]:
    async with engine.connect() as conn:
        rows = await conn.execute(text("SELECT position, state, attempts, status FROM parked ORDER BY position"))
        return [tuple(row) for row in rows.all()]


async def tell(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as conn:
        await conn.execute(text(statement))
