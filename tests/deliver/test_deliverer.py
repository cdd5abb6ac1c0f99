import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock, SystemClock
from bridge.core.delivery import Outcome
from bridge.core.event import Kind
from bridge.deliver import DeliveryLimits
from bridge.egress import Egress, HttpEgress
from bridge.sim.consumer import Behaviour, Consumer, Mode
from bridge.store import destinations
from bridge.store.engine import make_engine
from tests.consuming import PATIENCE_S, Running, consuming
from tests.deliver.sending import assert_faultless, cursor, deliverer, history
from tests.logs import START, append_events, append_told


class Gate:
    """An egress that lets posts through to the one behind it only while it is open, and says when one waits."""

    def __init__(self, behind: Egress) -> None:
        self._behind = behind
        self.open = asyncio.Event()
        self.waiting = asyncio.Event()

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, allow_private: bool
    ) -> Outcome:
        self.waiting.set()
        await self.open.wait()
        return await self._behind.post(url, headers, body, timeout_s=timeout_s, allow_private=allow_private)


class Spoiler:
    """An egress that lets ``good`` posts through before the consumer begins to lose its answers."""

    def __init__(self, behind: Egress, consumer: Consumer, *, good: int) -> None:
        self._behind = behind
        self._consumer = consumer
        self._good = good

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, allow_private: bool
    ) -> Outcome:
        if self._good == 0:
            self._consumer.behave(Behaviour(Mode.LOSE, for_requests=1))
        self._good -= 1
        return await self._behind.post(url, headers, body, timeout_s=timeout_s, allow_private=allow_private)


@pytest.fixture
async def elsewhere(database_url: str) -> AsyncIterator[AsyncEngine]:
    """The engine of a second process."""
    made = make_engine(database_url)
    yield made
    await made.dispose()


