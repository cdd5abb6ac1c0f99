"""Destinations in a report: what they were sent is counted where their cursors move, and stays as it was."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock, SystemClock
from bridge.core.destination import DestinationPolicy, Exhausted, Order
from bridge.core.latency import BUCKETS, bucket_of, percentile_ms
from bridge.report import NotReportable, Period, delivering, make
from bridge.report.shape import DestinationReport, Report
from bridge.store import forgetting, rewind
from bridge.store.hours import hour_of
from tests.consuming import KEY
from tests.deliver.desk import Desk
from tests.deliver.sending import cursor, deliverer
from tests.logs import START, append_events
from tests.report.reading import whole

pytestmark = pytest.mark.anyio

CLOCK = SystemClock()
HOUR = timedelta(hours=1)
BEGIN = START.replace(minute=0, second=0, microsecond=0)
FIRST = Period.of(BEGIN, BEGIN + HOUR)
BOTH = Period.of(BEGIN, BEGIN + 2 * HOUR)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


def policy(**chosen: Any) -> DestinationPolicy:
    return DestinationPolicy("ledger", "http://ledger", (KEY,), **{"retry_first_s": 1, "retry_max_s": 4} | chosen)


async def report(engine: AsyncEngine, period: Period = BOTH, **chosen: str) -> Report:
    async with engine.connect() as conn:
        return whole(await make(conn, period, now=period.until, **chosen))


async def ledger(engine: AsyncEngine, period: Period = BOTH) -> DestinationReport:
    [found] = (await report(engine, period)).destinations
    return found


async def ask(engine: AsyncEngine, statement: str, **values: object) -> Any:
    async with engine.begin() as conn:
        done = await conn.execute(text(statement), values)
        return done.all() if done.returns_rows else None


async def until(rows: Callable[[], Awaitable[Any]]) -> None:
    while not await rows():
        await CLOCK.sleep(0.02)


def counts(found: DestinationReport) -> tuple[int, ...]:
    one = found.deliveries
    return one.delivered, one.first_try, one.attempts, one.failed, one.parked, one.expired


async def test_every_post_is_counted_and_what_was_not_taken_is_parked(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    await append_events(engine, "pb.events", 6)
    sender = deliverer(engine, Desk(3), clock, policy(on_exhausted=Exhausted.PARK, attempts_max=3))
    for _ in range(8):
        await sender.drain()
        clock.advance(5)
    found = await ledger(engine)
    assert counts(found) == (5, 5, 8, 3, 1, 0)
    assert found.first_try_percent == 100.0
    assert (found.owed, found.oldest_at) == (0, None)


async def test_by_key_every_post_is_counted_and_what_is_sent_again_too(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 6, keys=("a", "b", "c"))
    chosen = policy(order=Order.KEY, on_exhausted=Exhausted.PARK, attempts_max=3, retry_first_s=0.01)
    now = hour_of(CLOCK.now())
    sender = deliverer(engine, desk := Desk(3), CLOCK, chosen)
    today = Period.of(now, now + 2 * HOUR)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(sender.run())
        await until(lambda: ask(engine, "SELECT 1 FROM cursors WHERE position = 6"))
        assert counts(await ledger(engine, today)) == (5, 5, 8, 3, 1, 0)
        desk.refused.clear()
        await ask(engine, "UPDATE parked SET state = 'due'")
        await until(lambda: ask(engine, "SELECT 1 FROM parked WHERE state = 'redelivered'"))
        sender.stop()
    assert counts(await ledger(engine, today)) == (6, 5, 9, 3, 1, 0)


async def test_what_is_taken_after_a_failure_is_no_first_try(engine: AsyncEngine, clock: ManualClock) -> None:
    await append_events(engine, "pb.events", 3)
    desk = Desk(1)
    sender = deliverer(engine, desk, clock, policy())
    await sender.drain()
    desk.refused.clear()
    clock.advance(5)
    await sender.drain()
    found = await ledger(engine)
    assert counts(found) == (3, 2, 4, 1, 0, 0)
    assert found.first_try_percent == 66.6666


async def test_a_report_of_an_hour_says_how_the_hour_ended_whatever_came_later(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    await append_events(engine, "pb.events", 4)
    sender = deliverer(engine, desk := Desk(3), clock, policy())
    await sender.drain()
    before = await report(engine, FIRST)
    [found] = before.destinations
    [stood] = found.streams
    [(chain,)] = await ask(engine, "SELECT encode(chain, 'hex') FROM log WHERE position = 2")
    assert (stood.position, stood.chain, stood.owed, stood.oldest_at) == (2, chain, 2, START)
    assert (found.owed, found.oldest_at) == (2, START)
    desk.refused.clear()
    clock.advance(3600)
    await sender.drain()
    assert (await report(engine, FIRST)).destinations == before.destinations
    after = await ledger(engine)
    assert [line.hour for line in after.hours] == [BEGIN, BEGIN + HOUR]
    assert (after.streams[0].position, after.owed) == (4, 0)
    assert after.deliveries.delivered == sum(line.deliveries.delivered for line in after.hours) == 4


async def test_latency_is_told_from_when_an_entry_was_heard(engine: AsyncEngine, clock: ManualClock) -> None:
    await append_events(engine, "pb.events", 100)  # heard one a second, and 20 ms
    clock.advance(105.02)
    await deliverer(engine, Desk(), clock, policy()).drain()
    found = (await ledger(engine)).deliveries
    assert found.p50_ms is not None
    assert found.p99_ms is not None
    assert 55_000 <= found.p50_ms <= 55_000 * 2**0.5
    assert 103_000 <= found.p99_ms <= 104_000 * 2**0.5
    [(buckets,)] = await ask(engine, "SELECT latency FROM delivery_hours")
    assert sum(buckets) == 100


async def test_what_was_deleted_undelivered_has_expired_and_what_went_ahead_has_not(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    await append_events(engine, "pb.events", 10)
    await deliverer(engine, Desk(4), clock, policy()).drain()
    await ask(engine, "UPDATE cursors SET ahead = '{[6,8),[9,10)}'")
    at = await cursor(engine)
    async with engine.begin() as conn:
        await forgetting.expire(conn, stream_id=at.stream_id, upto=8, now=clock.now())
    found = await ledger(engine)
    assert found.deliveries.expired == 3
    assert found.streams[0].position == 8


async def test_a_rewind_is_seen_before_anything_is_sent_again(engine: AsyncEngine, clock: ManualClock) -> None:
    await append_events(engine, "pb.events", 5)
    await deliverer(engine, Desk(), clock, policy()).drain()
    at = await cursor(engine)
    async with engine.begin() as conn:
        [place] = await rewind.places(conn, at.destination_id, None)
        await rewind.move(conn, at.destination_id, place, 2, now=clock.now())
    found = await ledger(engine)
    assert (found.streams[0].position, found.owed) == (2, 3)


async def test_only_what_was_asked_for_is_told(engine: AsyncEngine, clock: ManualClock) -> None:
    for stream in ("pb.events", "by.trades"):
        await append_events(engine, stream, 2)
    others = DestinationPolicy("audit", "http://audit", (KEY,))
    await deliverer(engine, Desk(), clock, policy(), others).drain()
    made = await report(engine, glob="by.*", destination="led*")
    [found] = made.destinations
    assert (found.destination, [one.stream for one in found.streams]) == ("ledger", ["by.trades"])
    assert found.deliveries.delivered == 2


async def test_too_many_destinations_are_too_many_only_if_all_of_them_are_asked_for(
    engine: AsyncEngine, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append_events(engine, "pb.events", 2)
    others = [DestinationPolicy(name, f"http://{name}", (KEY,)) for name in ("audit", "zoo")]
    await deliverer(engine, Desk(), clock, policy(), *others).drain()
    monkeypatch.setattr(delivering, "DESTINATIONS_MAX", 1)
    with pytest.raises(NotReportable, match="ask for some"):
        await report(engine)
    assert [one.destination for one in (await report(engine, destination="zoo")).destinations] == ["zoo"]


async def test_a_stream_that_a_destination_passes_over_moves_it_all_the_same(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    await append_events(engine, "pb.events", 4)
    await deliverer(engine, Desk(), clock, policy(types=("NOTHING_SUCH",))).drain()
    found = await ledger(engine)
    assert (found.deliveries.delivered, found.streams[0].position, found.owed) == (0, 4, 0)
    assert found.first_try_percent is None


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_a_cursor_passes_was_delivered_or_parked(
    engine: AsyncEngine, clock: ManualClock, order: Order, seed: int
) -> None:
    dice, desk = Random(seed), Desk()
    keys = ("a", "b", "c")
    chosen = policy(
        order=order, on_exhausted=Exhausted.PARK, attempts_max=3, batch_max=dice.choice((1, 4)), in_flight_max=4
    )
    sender = deliverer(engine, desk, clock, chosen)
    passed = 0
    for _ in range(12):
        passed += (more := dice.randint(1, 12))
        await append_events(engine, "pb.events", more, keys=keys)
        desk.refused = set(dice.sample(range(1, passed + 1), dice.randint(0, min(3, passed))))
        await sender.drain()
        clock.advance(dice.uniform(1, 900))
    desk.refused = set()
    for _ in range(4):
        await sender.drain()
        clock.advance(5)
    found = await ledger(engine, Period.of(BEGIN, BEGIN + 24 * HOUR))
    told = found.deliveries
    assert found.streams[0].position == passed == told.delivered + told.parked
    assert told.delivered == len(desk.taken)
    assert told.attempts >= len(desk.bodies) + told.failed
    assert order is Order.KEY or told.first_try < told.delivered


def test_a_percentile_is_never_too_low_and_at_most_a_bucket_too_high() -> None:
    dice = Random(1)
    latencies = sorted(dice.lognormvariate(-3, 2) for _ in range(1_000))
    counted = [0] * BUCKETS
    for latency in latencies:
        counted[bucket_of(latency)] += 1
    for share in (0.5, 0.9, 0.99, 1.0):
        exact_ms = latencies[int(share * 1_000) - 1] * 1000
        told = percentile_ms(counted, share)
        assert told is not None
        assert exact_ms <= told + 0.1
        assert told <= max(1.0, exact_ms * 2**0.5 + 0.1)
    assert percentile_ms([], 0.5) is None
    assert bucket_of(-1) == 0
    assert bucket_of(1e12) == BUCKETS - 1
