"""Streams whose events are known by their ids: each one once, however often it is told."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.event import Event, LogEntry, Transport, digest_of
from bridge.ingest import Door, Receipt, StreamSpec
from bridge.store import log, streams
from bridge.store.streams import Stream
from tests.events import START, event

pytestmark = pytest.mark.anyio

NAME = "cm.payments"
SPEC = StreamSpec(NAME, "cm", "bridge", settle_s=0.0, once=True, suspect_after=1)
SPECS = {NAME: SPEC}


def callback(event_id: str, content: bytes = b'{"amount":"1"}') -> Event:
    told = event(None, event_id=event_id)
    return told._replace(payload=content, digest=digest_of(content), occurred_at=None)


async def hear(engine: AsyncEngine, *told: Event, spec: StreamSpec = SPEC) -> Receipt:
    """Told to a door of its own, as by another process."""
    async with Door(engine, ManualClock(START), {NAME: spec}) as door:
        return await door.accept(NAME, told, transport=Transport.WEBHOOK)


async def written(engine: AsyncEngine) -> tuple[Stream, list[LogEntry]]:
    async with engine.connect() as connection:
        stream = await streams.read(connection, NAME)
        assert stream is not None
        return stream, await log.read(connection, stream_id=stream.id, stream=NAME, after=0, limit=100)


async def heard(engine: AsyncEngine) -> tuple[int, int]:
    async with engine.connect() as connection:
        events, first = (await connection.execute(text("SELECT events, first FROM heard"))).one()
        return events, first


async def test_events_without_numbers_get_them_in_the_order_of_their_arrival(engine: AsyncEngine) -> None:
    assert (await hear(engine, callback("b"), callback("a"))).fresh == (1, 2)
    assert (await hear(engine, callback("c"))).fresh == (3,)
    _, entries = await written(engine)
    assert [(entry.position, entry.sequence, entry.event_id) for entry in entries] == [
        (1, 1, "b"),
        (2, 2, "a"),
        (3, 3, "c"),
    ]


async def test_an_event_that_is_told_again_is_counted_and_is_no_second_event(engine: AsyncEngine) -> None:
    await hear(engine, callback("a"))
    receipt = await hear(engine, callback("b"), callback("a"), callback("b"))
    assert (receipt.fresh, receipt.duplicates, receipt.conflicts) == ((2,), 2, ())
    stream, entries = await written(engine)
    assert [entry.event_id for entry in entries] == ["a", "b"]
    assert (stream.head, stream.frontier, stream.unmatched) == (2, 3, 0)
    assert await heard(engine) == (4, 2)


async def test_equal_content_in_another_order_of_members_is_the_same(engine: AsyncEngine) -> None:
    await hear(engine, callback("a", b'{"x":1,"y":2}'))
    assert (await hear(engine, callback("a", b'{"y":2, "x":1}'))).conflicts == ()
    assert len((await written(engine))[1]) == 1


async def test_other_content_under_a_known_id_is_a_conflict_that_is_told_and_freezes_nothing(
    engine: AsyncEngine,
) -> None:
    await hear(engine, callback("a"))
    for turn in range(3):
        other = callback("a", b'{"amount":"%d"}' % (turn + 2))
        assert (await hear(engine, other)).conflicts == (1,)
        assert (await hear(engine, other)).fresh == ()
    assert (await hear(engine, callback("b"))).fresh == (2,)
    stream, entries = await written(engine)
    assert stream.suspect_at is None
    assert [entry.kind.value for entry in entries] == ["event", "conflict", "conflict", "conflict", "event"]
    assert json.loads(entries[1].payload)["sequence"] == 1
    assert entries[0].payload == b'{"amount":"1"}', "the first telling stays"


async def test_without_ids_that_count_every_arrival_is_an_event(engine: AsyncEngine) -> None:
    receipt = await hear(engine, callback("a"), callback("a"), spec=replace(SPEC, once=False))
    assert (receipt.fresh, receipt.duplicates) == ((1, 2), 0)
