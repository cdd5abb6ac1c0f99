"""What one process counts is known to all of them: added up, kept while the database is away, told before the end."""

import asyncio
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.errors import StoreUnavailable
from bridge.core.latency import BOUNDS_S, bounded, bucket_of
from bridge.counting import TELL_EVERY_S, Counting
from bridge.metrics import Metrics
from bridge.store import counters, measured
from bridge.store.counters import Key
from bridge.store.measured import Configured
from tests.cli.rows import fill
from tests.events import START
from tests.web.serving import LEDGER, reading

pytestmark = pytest.mark.anyio

ACCEPTED = Key(counters.ATTEMPTS, "ledger", "accepted")


async def counted(engine: AsyncEngine, series: str = counters.ATTEMPTS) -> dict[Key, float]:
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT series, subject, kind, value FROM counters WHERE series = :series"), {"series": series}
        )
        return {Key(*row[:3]): row[3] for row in rows}


async def test_what_two_processes_count_is_added_up(engine: AsyncEngine) -> None:
    one, two = Counting(), Counting()
    for counting, count in ((one, 3), (two, 4)):
        for _ in range(count):
            counting.add(*ACCEPTED)
    two.add(counters.ATTEMPTS, "ledger", "refused")
    assert (await one.tell(engine), await two.tell(engine), await one.tell(engine)) == (1, 2, 0)
    assert await counted(engine) == {ACCEPTED: 7, Key(counters.ATTEMPTS, "ledger", "refused"): 1}


async def test_what_could_not_be_told_is_kept_and_told_once_when_the_database_is_back(engine: AsyncEngine) -> None:
    def refuse(*_asked: object) -> None:
        raise ConnectionRefusedError

    counting = Counting()
    counting.add(*ACCEPTED, 5)
    event.listen(engine.sync_engine, "do_connect", refuse)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await counting.tell(engine)
        counting.add(*ACCEPTED)
    event.remove(engine.sync_engine, "do_connect", refuse)
    await counting.tell(engine)
    await counting.tell(engine)
    assert await counted(engine) == {ACCEPTED: 7}


async def test_two_that_tell_at_the_same_time_of_the_same_things_wait_for_each_other_and_not_in_a_circle(
    engine: AsyncEngine,
) -> None:
    names = [f"d-{nth}" for nth in range(40)]

    async def tell(names: list[str]) -> None:
        for _ in range(20):
            counting = Counting()
            for name in names:
                counting.add(counters.ATTEMPTS, name, "accepted")
            await counting.tell(engine)

    async with asyncio.TaskGroup() as group:
        for order in (names, names[::-1], names, names[::-1]):
            group.create_task(tell(order))
    assert {key.subject: count for key, count in (await counted(engine)).items()} == dict.fromkeys(names, 80)


async def test_a_process_tells_every_few_seconds_and_a_last_time_when_it_ends(engine: AsyncEngine) -> None:
    clock, counting = ManualClock(START), Counting()
    counting.add(*ACCEPTED)
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(counting.keep_telling(engine, clock))
        while await counted(engine) != {ACCEPTED: 1}:
            pass
        telling.cancel()
    assert clock.monotonic() >= TELL_EVERY_S
    counting.add(*ACCEPTED)
    await counting.tell_the_last(engine)
    assert await counted(engine) == {ACCEPTED: 2}


async def test_another_process_tells_what_this_one_counted(engine: AsyncEngine) -> None:
    await fill(engine)
    worker = Metrics()
    worker.attempted("ledger", "accepted")
    worker.attempted("ledger", "refused")
    worker.delivered("ledger", {bucket_of(0.02): 3, bucket_of(0.9): 1, bucket_of(90_000): 1}, 90_000.96)
    worker.remarked("pb.events", {"late": 2})
    worker.noticed("log", "told")
    await worker.counting.tell(engine)
    async with reading(engine, metrics=Metrics(), destinations=[LEDGER]) as client:
        told = (await client.get("/metrics")).text
    series = {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(told)
        for sample in family.samples
    }
    assert series["bridge_delivery_attempts_total", "ledger", "accepted"] == 1
    assert series["bridge_delivery_attempts_total", "ledger", "refused"] == 1
    assert series["bridge_stream_remarks_total", "late", "pb.events"] == 2
    assert series["bridge_remarks_total", "late"] == 2
    assert series["bridge_alert_notices_total", "log", "told"] == 1
    at_most = {key[2]: count for key, count in series.items() if key[0] == "bridge_delivery_latency_seconds_bucket"}
    assert (at_most["0.008"], at_most["0.032"], at_most["1.024"], at_most["+Inf"]) == (0, 3, 4, 5)
    assert list(at_most.values()) == sorted(at_most.values())
    assert series["bridge_delivery_latency_seconds_count", "ledger"] == 5
    assert series["bridge_delivery_latency_seconds_sum", "ledger"] == 90_000.96


def test_no_latency_is_counted_below_a_boundary_that_it_exceeds() -> None:
    for latency_s in (0.0, 0.001, 0.008, 0.0081, 0.5, 1.024, 1.03, 60.0, 16_777.0, 16_778.0, 1e9):
        bound_s = bounded(bucket_of(latency_s))
        assert latency_s <= bound_s * (1 + 1e-9)
        assert not any(latency_s <= lower for lower in BOUNDS_S if lower < bound_s), "the lowest that holds it"


async def test_what_was_counted_of_a_destination_is_forgotten_with_it(engine: AsyncEngine) -> None:
    metrics = Metrics()
    for name in ("ledger", "audit"):
        metrics.attempted(name, "accepted")
        metrics.delivered(name, {3: 1}, 0.1)
    await metrics.counting.tell(engine)
    async with engine.begin() as connection:
        await counters.forget(connection, "ledger")
    assert {key.subject for key in await counted(engine)} == {"audit"}
    assert {key.subject for key in await counted(engine, counters.LATENCY)} == {"audit"}


async def test_many_who_scrape_at_once_are_answered_from_one_look(engine: AsyncEngine) -> None:
    looks: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        looks.extend(re.findall(r"pg_database_size", statement))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    clock = ManualClock(START)
    async with reading(engine, clock=clock) as client:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(client.get("/metrics")) for _ in range(50)]
        assert {task.result().content for task in asked} == {asked[0].result().content}
        assert len(looks) == 1
        clock.advance(1)
        await client.get("/metrics")
    assert len(looks) == 2


async def test_a_stream_that_waits_at_a_hole_is_behind_since_it_does(engine: AsyncEngine) -> None:
    await fill(engine)
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE streams SET base = 1, frontier = 7, head = 9, stalled_at = :at"), {"at": START}
        )
    async with engine.connect() as connection:
        waiting = await measured.read(
            connection, now=START, configured=Configured(sources={"pb": True}), streams_max=9
        )
        await connection.execute(text("UPDATE streams SET frontier = 10"))
        there = await measured.read(connection, now=START, configured=Configured(sources={"pb": True}), streams_max=9)
        await connection.rollback()
    assert (waiting.streams[0].behind_since, waiting.streams[0].lag, waiting.totals.behind_since) == (START, 3, START)
    assert (there.streams[0].behind_since, there.streams[0].lag, there.totals.behind_since) == (None, 0, None)
    lag = 'bridge_stream_frontier_lag_seconds{stream="pb.events"}'
    assert f"{lag} 0.0\n" in Metrics().render(there, now=START).decode()
