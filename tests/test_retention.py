"""Retention: what is old goes, whoever missed it is told, and what is told again is still known for a repetition."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from bridge.clock import ManualClock
from bridge.core.event import Kind, Transport
from bridge.core.span import Span
from bridge.ingest import Base, Door, Finding, NewEpoch, StreamSpec
from bridge.retention import Retention, RetentionLimits
from bridge.store import audits, cursors, digests, forgetting, log, proofreading, reads, streams
from bridge.store.audits import Audit
from bridge.store.evidence import Evidence
from bridge.store.forgetting import Forgotten
from bridge.store.reads import Read
from bridge.store.streams import Stream
from tests.deliver.desk import Desk
from tests.deliver.sending import deliverer
from tests.deliver.test_policies import policy
from tests.events import START, event
from tests.logs import make_stream

pytestmark = pytest.mark.anyio

SPECS = {
    "pb.events": StreamSpec("pb.events", "pb", "venue", settle_s=2.0),
    "pay.in": StreamSpec("pay.in", "pay", "bridge", settle_s=2.0, once=True),
}
LIMITS = RetentionLimits(keep_days=30, attempts_days=7, rows_max=4, entries_min=2)
MONTH = 31 * 86_400


class NoPause(ManualClock):
    """Time stands, and nobody waits for it."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)  # noqa: TID251 - a clock's own


@pytest.fixture
def clock() -> NoPause:
    return NoPause(START)


@pytest.fixture
async def door(engine: AsyncEngine, clock: NoPause) -> AsyncIterator[Door]:
    async with Door(engine, clock, SPECS) as opened:
        await opened.record("pb.events", Finding(1, base=Base(1, START)))
        yield opened


@pytest.fixture
def retention(engine: AsyncEngine, clock: NoPause) -> Retention:
    return Retention(engine, clock, LIMITS)


async def hear(door: Door, *numbers: int, transport: Transport = Transport.REPLAY) -> Any:
    return await door.accept("pb.events", [event(number) for number in numbers], transport=transport)


async def ask(engine: AsyncEngine, statement: str, **values: object) -> list[tuple[Any, ...]]:
    async with engine.begin() as conn:
        found = await conn.execute(text(statement), values)
        return [tuple(row) for row in found.all()] if found.returns_rows else []


async def stream_of(engine: AsyncEngine, name: str = "pb.events") -> Stream:
    async with engine.connect() as conn:
        found = await streams.read(conn, name)
    assert found is not None
    return found


async def told(engine: AsyncEngine, name: str = "pb.events") -> list[tuple[int, str, int | None]]:
    """Position, kind and number of what is left of the log."""
    statement = "SELECT l.position, kind, sequence FROM log l JOIN streams s ON s.id = l.stream_id WHERE name = :name"
    return await ask(engine, f"{statement} ORDER BY l.position", name=name)


async def forgotten(engine: AsyncEngine) -> int:
    return int((await ask(engine, "SELECT forgotten FROM streams WHERE name = 'pb.events'"))[0][0])


async def test_what_is_old_goes_and_the_chain_goes_on_from_there(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 11))
    clock.advance(MONTH)
    await hear(door, *range(11, 16))
    assert await retention.tick() == 10
    assert [position for position, _, _ in await told(engine)] == [11, 12, 13, 14, 15]
    assert [row[0] for row in await ask(engine, "SELECT sequence FROM events ORDER BY 1")] == [11, 12, 13, 14, 15]
    async with engine.connect() as conn:
        left = await digests.bounds(conn, "pb.events")
        assert left is not None
        assert left.forgotten == 10
        verdict = await proofreading.verify(conn, left)
    assert (verdict.wrong, verdict.checked) == (None, 5)


async def test_nothing_that_is_younger_goes_nor_what_comes_after_it(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 4))
    clock.advance(86_400 * 30 - 1)
    await hear(door, *range(4, 11))
    assert await retention.tick() == 0
    clock.advance(2)
    # A worker whose clock is behind may append an older time after a younger one.
    await ask(engine, "ALTER TABLE log DISABLE TRIGGER log_is_append_only")
    await ask(engine, "UPDATE log SET appended_at = appended_at - interval '60 days' WHERE position = 6")
    assert await retention.tick() == 3
    assert await forgotten(engine) == 3


