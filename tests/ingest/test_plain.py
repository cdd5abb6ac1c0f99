"""A plain batch is one statement, and whatever makes it less than plain is noticed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.event import listen, remove
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.chain import ORIGIN, link
from bridge.core.errors import StoreRefused
from bridge.core.event import LogEntry, Transport
from bridge.core.span import Span
from bridge.ingest import Base, Door, Finding, StreamSpec
from bridge.store import events, heard, log, streams
from bridge.store.evidence import Evidence
from bridge.store.streams import Stream
from tests.events import START, event

pytestmark = pytest.mark.anyio

NAME = "pb.events"
SPECS = {NAME: StreamSpec(NAME, "pb", "venue", settle_s=2.0)}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def door(engine: AsyncEngine, clock: ManualClock) -> AsyncIterator[Door]:
    async with Door(engine, clock, SPECS) as opened:
        await opened.record(NAME, Finding(1, base=Base(1, START)))
        yield opened


async def hear(door: Door, *numbers: int) -> None:
    await door.accept(NAME, [event(number) for number in numbers], transport=Transport.WEBHOOK)


async def written(engine: AsyncEngine) -> tuple[Stream, list[LogEntry]]:
    """The stream and its log, whose chain was followed from the origin."""
    async with engine.connect() as connection:
        stream = await streams.read(connection, NAME)
        assert stream is not None
        entries = await log.read(connection, stream_id=stream.id, stream=NAME, after=0, limit=10_000)
    chain = ORIGIN
    for entry in entries:
        chain = link(chain, entry.position, entry.kind, entry.epoch, entry.sequence, entry.digest)
        assert entry.chain == chain
    assert (stream.position, stream.chain) == (len(entries), chain)
    return stream, entries


@contextmanager
def statements(engine: AsyncEngine) -> Iterator[list[str]]:
    """What connections are asked that leave the pool meanwhile."""
    asked: list[str] = []

    def note(query: Any) -> None:
        asked.append(query.query.split()[0])

    def watch(_connection: Any, record: Any, _proxy: Any) -> None:
        record.driver_connection.add_query_logger(note)

    def leave(_connection: Any, record: Any) -> None:
        record.driver_connection.remove_query_logger(note)

    listen(engine.sync_engine, "checkout", watch)
    listen(engine.sync_engine, "checkin", leave)
    try:
        yield asked
    finally:
        remove(engine.sync_engine, "checkout", watch)
        remove(engine.sync_engine, "checkin", leave)


async def test_a_plain_batch_is_one_statement_and_tells_the_same(door: Door, engine: AsyncEngine) -> None:
    await hear(door, 1)
    with statements(engine) as asked:
        await hear(door, 4, 2, 3)
    assert [word for word in asked if word != "ROLLBACK;"] == ["WITH"]  # the pool's own way to take one back
    stream, entries = await written(engine)
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4]
    assert [entry.payload for entry in entries] == [event(number).payload for number in (1, 2, 3, 4)]
    assert (stream.frontier, stream.head, stream.stalled_at) == (5, 4, None)
    async with engine.connect() as connection:
        assert await heard.read(connection, stream_id=stream.id) == {"webhook": (4, 4)}


async def test_what_stands_behind_a_hole_is_stored_by_one_statement_too(door: Door, engine: AsyncEngine) -> None:
    await hear(door, 2)
    with statements(engine) as asked:
        await hear(door, 5, 3)
    assert "WITH" in asked
    assert "SELECT" not in asked
    stream, entries = await written(engine)
    assert (entries, stream.frontier, stream.head) == ([], 1, 5)
    async with engine.connect() as connection:
        assert set(await events.stored(connection, stream_id=stream.id, epoch=1, sequences=[2, 3, 4, 5])) == {2, 3, 5}
    await hear(door, 1)
    assert [entry.sequence for entry in (await written(engine))[1]] == [1, 2, 3]


async def test_what_another_door_has_written_since_is_seen(
    door: Door, engine: AsyncEngine, clock: ManualClock
) -> None:
    async with Door(engine, clock, SPECS) as other:
        await hear(door, 1)
        await hear(other, 2)
        await hear(door, 3)
        await hear(other, 4)
        await door.accept(NAME, [event(4), event(5)], transport=Transport.REPLAY)
    stream, entries = await written(engine)
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4, 5]
    async with engine.connect() as connection:
        assert await heard.read(connection, stream_id=stream.id) == {"webhook": (4, 4), "replay": (2, 1)}


async def test_evidence_that_another_door_has_added_since_is_heeded(
    door: Door, engine: AsyncEngine, clock: ManualClock
) -> None:
    await hear(door, 1)
    async with Door(engine, clock, SPECS) as other:
        await other.record(NAME, Finding(1, (Evidence(Span.inclusive(2, 5), "proof", {}),)))
    await hear(door, 7)
    await hear(door, 6)
    assert [entry.sequence for entry in (await written(engine))[1]] == [1, 6, 7]


async def test_two_doors_at_once_tell_every_event_once(door: Door, engine: AsyncEngine, clock: ManualClock) -> None:
    async def tell(one: Door, *places: int) -> None:
        for first in range(1, 400, 4):
            await hear(one, *(first + place for place in places))

    async with Door(engine, clock, SPECS) as other, asyncio.TaskGroup() as tasks:
        tasks.create_task(tell(door, 0, 1, 3))
        tasks.create_task(tell(other, 3, 2))
    stream, entries = await written(engine)
    assert [entry.sequence for entry in entries] == list(range(1, 401))
    async with engine.connect() as connection:
        assert await heard.read(connection, stream_id=stream.id) == {"webhook": (500, 400)}


async def test_a_number_that_is_refused_by_its_key_takes_the_whole_statement_with_it(
    door: Door, engine: AsyncEngine
) -> None:
    await hear(door, 1)
    async with engine.begin() as connection:  # what no door does: a row above the head
        await connection.execute(
            text("INSERT INTO events SELECT stream_id, epoch, 3, event_id, type, key, transport, occurred_at,"
                 " received_at, digest, payload FROM events")
        )  # fmt: skip
    with pytest.raises(StoreRefused):
        await door.accept(NAME, [event(3)], transport=Transport.WEBHOOK)
    stream, entries = await written(engine)
    assert ([entry.sequence for entry in entries], stream.head) == ([1], 1)
    await hear(door, 2)
    assert [entry.sequence for entry in (await written(engine))[1]] == [1, 2]


async def test_after_a_statement_that_failed_nothing_is_taken_for_granted(door: Door, engine: AsyncEngine) -> None:
    await hear(door, 1)
    with pytest.raises(StoreRefused):
        await door.accept(NAME, [event(2)._replace(type="no\0text")], transport=Transport.WEBHOOK)
    with statements(engine) as asked:
        await hear(door, 2)
    assert "SELECT" in asked
    assert [entry.sequence for entry in (await written(engine))[1]] == [1, 2]
