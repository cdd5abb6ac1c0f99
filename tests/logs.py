"""Logs for tests of what reads them: filled by statement, with no door and no venue."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.core.event import Kind, digest_of
from bridge.core.lag import Lag
from bridge.store import streams
from bridge.store.entries import Entry
from bridge.store.finish import finish
from bridge.store.streams import Stream
from bridge.store.tables.incoming import events

START = datetime(2026, 2, 18, 23, 0, 0, 130_000, tzinfo=UTC)


async def make_stream(engine: AsyncEngine, name: str) -> Stream:
    async with engine.begin() as conn:
        return await streams.ensure(conn, name=name, source=name.partition(".")[0], numbering="venue", settle_s=2.0)


async def append_events(
    engine: AsyncEngine,
    name: str,
    count: int,
    *,
    payload: bytes = b'{"price": 1.10}',
    type_: str = "ORDER_MATCHED",
    keys: Sequence[str] = ("market-1",),
) -> None:
    """Append the next ``count`` events, numbered on from the last position, with ``keys`` in turn."""
    await make_stream(engine, name)
    async with engine.begin() as conn:
        stream = await _locked(conn, name)
        first = stream.position + 1
        rows = [
            {
                "stream_id": stream.id,
                "epoch": stream.epoch,
                "sequence": sequence,
                "event_id": f"event-{sequence}",
                "type": type_,
                "key": keys[sequence % len(keys)],
                "transport": "webhook",
                "occurred_at": START + timedelta(seconds=sequence),
                "received_at": START + timedelta(seconds=sequence, milliseconds=20),
                "digest": digest_of(payload),
                "payload": payload,
            }
            for sequence in range(first, first + count)
        ]
        await conn.execute(insert(events), rows)
        told = [Entry(Kind.EVENT, sequence, digest_of(payload)) for sequence in range(first, first + count)]
        await _append(conn, stream, told)


async def append_told(engine: AsyncEngine, name: str, kind: Kind, data: bytes) -> None:
    """Append an entry of the bridge's own."""
    async with engine.begin() as conn:
        await _append(conn, await _locked(conn, name), [Entry.told(kind, data)])


async def _append(conn: AsyncConnection, stream: Stream, told: Sequence[Entry]) -> None:
    await finish(conn, stream, entries=told, told=Counter(), first=Counter(), lag=Lag(), now=START)


async def _locked(conn: AsyncConnection, name: str) -> Stream:
    stream_id = (await conn.execute(text("SELECT id FROM streams WHERE name = :name"), {"name": name})).scalar_one()
    return await streams.lock(conn, stream_id)