async def test_the_newest_entries_stay_however_old_they_are(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 11))
    clock.advance(MONTH * 12)
    assert await retention.tick() == 8
    assert [position for position, _, _ in await told(engine)] == [9, 10]
    stream = await stream_of(engine)
    assert (stream.base, stream.frontier, stream.head, stream.position) == (1, 11, 10, 10)


async def test_what_is_told_again_of_what_was_forgotten_is_a_repetition(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 11))
    clock.advance(MONTH)
    await hear(door, *range(11, 16))
    await retention.tick()
    before = await told(engine)
    for transport in (Transport.REPLAY, Transport.WEBHOOK):
        receipt = await hear(door, *range(1, 17), transport=transport)
        assert receipt.conflicts == ()
        assert receipt.duplicates == (15 if transport is Transport.REPLAY else 16)
    assert await told(engine) == [*before, (16, "event", 16)]
    assert (await stream_of(engine)).suspect_at is None
    assert len(await ask(engine, "SELECT 1 FROM events")) == 6


async def test_other_content_under_a_forgotten_number_is_not_told_either(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 11))
    clock.advance(MONTH)
    await hear(door, 11, 12)
    await retention.tick()
    changed = [event(number, other="content") for number in (3, 3, 11)]
    receipt = await door.accept("pb.events", changed, transport=Transport.WEBHOOK)
    assert receipt.conflicts == (11,)
    assert [kind for _, kind, _ in await told(engine)] == ["event", "event", "conflict"]


async def test_what_turns_up_late_below_the_forgotten_is_not_told_and_above_it_is(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 5), *range(6, 9))
    await door.record("pb.events", proven(5, 5))
    clock.advance(MONTH)
    await hear(door, 9, 10, 12, 13)
    await door.record("pb.events", proven(11, 11))
    await retention.tick()
    await hear(door, 5, 11)
    assert [(kind, number) for _, kind, number in await told(engine)] == [
        ("event", 9), ("event", 10), ("event", 12), ("event", 13), ("late", 11),
    ]  # fmt: skip


async def test_a_numbering_that_began_anew_under_forgotten_numbers_is_noticed_by_its_times(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 11))
    clock.advance(MONTH)
    await hear(door, 11, 12)
    await retention.tick()
    anew = event(1)._replace(occurred_at=clock.now())
    receipt = await door.accept("pb.events", [anew], transport=Transport.WEBHOOK)
    assert receipt.held == 1
    assert (await stream_of(engine)).suspect_at is not None
    await door.open_epoch("pb.events", NewEpoch(1, Base(1, clock.now() - timedelta(seconds=1))))
    assert (await told(engine))[-2:] == [(13, "epoch", None), (14, "event", 1)]


async def test_a_numbering_that_began_anew_without_times_is_asked_about_before_it_is_passed_over(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 11))
    clock.advance(MONTH)
    await hear(door, 11, 12)
    await retention.tick()
    anew = [event(number, anew=True)._replace(occurred_at=None) for number in range(1, 6)]
    for one in anew[:4]:
        await door.accept("pb.events", [one], transport=Transport.WEBHOOK)
    assert (await stream_of(engine)).suspect_at is None
    receipt = await door.accept("pb.events", anew[4:], transport=Transport.WEBHOOK)
    assert receipt.held == 1
    await door.record("pb.events", Finding(1, same_epoch=True))
    stream = await stream_of(engine)
    assert (stream.suspect_at, stream.mismatches) == (None, 0)
    assert [position for position, _, _ in await told(engine)] == [11, 12]


async def test_a_sealed_epoch_may_be_forgotten_and_its_events_are_not_recovered_twice(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 6))
    clock.advance(60)
    await door.open_epoch("pb.events", NewEpoch(1, Base(1, clock.now())))
    young = [event(number)._replace(occurred_at=clock.now()) for number in range(1, 6)]
    await door.accept("pb.events", young, transport=Transport.REPLAY)
    clock.advance(MONTH)
    await retention.tick()
    assert await forgotten(engine) == 9
    before = await told(engine)
    await hear(door, 2, 3)
    await door.accept("pb.events", young[:3], transport=Transport.WEBHOOK)
    assert await told(engine) == before


