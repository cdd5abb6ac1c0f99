"""Hours where clocks disagree, or waits do: two workers write in turns, and one is already in the next hour."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, Literal

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.destination import DestinationPolicy
from bridge.core.event import Transport
from bridge.core.span import Span
from bridge.ingest import Base, Door, Finding, StreamSpec
from bridge.report import Period, make
from bridge.report.shape import Report
from bridge.store import delivery_hours, rewind
from bridge.store.delivery_hours import Tally
from bridge.store.evidence import Evidence
from tests.consuming import KEY
from tests.deliver.desk import Desk
from tests.deliver.sending import cursor, deliverer
from tests.events import START, event
from tests.logs import append_events
from tests.report.reading import whole

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
CHANGE = START.replace(minute=0, second=0, microsecond=0) + HOUR
BOTH = Period.of(CHANGE - HOUR, CHANGE + HOUR)
SECOND = Period.of(CHANGE, CHANGE + HOUR)
LEDGER = DestinationPolicy("ledger", "http://ledger", (KEY,))
SPEC = StreamSpec("pb.events", "pb", "venue", settle_s=2.0)


@pytest.fixture
def behind() -> ManualClock:
    return ManualClock(CHANGE - timedelta(seconds=1))


@pytest.fixture
def ahead() -> ManualClock:
    return ManualClock(CHANGE + timedelta(seconds=1))


@pytest.fixture
async def doors(engine: AsyncEngine, behind: ManualClock, ahead: ManualClock) -> AsyncIterator[list[Door]]:
    """The doors of two workers: one that is behind the hour's change, and one that is past it."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Door(engine, clock, {SPEC.name: SPEC})) for clock in (behind, ahead)]


async def report(engine: AsyncEngine, period: Period) -> Report:
    async with engine.connect() as conn:
        return whole(await make(conn, period, now=period.until))


async def hear(door: Door, *numbers: int) -> None:
    await door.accept("pb.events", [event(number) for number in numbers], transport=Transport.WEBHOOK)


async def find(door: Door, number: int, verdict: Literal["proof", "loss"]) -> None:
    known = Evidence(Span.inclusive(number, number), verdict, {"why": "so it is"})
    await door.record("pb.events", Finding(1, evidence=(known,)))


async def test_who_is_behind_an_hour_that_has_begun_counts_in_it(engine: AsyncEngine, doors: list[Door]) -> None:
    slow, fast = doors
    await slow.record("pb.events", Finding(1, base=Base(1, START)))
    await hear(fast, 1, 3, 6)
    await find(slow, 4, "loss")
    await hear(slow, 2, 5)
    [stream] = (await report(engine, BOTH)).streams
    counts = stream.counts
    assert (counts.assigned, counts.events, counts.void, counts.lost, counts.open_more) == (6, 5, 0, 1, 0)
    assert stream.complete_percent == 83.3333
    assert [one.first for one in stream.gaps.lost] == [4]
    assert stream.ended is not None
    assert (stream.ended.position, stream.ended.open, stream.lag.at_end_s) == (6, 0, 0.0)


async def test_no_hour_ends_before_the_one_before_it(engine: AsyncEngine, doors: list[Door]) -> None:
    slow, fast = doors
    await slow.record("pb.events", Finding(1, base=Base(1, START)))
    for number in range(1, 40, 4):
        await hear(fast, number, number + 3)
        await find(slow, number + 1, "proof")
        await hear(slow, number + 2)
    [stream] = (await report(engine, BOTH)).streams
    ends = [line.standing.position for line in stream.hours]
    assert ends == sorted(ends)
    for line in stream.hours:
        assert min(line.counts.assigned or 0, line.counts.void or 0) >= 0


async def test_a_rewind_by_who_is_behind_counts_in_the_hour_that_has_begun(
    engine: AsyncEngine, behind: ManualClock, ahead: ManualClock
) -> None:
    await append_events(engine, "pb.events", 4)
    await deliverer(engine, Desk(), ahead, LEDGER).drain()
    at = await cursor(engine)
    async with engine.begin() as conn:
        [place] = await rewind.places(conn, at.destination_id, None)
        await rewind.move(conn, at.destination_id, place, 1, now=behind.now())
    [found] = (await report(engine, BOTH)).destinations
    assert (found.deliveries.delivered, found.owed, found.streams[0].position) == (4, 3, 1)


async def test_a_cursor_that_moves_while_something_else_is_counted_is_told_where_it_went(
    engine: AsyncEngine, ahead: ManualClock
) -> None:
    """What was parked is sent again beside the deliveries, and counts in the same row."""
    await append_events(engine, "pb.events", 5)
    await deliverer(engine, Desk(4), ahead, LEDGER).drain()
    at = await cursor(engine)
    assert at.position == 3
    now = ahead.now()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group, engine.begin() as moving:
        await moving.execute(text("UPDATE cursors SET position = 5"))
        await delivery_hours.add(moving, at.destination_id, at.stream_id, Tally(delivered=2), now=now)
        group.create_task(count(engine, at, Tally(delivered=1), now))
        await blocked(engine)
    [found] = (await report(engine, SECOND)).destinations
    assert (found.deliveries.delivered, found.owed, found.streams[0].position) == (6, 0, 5)


async def count(engine: AsyncEngine, at: Any, tally: Tally, now: datetime) -> None:
    async with engine.begin() as conn:
        await delivery_hours.add(conn, at.destination_id, at.stream_id, tally, now=now)


async def blocked(engine: AsyncEngine) -> None:
    """Until somebody waits for a lock of somebody else's."""
    waits = text("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
    found = None
    while found is None:
        async with engine.connect() as conn:
            found = (await conn.execute(waits)).first()
