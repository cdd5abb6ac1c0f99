from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.event import Kind, LogEntry, Transport, digest_of
from bridge.store import log
from tests.logs import START, append_events, append_told, make_stream


async def read(engine: AsyncEngine, *, after: int = 0, limit: int = 256) -> list[LogEntry]:
    stream = await make_stream(engine, "pb.events")
    async with engine.connect() as conn:
        return await log.read(conn, stream_id=stream.id, stream=stream.name, after=after, limit=limit)


async def test_entries_are_read_in_order_after_a_position_and_up_to_a_limit(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 9)
    await append_events(engine, "other.events", 3)
    assert [entry.position for entry in await read(engine, after=3, limit=4)] == [4, 5, 6, 7]
    assert await read(engine, after=9) == []


async def test_a_venue_event_and_what_the_bridge_tells_are_read_as_the_same_kind_of_thing(
    engine: AsyncEngine,
) -> None:
    await append_events(engine, "pb.events", 1, payload=b'{ "n": 1 }')
    await append_told(engine, "pb.events", Kind.GAP, b'{"first":2}')
    event, gap = await read(engine)
    assert (event.kind, event.sequence, event.event_id, event.transport) == (
        Kind.EVENT,
        1,
        "event-1",
        Transport.WEBHOOK,
    )
    assert (event.payload, event.digest) == (b'{ "n": 1 }', digest_of(b'{ "n": 1 }'))
    assert (gap.kind, gap.sequence, gap.type, gap.transport) == (Kind.GAP, None, "bridge.gap", None)
    assert (gap.payload, gap.digest) == (b'{"first":2}', digest_of(b'{"first":2}'))
    assert (gap.occurred_at, gap.received_at) == (None, START)


async def test_a_slice_of_large_payloads_is_cut_short_but_never_empty(engine: AsyncEngine) -> None:
    large = b'"' + b"x" * (log.SLICE_BYTES_MAX // 2) + b'"'
    await append_events(engine, "pb.events", 5, payload=large)
    assert [entry.position for entry in await read(engine)] == [1, 2]
    await append_events(engine, "pb.events", 1, payload=large * 3)
    assert [entry.position for entry in await read(engine, after=5)] == [6]