async def test_an_id_that_was_forgotten_is_still_known_where_the_bridge_numbers(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    paid = [event(None, event_id=f"pay-{number}", n=number) for number in range(1, 8)]
    await door.accept("pay.in", paid, transport=Transport.WEBHOOK)
    clock.advance(MONTH)
    await retention.tick()
    receipt = await door.accept("pay.in", paid, transport=Transport.WEBHOOK)
    assert (receipt.fresh, receipt.duplicates) == ((), 7)
    assert [position for position, _, _ in await told(engine, "pay.in")] == [6, 7]
    sizes = await ask(engine, "SELECT octet_length(payload) > 0, count(*) FROM sightings GROUP BY 1 ORDER BY 1")
    assert sizes == [(False, 5), (True, 2)]


async def test_whoever_is_behind_is_told_in_its_place_and_others_notice_nothing(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 11))
    here, away = Desk(), Desk(*range(3, 100))
    wants = [replace(policy(), name="here"), replace(policy(), name="away")]
    await deliverer(engine, here, clock, wants[0]).drain()
    await deliverer(engine, away, clock, wants[1]).drain()
    clock.advance(MONTH)
    await hear(door, 11, 12)
    with capture_logs() as logs:
        await retention.tick()
    lines = [line for line in logs if line["event"] == "cursor.expired"]
    assert [(line["destination"], line["first"], line["last"]) for line in lines] == [("away", 3, 10)]
    away.refused.clear()
    away.bodies.clear()
    here.bodies.clear()
    await deliverer(engine, here, clock, wants[0]).drain()
    await deliverer(engine, away, clock, wants[1]).drain()
    assert [one["type"] for one in away.bodies][:1] == ["bridge.expired"]
    assert (away.bodies[0]["first"], away.bodies[0]["last"]) == (3, 10)
    assert [one["position"] for one in away.bodies[1:]] == [11, 12]
    assert [one["position"] for one in here.bodies] == [11, 12]


async def test_what_was_missed_grows_until_it_was_told(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 6))
    await stopped_at(engine, clock, 1)
    clock.advance(MONTH)
    await hear(door, *range(6, 11))
    await retention.tick()
    clock.advance(MONTH)
    await hear(door, 11, 12)
    await retention.tick()
    row = (await ask(engine, "SELECT position, sent, expired_first, expired_last, ahead::text FROM cursors"))[0]
    assert row == (10, 10, 2, 10, "{[12,13)}")


async def test_a_lease_from_before_moves_nothing_back(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 11))
    stream_id, destination_id = await stopped_at(engine, clock, 1)
    await ask(engine, "UPDATE destinations SET state = 'active'")
    async with engine.begin() as conn:
        wish = cursors.Wish(destination_id, stream_id, clock.now() + timedelta(days=90))
        [claim] = await cursors.claim(conn, [wish], now=clock.now())
    clock.advance(MONTH)
    await retention.tick()
    async with engine.begin() as conn:
        kept = await cursors.settle(conn, claim, position=2, sent=2, due_at=clock.now(), accepted=True)
    assert kept is None
    assert await ask(engine, "SELECT position FROM cursors") == [(8,)]


async def test_a_new_destination_begins_where_the_log_does_and_misses_nothing(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 11))
    clock.advance(MONTH)
    await retention.tick()
    desk = Desk()
    await deliverer(engine, desk, clock, policy()).drain()
    assert [(one["type"], one["position"]) for one in desk.bodies] == [("ORDER_MATCHED", 9), ("ORDER_MATCHED", 10)]


async def test_a_cursor_that_was_moved_back_below_the_beginning_is_moved_on(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 11))
    clock.advance(MONTH)
    await retention.tick()
    await stopped_at(engine, clock, 3)
    await retention.tick()
    assert await ask(engine, "SELECT position, expired_first, expired_last FROM cursors") == [(8, 4, 8)]