async def test_every_entry_arrives_once_in_order_and_the_cursor_follows(
    engine: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    await append_events(engine, "pb.events", 300)
    sender = deliverer(engine, egress, clock, ledger.policy())
    assert await sender.drain() == 300
    assert await sender.drain() == 0
    assert_faultless(ledger, last=300)
    assert ledger.record().duplicates == 0
    assert (await cursor(engine)).position == 300
    assert await history(engine) == [("accepted", 1, 300, 300, None)]


async def test_what_the_bridge_tells_comes_in_its_place_and_in_the_chain(
    engine: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    await append_events(engine, "pb.events", 2)
    await append_told(engine, "pb.events", Kind.GAP, b'{"first":3,"last":4,"reason":"lost","evidence":{}}')
    await append_events(engine, "pb.events", 1)
    assert await deliverer(engine, egress, clock, ledger.policy()).drain() == 4
    assert_faultless(ledger, last=4)
    held = ledger.record().held[3]
    assert (held.kind, held.type, held.id, held.sequence) == (Kind.GAP, "bridge.gap", "pb.events:3", None)
    assert held.data is not None
    assert bytes(held.data) == b'{"first":3,"last":4,"reason":"lost","evidence":{}}'


async def test_previous_names_the_last_entry_sent_where_a_filter_leaves_some_out_even_after_a_restart(
    engine: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    policy = ledger.policy(types=("TRADE_*",))
    await append_events(engine, "pb.events", 1, type_="TRADE_SETTLED")
    await append_events(engine, "pb.events", 3)
    assert await deliverer(engine, egress, clock, policy).drain() == 1
    assert (await cursor(engine)).position == 4
    await append_events(engine, "pb.events", 1)
    await append_told(engine, "pb.events", Kind.GAP, b'{"first":6,"last":6}')
    await append_events(engine, "pb.events", 1, type_="TRADE_SETTLED")
    assert await deliverer(engine, egress, clock, policy).drain() == 2
    record = ledger.record()
    assert list(record.held) == [1, 6, 7]
    assert (record.missing, record.breaks, record.out_of_order) == (0, 0, 0)


async def test_a_failure_is_tried_again_when_its_backoff_is_over_and_not_before(
    engine: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    await append_events(engine, "pb.events", 3)
    ledger.consumer.behave(Behaviour(Mode.UNAVAILABLE, for_requests=2))
    sender = deliverer(engine, egress, clock, ledger.policy())
    for wait_s in (8, 16):
        assert await sender.drain() == 0
        clock.advance(wait_s - 0.5)
        assert await sender.drain() == 0
        clock.advance(0.5)
    failing = await cursor(engine)
    assert (failing.failures, failing.last_error, failing.failing_since) == (2, "answered 503", START)
    assert await sender.drain() == 3
    assert ledger.consumer.requests == 5
    healed = await cursor(engine)
    assert (healed.failures, healed.last_error, healed.failing_since) == (0, None, None)
    assert await history(engine) == [
        ("unknown", 1, 1, 1, 503),
        ("unknown", 1, 1, 1, 503),
        ("accepted", 1, 3, 3, None),
    ]


async def test_a_failure_in_the_middle_keeps_what_was_accepted_before_it(
    engine: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    await append_events(engine, "pb.events", 8)
    sender = deliverer(engine, Spoiler(egress, ledger.consumer, good=3), clock, ledger.policy())
    assert await sender.drain() == 3
    assert (await cursor(engine)).position == 3
    assert await history(engine) == [("accepted", 1, 3, 3, None), ("unknown", 4, 4, 1, 500)]
    clock.advance(60)
    assert await sender.drain() == 5
    assert_faultless(ledger, last=8)
    assert ledger.record().duplicates == 1


async def test_retry_after_is_honoured(
    engine: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    await append_events(engine, "pb.events", 1)
    ledger.consumer.behave(Behaviour(Mode.TOO_MANY, for_requests=1, retry_after_s=600))
    sender = deliverer(engine, egress, clock, ledger.policy())
    assert await sender.drain() == 0
    clock.advance(599)
    assert await sender.drain() == 0
    clock.advance(1)
    assert await sender.drain() == 1


async def test_410_stops_a_destination_and_resume_goes_on_where_it_stopped(
    engine: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    await append_events(engine, "pb.events", 2)
    sender = deliverer(engine, egress, clock, ledger.policy())
    assert await sender.drain() == 2
    ledger.consumer.behave(Behaviour(Mode.GONE, for_requests=1))
    await append_events(engine, "pb.events", 2)
    assert await sender.drain() == 0
    clock.advance(3600)
    assert await sender.drain() == 0
    assert ledger.consumer.requests == 3
    async with engine.begin() as conn:
        (lag,) = await destinations.lags(conn)
        assert (lag.state, lag.reason, lag.behind) == ("stopped", "answered 410", 2)
        assert await destinations.resume(conn, "ledger", now=clock.now())
        assert not await destinations.resume(conn, "ledger", now=clock.now())
    assert await sender.drain() == 2
    assert_faultless(ledger, last=4)


async def test_two_destinations_go_their_own_ways_and_take_only_their_streams(
    engine: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    async with consuming(clock) as audit:
        await append_events(engine, "pb.events", 2)
        await append_events(engine, "pb.ws", 3)
        audit.consumer.behave(Behaviour(Mode.FAIL))
        policies = ledger.policy(streams=("*.events",)), audit.policy("audit")
        assert await deliverer(engine, egress, clock, *policies).drain() == 2
        assert list(ledger.consumer.records) == ["pb.events"]
        assert audit.consumer.requests == 2
        async with engine.connect() as conn:
            behind = [(lag.destination, lag.stream, lag.behind) for lag in await destinations.lags(conn)]
        assert behind == [("audit", "pb.events", 2), ("audit", "pb.ws", 3), ("ledger", "pb.events", 0)]


async def test_a_stale_lease_changes_no_row(
    engine: AsyncEngine, elsewhere: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    await append_events(engine, "pb.events", 10)
    gate = Gate(egress)
    slow = deliverer(engine, gate, clock, ledger.policy())
    quick = deliverer(elsewhere, egress, clock, ledger.policy())
    async with asyncio.TaskGroup() as group:
        stale = group.create_task(slow.drain())
        await gate.waiting.wait()
        assert await quick.drain() == 0, "the lease holds"
        clock.advance(11)
        assert await quick.drain() == 10
        before = await cursor(engine), await history(engine)
        gate.open.set()
    assert stale.result() == 1
    assert (await cursor(engine), await history(engine)) == before
    assert_faultless(ledger, last=10)
    assert ledger.record().duplicates == 1


async def test_a_stale_failure_changes_no_row(
    engine: AsyncEngine, elsewhere: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    await append_events(engine, "pb.events", 2)
    gate = Gate(egress)
    slow = deliverer(engine, gate, clock, ledger.policy())
    async with asyncio.TaskGroup() as group:
        group.create_task(slow.drain())
        await gate.waiting.wait()
        clock.advance(11)
        assert await deliverer(elsewhere, egress, clock, ledger.policy()).drain() == 2
        before = await cursor(engine), await history(engine)
        ledger.consumer.behave(Behaviour(Mode.GONE))
        gate.open.set()
    assert (await cursor(engine), await history(engine)) == before
    async with engine.connect() as conn:
        assert {lag.state for lag in await destinations.lags(conn)} == {"active"}


async def test_a_crash_sends_no_more_than_the_unsettled_run_again(
    engine: AsyncEngine, elsewhere: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    await append_events(engine, "pb.events", 100)
    limits = DeliveryLimits(unsettled_max=16)
    doomed = deliverer(engine, egress, clock, ledger.policy(), limits=limits)
    async with asyncio.TaskGroup() as group:
        crashing = group.create_task(doomed.drain())
        while ledger.record().last < 40:
            await asyncio.wait([crashing], timeout=0.001)
        crashing.cancel()
    reached = ledger.record().last
    assert reached < 100
    clock.advance(11)
    await deliverer(elsewhere, egress, clock, ledger.policy(), limits=limits).drain()
    assert_faultless(ledger, last=100)
    assert 0 < ledger.record().duplicates <= 17


async def test_more_streams_than_a_destination_has_pumps_all_get_their_turn(
    engine: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    for stream in ("a.events", "b.events", "c.events"):
        await append_events(engine, stream, 2)
    limits = DeliveryLimits(pumps_per_destination_max=1)
    sender = deliverer(engine, egress, clock, ledger.policy(), limits=limits)
    delivered = [await sender.drain() for _ in range(3)]
    assert sum(delivered) == 6


async def test_a_log_with_a_hole_stalls_aloud_instead_of_skipping(
    engine: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    await append_events(engine, "pb.events", 5)
    async with engine.begin() as conn:
        await conn.execute(text("DELETE FROM log WHERE position = 3"))
    assert await deliverer(engine, egress, clock, ledger.policy()).drain() == 0
    stalled = await cursor(engine)
    assert (stalled.position, stalled.failures) == (0, 1)
    assert "has not every entry from 1 to 5" in str(stalled.last_error)


async def test_a_running_deliverer_sends_what_it_is_woken_for_and_gives_its_cursor_back(engine: AsyncEngine) -> None:
    clock = SystemClock()
    async with consuming(clock) as ledger, HttpEgress(clock) as egress, asyncio.TaskGroup() as group:
        patient = DeliveryLimits(linger_s=600, lease_margin_s=700)
        sender = deliverer(engine, egress, clock, ledger.policy(), limits=patient)
        running = group.create_task(sender.run())
        for last in (3, 6, 9):
            await append_events(engine, "pb.events", 3)
            sender.wake("pb.events")
            while ledger.record().last < last:
                await asyncio.wait([running], timeout=0.005)
        sender.stop()
        await running
        assert_faultless(ledger, last=9)
        row = await cursor(engine)
        assert row.position == 9
        assert row.due_at <= clock.now()


async def test_a_pump_that_looks_and_finds_nothing_new_gives_its_cursor_back_and_delivery_goes_on(
    engine: AsyncEngine,
) -> None:
    clock = SystemClock()
    async with consuming(clock) as ledger, HttpEgress(clock) as egress, asyncio.TaskGroup() as group:
        hasty = DeliveryLimits(linger_s=0.01)
        sender = deliverer(engine, egress, clock, ledger.policy(), limits=hasty)
        running = group.create_task(sender.run())
        for last in (2, 4):
            await append_events(engine, "pb.events", 2)
            sender.wake("pb.events")
            while ledger.record().last < last or (await cursor(engine)).due_at > clock.now():
                await asyncio.wait([running], timeout=0.005)
                assert not running.done()
        sender.stop()
        await running
        assert_faultless(ledger, last=4)


async def test_a_destination_that_never_answers_delays_no_other(engine: AsyncEngine) -> None:
    clock = SystemClock()
    async with consuming(clock) as quick, consuming(clock) as hung, HttpEgress(clock) as egress:
        hung.consumer.behave(Behaviour(Mode.HANG))
        policies = hung.policy("hung", timeout_s=PATIENCE_S * 2), quick.policy("quick")
        sender = deliverer(engine, egress, clock, *policies)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(sender.run())
            for last in (50, 100):
                await append_events(engine, "pb.events", 50)
                sender.wake("pb.events")
                while quick.record().last < last:
                    await asyncio.wait([running], timeout=0.005)
            assert hung.consumer.requests == 1
            running.cancel()
        assert_faultless(quick, last=100)


async def test_a_database_that_went_away_costs_no_lease(
    engine: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running, elsewhere: AsyncEngine
) -> None:
    await append_events(engine, "pb.events", 3)
    gate = Gate(egress)
    sender = deliverer(engine, gate, clock, ledger.policy())
    async with asyncio.TaskGroup() as group:
        cut = group.create_task(sender.drain())
        await gate.waiting.wait()
        async with elsewhere.connect() as conn:
            await conn.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                     " AND pid <> pg_backend_pid()")
            )  # fmt: skip
        gate.open.set()
    assert cut.result() == 3
    assert (await cursor(elsewhere)).position == 0
    assert await sender.drain() == 3, "its own lease need not be waited for"
    assert_faultless(ledger, last=3)


def test_a_lease_that_could_end_while_its_holder_waits_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="lease_margin_s"):
        replace(DeliveryLimits(), lease_margin_s=3.0)
