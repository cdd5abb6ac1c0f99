"""The door: one transaction a batch, every number once, in order, whatever way and order it comes."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.event import listens_for, remove
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.chain import ORIGIN, link
from bridge.core.errors import Overloaded, StoreRefused, StoreUnavailable
from bridge.core.event import Kind, LogEntry, Transport
from bridge.core.span import Span
from bridge.ingest import Base, Door, Finding, NewEpoch, StreamSpec
from bridge.store import gaps, heard, log, sightings, streams, sweeps
from bridge.store.engine import make_engine
from bridge.store.evidence import Evidence
from bridge.store.streams import Stream
from tests.events import START, event

pytestmark = pytest.mark.anyio

SPECS = {
    "pb.events": StreamSpec("pb.events", "pb", "venue", settle_s=2.0),
    "pb.ws": StreamSpec("pb.ws", "pb", "bridge", settle_s=2.0),
}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def door(engine: AsyncEngine, clock: ManualClock) -> AsyncIterator[Door]:
    async with Door(engine, clock, SPECS) as opened:
        yield opened


async def began(door: Door, number: int = 1) -> None:
    await door.record("pb.events", Finding(1, base=Base(number, START)))


async def hear(door: Door, *numbers: int, transport: Transport = Transport.WEBHOOK) -> None:
    await door.accept("pb.events", [event(number) for number in numbers], transport=transport)


async def stream_of(engine: AsyncEngine, name: str = "pb.events") -> Stream:
    async with engine.connect() as connection:
        found = await streams.read(connection, name)
    assert found is not None
    return found


async def entries_of(engine: AsyncEngine, name: str = "pb.events") -> list[LogEntry]:
    async with engine.connect() as connection:
        stream = await streams.read(connection, name)
        assert stream is not None
        return await log.read(connection, stream_id=stream.id, stream=name, after=0, limit=10_000)


def told(entries: list[LogEntry]) -> list[tuple[str, int | None]]:
    return [(entry.kind.value, entry.sequence) for entry in entries]


def proof(first: int, last: int) -> Finding:
    return Finding(1, (Evidence(Span.inclusive(first, last), "proof", {}),))


def loss(first: int, last: int) -> Finding:
    return Finding(1, (Evidence(Span.inclusive(first, last), "loss", {"oldest_retained": last + 1}),))


async def test_neighbours_are_told_at_once_and_a_hole_holds_back_what_follows(
    door: Door, engine: AsyncEngine
) -> None:
    await began(door)
    await hear(door, 1, 2)
    await hear(door, 4, 5)
    assert told(await entries_of(engine)) == [("event", 1), ("event", 2)]
    await hear(door, 3, transport=Transport.REPLAY)
    assert told(await entries_of(engine)) == [("event", n) for n in (1, 2, 3, 4, 5)]


async def test_positions_are_dense_and_the_chain_recomputes(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await hear(door, 1, 2, 5)
    await door.record("pb.events", proof(3, 5))
    await hear(door, 6)
    chain = ORIGIN
    entries = await entries_of(engine)
    assert [entry.position for entry in entries] == [1, 2, 3, 4]
    for entry in entries:
        chain = link(chain, entry.position, entry.kind, entry.epoch, entry.sequence, entry.digest)
        assert entry.chain == chain
    assert (await stream_of(engine)).chain == chain


async def test_nothing_is_told_before_it_is_known_where_the_stream_begins(door: Door, engine: AsyncEngine) -> None:
    await hear(door, 7, 8)
    assert await entries_of(engine) == []
    await began(door, 7)
    assert told(await entries_of(engine)) == [("event", 7), ("event", 8)]


async def test_a_proven_hole_is_void_and_a_lost_one_is_told_in_place(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await hear(door, 1, 4, 9)
    await door.record("pb.events", proof(2, 3))
    await door.record("pb.events", loss(5, 8))
    entries = await entries_of(engine)
    assert told(entries) == [("event", 1), ("event", 4), ("gap", None), ("event", 9)]
    gap = json.loads(entries[2].payload)
    assert (gap["first"], gap["last"], gap["reason"]) == (5, 8, "lost")
    assert gap["evidence"] == {"oldest_retained": 9}


async def test_evidence_beyond_the_frontier_waits_for_its_turn(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await hear(door, 1, 5, 9)
    await door.record("pb.events", proof(6, 9))
    assert told(await entries_of(engine)) == [("event", 1)]
    await door.record("pb.events", proof(2, 5))
    assert told(await entries_of(engine)) == [("event", 1), ("event", 5), ("event", 9)]


async def test_what_turns_up_in_a_void_is_late_and_raises_the_settling_time(
    door: Door, engine: AsyncEngine, clock: ManualClock
) -> None:
    await began(door)
    await hear(door, 1, 4)
    await door.record("pb.events", proof(2, 4))
    clock.advance(7)
    await hear(door, 3)
    assert told(await entries_of(engine)) == [("event", 1), ("event", 4), ("late", 3)]
    assert (await stream_of(engine)).settle_s == 14
    async with engine.connect() as connection:
        refuted = (await connection.execute(text("SELECT refuted_at IS NOT NULL FROM evidence"))).scalar_one()
    assert refuted


async def test_what_turns_up_in_a_loss_is_recovered(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await hear(door, 1, 4)
    await door.record("pb.events", loss(2, 3))
    await hear(door, 2)
    assert told(await entries_of(engine))[-1] == ("recovered", 2)


async def test_a_duplicate_in_other_spacing_is_no_conflict(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await hear(door, 1)
    spaced = event(1)._replace(payload=b'{ "n" : 1.0 }', digest=b"x" * 32)
    receipt = await door.accept("pb.events", [spaced], transport=Transport.REPLAY)
    assert receipt.conflicts == ()
    assert told(await entries_of(engine)) == [("event", 1)]


async def test_other_content_keeps_the_first_and_is_told_once(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await hear(door, 1)
    variant = event(1, price=2)
    for transport in (Transport.WEBHOOK, Transport.REPLAY):
        receipt = await door.accept("pb.events", [variant], transport=transport)
        assert receipt.conflicts == (1,)
    entries = await entries_of(engine)
    assert told(entries) == [("event", 1), ("conflict", None)]
    assert json.loads(entries[1].payload) == {
        "sequence": 1,
        "kept": event(1).digest.hex(),
        "variant": variant.digest.hex(),
        "transport": "webhook",
    }
    assert entries[0].payload == event(1).payload


async def test_both_contents_of_one_batch_are_kept(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await door.accept("pb.events", [event(1), event(1, price=2), event(2)], transport=Transport.WEBHOOK)
    assert told(await entries_of(engine)) == [("conflict", None), ("event", 1), ("event", 2)]


async def test_mismatch_after_mismatch_freezes_the_stream_and_holds_what_comes(
    door: Door, engine: AsyncEngine
) -> None:
    await began(door)
    await hear(door, *range(1, 11))
    for number in range(1, 6):
        await door.accept("pb.events", [event(number, life=2)], transport=Transport.WEBHOOK)
    assert (await stream_of(engine)).suspect_at is not None
    await hear(door, 11)
    entries = told(await entries_of(engine))
    assert entries == [("event", n) for n in range(1, 11)] + [("conflict", None)] * 4


async def test_a_matching_repeat_in_between_is_a_sign_of_the_same_numbering(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await hear(door, *range(1, 11))
    for number in range(1, 9):
        await door.accept("pb.events", [event(number, life=2)], transport=Transport.WEBHOOK)
        await hear(door, number)
    assert (await stream_of(engine)).suspect_at is None


async def test_a_lifted_suspicion_tells_what_was_held(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await hear(door, *range(1, 7))
    for number in range(1, 6):
        await door.accept("pb.events", [event(number, life=2)], transport=Transport.WEBHOOK)
    await hear(door, 7)
    await door.record("pb.events", Finding(1, same_epoch=True))
    stream = await stream_of(engine)
    assert stream.suspect_at is None
    assert stream.frontier == 8
    kinds = [kind for kind, _ in told(await entries_of(engine))]
    assert kinds.count("conflict") == 5
    assert kinds.count("event") == 7


async def test_a_new_epoch_seals_the_old_one_and_takes_in_what_was_held(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await hear(door, *range(1, 7), 9)
    later = START + timedelta(hours=1)
    for number in range(1, 6):
        again = event(number, event_id=f"new-{number}", life=2)._replace(occurred_at=later)
        await door.accept("pb.events", [again], transport=Transport.WEBHOOK)
    assert (await stream_of(engine)).suspect_at is not None, "one number told backwards is enough"
    await door.open_epoch("pb.events", NewEpoch(1, Base(1, later)))
    entries = await entries_of(engine)
    assert [(e.kind.value, e.epoch, e.sequence) for e in entries[6:]] == [
        ("gap", 1, None),
        ("event", 1, 9),
        ("epoch", 2, None),
        *(("event", 2, number) for number in range(1, 6)),
    ]
    assert json.loads(entries[6].payload)["first"] == 7
    await hear(door, 3)
    assert len(await entries_of(engine)) == len(entries), "a repeat of the sealed epoch is no news"
    await hear(door, 8)
    last = (await entries_of(engine))[-1]
    assert (last.kind, last.epoch, last.sequence) == (Kind.RECOVERED, 1, 8)


async def test_a_finding_of_a_sealed_epoch_says_nothing_of_the_present_one(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await hear(door, 1, 4)
    await door.open_epoch("pb.events", NewEpoch(1, Base(1, START)))
    await door.accept("pb.events", [event(3, event_id="x")], transport=Transport.REPLAY)
    before = await entries_of(engine)
    await door.record("pb.events", proof(1, 3))
    assert await entries_of(engine) == before


async def test_a_delivery_without_a_number_rings_the_bell_and_is_matched(
    door: Door, engine: AsyncEngine, clock: ManualClock
) -> None:
    await began(door)
    async with engine.begin() as connection:
        [tail] = [s for s in await sweeps.due(connection, sources=["pb"], now=START) if s.kind == "tail"]
        assert await sweeps.done(connection, tail, next_at=START.replace(year=2030))
    await door.accept("pb.events", [event(None, event_id="id-1")], transport=Transport.WEBHOOK)
    async with engine.connect() as connection:
        due = await sweeps.due(connection, sources=["pb"], now=clock.now())
    assert "tail" in [sweep.kind for sweep in due]
    assert (await stream_of(engine)).unmatched == 1
    await hear(door, 1, transport=Transport.REPLAY)
    assert (await stream_of(engine)).unmatched == 0
    await door.accept("pb.events", [event(None, event_id="id-1")], transport=Transport.WEBHOOK)
    assert (await stream_of(engine)).unmatched == 0


async def test_a_delivery_without_a_number_may_come_after_its_numbered_row(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await hear(door, 1, transport=Transport.REPLAY)
    await door.accept("pb.events", [event(None, event_id="id-1")], transport=Transport.WEBHOOK)
    assert (await stream_of(engine)).unmatched == 0


async def test_a_stream_of_the_bridges_own_numbers_is_numbered_on_arrival(door: Door, engine: AsyncEngine) -> None:
    for _ in range(3):
        frames = [event(None, event_id="ws:1"), event(None, event_id="ws:2")]
        await door.accept("pb.ws", frames, transport=Transport.WEBSOCKET)
    assert told(await entries_of(engine, "pb.ws")) == [("event", n) for n in range(1, 7)]


async def test_transports_are_counted_and_the_first_to_tell_is_named(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await hear(door, 1, 2)
    await hear(door, 2, 3, transport=Transport.REPLAY)
    stream = await stream_of(engine)
    async with engine.connect() as connection:
        counts = await heard.read(connection, stream_id=stream.id)
    assert counts == {"webhook": (2, 2), "replay": (2, 1)}
    assert [entry.transport for entry in await entries_of(engine)] == ["webhook", "webhook", "replay"]


async def test_one_event_that_postgres_refuses_costs_its_neighbours_nothing(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    good = [door.accept("pb.events", [event(n)], transport=Transport.WEBHOOK) for n in (1, 2, 3)]
    bad = door.accept("pb.events", [event(4, event_id="nul\0nul")], transport=Transport.WEBHOOK)
    outcomes = await asyncio.gather(*good, bad, return_exceptions=True)
    assert isinstance(outcomes[3], StoreRefused)
    assert told(await entries_of(engine)) == [("event", 1), ("event", 2), ("event", 3)]


async def test_many_callers_share_a_commit(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await asyncio.gather(*(hear(door, number) for number in range(1, 201)))
    async with engine.connect() as connection:
        shared = await connection.execute(text("SELECT count(DISTINCT xmin::text) FROM events"))
        assert shared.scalar_one() <= 3
    assert len(await entries_of(engine)) == 200


async def test_a_full_queue_refuses_and_stores_nothing(engine: AsyncEngine, clock: ManualClock) -> None:
    async with Door(engine, clock, SPECS, events_waiting_max=2) as door:
        await began(door)
        with pytest.raises(Overloaded):
            await hear(door, 1, 2, 3)
    assert await entries_of(engine) == []


async def test_a_database_that_is_away_is_told_apart_from_a_bad_event(clock: ManualClock) -> None:
    away = make_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    async with Door(away, clock, SPECS) as door:
        with pytest.raises(StoreUnavailable):
            await hear(door, 1)
    await away.dispose()


async def test_the_log_cannot_be_rewritten(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await hear(door, 1)
    with pytest.raises(DBAPIError, match="append-only"):
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE log SET epoch = 2"))


async def test_a_long_stretch_settles_over_several_transactions(
    door: Door, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.ingest.settling.ENTRIES_MAX", 7)
    await began(door)
    await hear(door, *range(2, 40, 2))
    await door.record("pb.events", proof(1, 38))
    assert told(await entries_of(engine)) == [("event", n) for n in range(2, 40, 2)]


async def test_every_order_of_arrival_gives_the_same_log(engine: AsyncEngine, clock: ManualClock) -> None:
    steps: list[Callable[[Door, str], Awaitable[object]]] = [
        lambda door, name: door.accept(name, [event(1), event(2)], transport=Transport.WEBHOOK),
        lambda door, name: door.accept(name, [event(6), event(7)], transport=Transport.REPLAY),
        lambda door, name: door.record(name, proof(3, 5)),
        lambda door, name: door.accept(name, [event(2), event(9)], transport=Transport.REPLAY),
        lambda door, name: door.record(name, loss(8, 8)),
    ]
    logs = []
    for turn in range(len(steps)):
        name = f"turn{turn}.events"
        specs = {name: StreamSpec(name, f"turn{turn}", "venue", settle_s=2.0)}
        async with Door(engine, clock, specs) as door:
            await door.record(name, Finding(1, base=Base(1, START)))
            for step in steps[turn:] + steps[:turn]:
                await step(door, name)
        logs.append([(e.position, e.kind, e.sequence, e.chain) for e in await entries_of(engine, name)])
    assert logs[0][-1][2] == 9
    assert all(other == logs[0] for other in logs)


async def test_gaps_are_closed_by_what_ended_them(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await hear(door, 1, 4, 6, 9)
    stream = await stream_of(engine)
    async with engine.begin() as connection:
        holes = await gaps.holes(
            connection, stream_id=stream.id, epoch=1, frontier=2, appeared_before=START, limit=10
        )
        assert [(span.first, span.last) for span, _ in holes] == [(2, 3), (5, 5), (7, 8)]
        opened = await gaps.open_all(
            connection, stream_id=stream.id, epoch=1, found=holes, deadline_at=None, now=START
        )
        locked = await streams.lock(connection, stream.id)
        await streams.save(connection, replace(locked, gaps_open=opened))
    await hear(door, 3, transport=Transport.REPLAY)
    await door.record("pb.events", proof(2, 6))
    await door.record("pb.events", loss(7, 8))
    async with engine.connect() as connection:
        found = await gaps.listing(connection, stream_id=stream.id)
    assert [(gap.state, gap.found, gap.lost, gap.healed_by) for gap in found] == [
        ("recovered", 1, 0, "replay"),
        ("void", 0, 0, None),
        ("lost", 0, 2, None),
    ]
    assert (await stream_of(engine)).gaps_open == 0


async def test_a_delivery_without_a_number_finds_a_row_that_a_webhook_told_of_first(
    door: Door, engine: AsyncEngine, clock: ManualClock
) -> None:
    await began(door)
    await hear(door, 1)
    await door.accept("pb.events", [event(None, event_id="id-1")], transport=Transport.WEBHOOK)
    stream = await stream_of(engine)
    assert stream.unmatched == 1
    async with engine.begin() as connection:
        hour = timedelta(hours=1)
        found = await sightings.match_stored(connection, stream_id=stream.id, before=clock.now(), since=hour)
        assert found == 1
        assert await sightings.report(connection, stream_id=stream.id, before=clock.now(), now=clock.now()) == []


async def test_what_a_reader_looks_at_again_is_not_counted_as_heard_twice(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    rows = [event(number) for number in (1, 2, 3)]
    await door.accept("pb.events", rows, transport=Transport.REPLAY)
    await door.accept("pb.events", [*rows, event(4)], transport=Transport.REPLAY, reread_below=4)
    stream = await stream_of(engine)
    async with engine.connect() as connection:
        assert await heard.read(connection, stream_id=stream.id) == {"replay": (4, 4)}


async def test_what_a_reader_finds_new_where_it_has_been_before_is_counted(door: Door, engine: AsyncEngine) -> None:
    await began(door)
    await door.accept("pb.events", [event(1), event(3)], transport=Transport.REPLAY)
    await door.accept("pb.events", [event(1), event(2), event(3)], transport=Transport.REPLAY, reread_below=4)
    stream = await stream_of(engine)
    async with engine.connect() as connection:
        assert await heard.read(connection, stream_id=stream.id) == {"replay": (3, 3)}


async def test_a_connection_with_a_transaction_open_is_not_committed_on(door: Door, engine: AsyncEngine) -> None:
    """A commit there would end a savepoint, and the 202 behind it could be rolled back."""
    await began(door)

    @listens_for(engine.sync_engine, "checkout")
    def begin(connection: Any, _record: object, _proxy: object) -> None:
        connection.run_async(lambda raw: raw.execute("BEGIN"))

    with pytest.raises(StoreUnavailable, match="transaction open"):
        await hear(door, 1)
    remove(engine.sync_engine, "checkout", begin)
    await hear(door, 1)
    assert told(await entries_of(engine)) == [("event", 1)]


async def test_of_a_sealed_epoch_what_was_lost_is_recovered_and_what_was_void_or_never_known_is_late(
    door: Door, engine: AsyncEngine
) -> None:
    await began(door)
    await hear(door, 1, 3, 5)
    await door.record("pb.events", proof(2, 2))
    later = START + timedelta(hours=1)
    await door.open_epoch("pb.events", NewEpoch(1, Base(1, later)))
    await hear(door, 2, 4, 9)
    entries = await entries_of(engine)
    assert [(e.kind.value, e.epoch, e.sequence) for e in entries[2:]] == [
        ("gap", 1, None),
        ("event", 1, 5),
        ("epoch", 2, None),
        ("late", 1, 2),
        ("recovered", 1, 4),
        ("late", 1, 9),
    ]
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT verdict, refuted_at IS NOT NULL FROM evidence ORDER BY first"))
        assert [tuple(row) for row in rows] == [("proof", True), ("loss", False)]