async def test_an_open_gap_keeps_what_it_needs_and_says_so(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 4))
    clock.advance(7_200)
    await hear(door, *range(4, 11))
    await ask(
        engine,
        "INSERT INTO gaps (stream_id, epoch, first, last, opened_at, due_at)"
        " SELECT id, 1, 11, 12, :now, :now FROM streams",
        now=clock.now(),
    )
    clock.advance(MONTH)
    with capture_logs() as logs:
        await retention.tick()
        await retention.tick()
    assert await forgotten(engine) == 3
    assert [line["stream"] for line in logs if line["event"] == "retention.held"] == ["pb.events"]
    await ask(engine, "UPDATE gaps SET state = 'void', closed_at = opened_at")
    await retention.tick()
    assert await forgotten(engine) == 8


async def test_what_lies_beside_the_log_goes_with_it_and_what_is_missing_stays_on_record(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, 1, 2, 4, 5, 7, 8)
    await door.record("pb.events", proven(3, 3))
    await door.record("pb.events", Finding(1, evidence=(Evidence(Span.inclusive(6, 6), "loss", {}),)))
    await door.accept("pb.events", [event(1, other="content")], transport=Transport.WEBHOOK)
    await door.accept("pb.events", [event(None, event_id="id-8")], transport=Transport.WEBHOOK)
    states = ("void", 3), ("lost", 6)
    for state, number in states:
        await ask(
            engine,
            "INSERT INTO gaps (stream_id, epoch, first, last, opened_at, due_at, state, closed_at)"
            " SELECT id, 1, :number, :number, :now, :now, :state, :now FROM streams WHERE name = 'pb.events'",
            number=number,
            state=state,
            now=clock.now(),
        )
    clock.advance(MONTH)
    await hear(door, 9, 10, 11)
    await door.record("pb.events", proven(12, 12))
    await retention.tick()
    kinds = Counter(row[0] for row in await ask(engine, "SELECT verdict FROM evidence"))
    assert kinds == {"loss": 1, "proof": 1}
    assert await ask(engine, "SELECT state FROM gaps") == [("lost",)]
    assert await ask(engine, "SELECT 1 FROM variants") == []
    assert await ask(engine, "SELECT 1 FROM sightings") == []
    assert len(await ask(engine, "SELECT 1 FROM heard")) == 2


async def test_reads_and_audits_go_after_the_same_days_and_younger_ones_stay(
    engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    stream = await make_stream(engine, "pb.events")
    for _ in range(2):
        clock.advance(MONTH)
        async with engine.begin() as conn:
            made = [Read(clock.now(), "proof") for _ in range(6)]
            await reads.insert(conn, stream_id=stream.id, epoch=1, made=made)
            await audits.add(conn, stream_id=stream.id, audit=Audit(began_at=clock.now(), ended_at=clock.now()))
    await retention.tick()
    assert await ask(engine, "SELECT count(*), min(at) FROM reads") == [(6, clock.now())]
    assert await ask(engine, "SELECT count(*), min(began_at) FROM audits") == [(1, clock.now())]


async def test_attempts_have_days_of_their_own_and_what_is_parked_and_gone_is_discarded_aloud(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 11))
    stream_id, destination_id = await stopped_at(engine, clock, 10)
    for days_ago in (40, 8, 6):
        await ask(
            engine,
            "INSERT INTO attempts (destination_id, stream_id, first, last, entries, outcome, latency_max_ms,"
            " started_at, ended_at) VALUES (:d, :s, 1, 1, 1, 'accepted', 1.0, :at, :at)",
            d=destination_id,
            s=stream_id,
            at=clock.now() + timedelta(seconds=MONTH) - timedelta(days=days_ago),
        )
    for position in (1, 10):
        await ask(
            engine,
            "INSERT INTO parked (destination_id, stream_id, position, attempts, parked_at)"
            " VALUES (:d, :s, :position, 1, :at)",
            d=destination_id,
            s=stream_id,
            position=position,
            at=clock.now(),
        )
    clock.advance(MONTH)
    with capture_logs() as logs:
        await retention.tick()
    assert len(await ask(engine, "SELECT 1 FROM attempts")) == 1
    assert await ask(engine, "SELECT position, state, ended_by FROM parked ORDER BY 1") == [
        (1, "discarded", "retention"), (10, "parked", None),
    ]  # fmt: skip
    assert [line["entries"] for line in logs if line["event"] == "parked.expired"] == [1]


