"""By key: side by side where the keys differ, in order where they are the same, and nothing twice."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.destination import DestinationPolicy, Order
from bridge.core.event import Kind, LogEntry
from bridge.deliver.lanes import Lanes
from tests.consuming import KEY
from tests.core.test_envelope import ENTRY, GAP
from tests.deliver.desk import Desk
from tests.deliver.sending import cursor, deliverer, history
from tests.logs import append_events, append_told

KEYS = ("a", "b", "c", "d")
PATIENCE_S = 10


def by_key(**chosen: Any) -> DestinationPolicy:
    usual: dict[str, Any] = {"in_flight_max": 8, "retry_first_s": 8, "retry_max_s": 60}
    return DestinationPolicy("ledger", "http://ledger", (KEY,), order=Order.KEY, **usual | chosen)


async def most_under_way(desk: Desk, count: int) -> int:
    async with asyncio.timeout(PATIENCE_S):
        return max([await desk.posted.get() for _ in range(count)])


async def test_keys_go_side_by_side_and_each_in_order(engine: AsyncEngine, clock: ManualClock) -> None:
    await append_events(engine, "pb.events", 600, keys=KEYS)
    desk = Desk()
    desk.open.clear()
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(deliverer(engine, desk, clock, by_key()).drain())
        assert await most_under_way(desk, 4) == 4
        desk.open.set()
    assert sending.result() == 600
    assert desk.positions() == list(range(1, 601))
    for key in KEYS:
        assert desk.order_of(key) == sorted(desk.order_of(key))
        assert len(desk.order_of(key)) == 150
    assert (await cursor(engine)).position == 600
    assert await history(engine) == [("accepted", 1, 600, 600, None)]


async def test_no_more_are_under_way_than_the_policy_allows(engine: AsyncEngine, clock: ManualClock) -> None:
    await append_events(engine, "pb.events", 100, keys=[f"key-{n}" for n in range(50)])
    desk = Desk()
    desk.open.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(deliverer(engine, desk, clock, by_key(in_flight_max=3)).drain())
        assert await most_under_way(desk, 3) == 3
        desk.open.set()
    assert await most_under_way(desk, 97) <= 3


async def test_previous_names_what_comes_before_in_the_log_whichever_was_sent_first(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    await append_events(engine, "pb.events", 40, keys=KEYS)
    desk = Desk()
    await deliverer(engine, desk, clock, by_key(batch_max=4)).drain()
    assert desk.previous == {position: position - 1 for position in range(1, 41)}


async def test_a_key_that_fails_holds_itself_up_and_no_other_and_nothing_goes_out_twice(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    await append_events(engine, "pb.events", 40, keys=KEYS)
    desk = Desk(5)
    failing = KEYS[5 % 4]
    sender = deliverer(engine, desk, clock, by_key())
    assert await sender.drain() == 31
    held = await cursor(engine)
    assert (held.position, held.sent, held.failures) == (4, 4, 0)
    assert desk.order_of(failing) == [1]
    assert held.ahead[0].lower == 6
    desk.refused.clear()
    clock.advance(8)
    assert await deliverer(engine, desk, clock, by_key()).drain() == 9
    assert desk.positions() == list(range(1, 41))
    assert desk.order_of(failing) == list(range(1, 41, 4))
    held = await cursor(engine)
    assert (held.position, list(held.ahead)) == (40, [])
    assert [row[:2] for row in await history(engine) if row[0] == "unknown"] == [("unknown", 5)]


async def test_what_the_bridge_tells_stands_between_what_was_before_and_what_comes_after(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    await append_events(engine, "pb.events", 20, keys=KEYS)
    await append_told(engine, "pb.events", Kind.GAP, b'{"first":21,"last":22,"reason":"lost","evidence":{}}')
    await append_events(engine, "pb.events", 20, keys=KEYS)
    desk = Desk()
    assert await deliverer(engine, desk, clock, by_key()).drain() == 41
    order = [position for _, position in desk.taken]
    assert set(order[:20]) == set(range(1, 21))
    assert order[20] == 21


async def test_a_crash_sends_what_was_not_settled_again_and_loses_nothing(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    await append_events(engine, "pb.events", 40, keys=KEYS)
    desk = Desk(5)
    await deliverer(engine, desk, clock, by_key()).drain()
    async with engine.begin() as conn:  # as it was before anything was settled
        await conn.execute(text("UPDATE cursors SET position = 0, sent = 0, ahead = '{}', due_at = :now"),
                           {"now": clock.now()})  # fmt: skip
    desk.refused.clear()
    assert await deliverer(engine, desk, clock, by_key()).drain() == 40
    assert set(desk.positions()) == set(range(1, 41))


def entries_of(keys: Sequence[str]) -> list[LogEntry]:
    made = []
    for position, key in enumerate(keys, start=1):
        usual = GAP if key == "!" else ENTRY
        made.append(replace(usual, position=position, key=key))
    return made


@given(
    keys=st.lists(st.sampled_from("abc!"), max_size=40),
    steps=st.lists(st.tuples(st.sampled_from(["send", "take", "fail", "park"]), st.integers(0, 5)), max_size=200),
    batch_max=st.integers(1, 3),
)
def test_whatever_comes_back_in_whatever_order_each_key_keeps_its_own(
    keys: list[str], steps: list[tuple[str, int]], batch_max: int
) -> None:
    entries, policy = entries_of(keys), by_key(batch_max=batch_max)
    lanes = Lanes(0, 0, ())
    lanes.add(entries, [True] * len(entries))
    flying: list[tuple[str, Any]] = []
    gone: list[int] = []
    for step, which in [*steps, *[("send", 0), ("take", 0)] * (2 * len(entries) + 1)]:
        if step == "send":
            if lanes.has_ready(1.0):
                key, parcel, _ = lanes.depart(policy)
                flying.append((key, parcel))
            continue
        if not flying:
            continue
        key, parcel = flying.pop(which % len(flying))
        if step == "fail":
            lanes.fail(key, until=0.5)
            continue
        for entry in parcel.entries:
            before = [one for one in entries if one.position < entry.position]
            rivals = before if entry.sequence is None else [
                one for one in before if one.key == entry.key or one.sequence is None
            ]  # fmt: skip
            assert all(one.position in gone or one in parcel.entries for one in rivals)
            gone.append(entry.position)
        lanes.arrive(key, accepted=step == "take")
        undone = set(range(1, len(entries) + 1)) - set(gone)
        assert lanes.done == min(undone, default=len(entries) + 1) - 1
        assert all(position > lanes.done and position in gone for position in lanes.ahead)
    assert sorted(gone) == list(range(1, len(entries) + 1))
    assert (lanes.held, lanes.bytes_held, lanes.flying, lanes.is_empty) == (0, 0, 0, True)