async def test_two_at_once_forget_each_entry_once(door: Door, engine: AsyncEngine, clock: NoPause) -> None:
    await hear(door, *range(1, 101))
    await stopped_at(engine, clock, 1)
    clock.advance(MONTH)
    sweepers = [Retention(engine, clock, LIMITS) for _ in range(3)]
    counts = await asyncio.gather(*(sweeper.tick() for sweeper in sweepers))
    assert sum(counts) == 98
    assert await forgotten(engine) == 98
    assert await ask(engine, "SELECT position, expired_first, expired_last FROM cursors") == [(98, 2, 98)]


async def test_one_that_was_cut_short_is_followed_by_the_next(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 11))
    clock.advance(MONTH)
    stream = await stream_of(engine)
    async with engine.connect() as conn:
        await conn.begin()
        step = await forgetting.step(
            conn,
            stream_id=stream.id,
            forgotten=0,
            before=clock.now() - timedelta(days=1),
            tail=0,
            entries_max=5,
            now=clock.now(),
        )
        assert step.forgotten == 5
        # The connection goes away without a commit, as with a process that is killed.
    assert len(await told(engine)) == 10
    assert await retention.tick() == 8
    assert await retention.tick() == 0


async def test_events_that_come_while_it_forgets_lose_nothing(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 201))
    clock.advance(MONTH)

    async def store() -> None:
        for number in range(201, 301):
            await hear(door, number, number - 150, number - 200)

    await asyncio.gather(store(), retention.tick())
    await retention.tick()
    assert [(position, number) for position, _, number in await told(engine)] == [(n, n) for n in range(201, 301)]
    async with engine.connect() as conn:
        left = await digests.bounds(conn, "pb.events")
        assert left is not None
        assert (await proofreading.verify(conn, left)).wrong is None


async def test_what_is_asked_for_and_gone_is_told_as_that(
    door: Door, engine: AsyncEngine, clock: NoPause, retention: Retention
) -> None:
    await hear(door, *range(1, 11))
    clock.advance(MONTH)
    await retention.tick()
    stream = await stream_of(engine)
    async with engine.connect() as conn:
        await forgetting.require_kept(conn, stream_id=stream.id, position=9)
        with pytest.raises(Forgotten, match=r"pb\.events up to position 8 are no longer kept: the first is 9"):
            await forgetting.require_kept(conn, stream_id=stream.id, position=8)
        entries = await log.read(conn, stream_id=stream.id, stream="pb.events", after=8, limit=10)
    assert [(entry.position, entry.kind) for entry in entries] == [(9, Kind.EVENT), (10, Kind.EVENT)]


def proven(first: int, last: int) -> Finding:
    return Finding(1, evidence=(Evidence(Span.inclusive(first, last), "proof", {}),))


async def stopped_at(engine: AsyncEngine, clock: NoPause, position: int) -> tuple[int, int]:
    """A destination that stands at ``position`` and takes nothing; the stream's id and its own."""
    async with engine.begin() as conn:
        made = "INSERT INTO destinations (name, state, changed_at) VALUES ('away', 'stopped', :now) RETURNING id"
        destination_id = (await conn.execute(text(made), {"now": clock.now()})).scalar_one()
    stream = await stream_of(engine)
    await ask(
        engine,
        "INSERT INTO cursors (destination_id, stream_id, position, sent, ahead, due_at)"
        " VALUES (:d, :s, :position, :position, '{[3,4),[12,13)}', :now)",
        d=destination_id,
        s=stream.id,
        position=position,
        now=clock.now(),
    )
    return stream.id, destination_id
