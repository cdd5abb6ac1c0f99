"""Heard: how often each transport told of an event of a stream, and how often it was the first to."""

from collections import Counter
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_COUNT = text("""
INSERT INTO heard (stream_id, transport, events, first, last_at)
VALUES (:stream_id, :transport, :events, :first, :now)
ON CONFLICT (stream_id, transport) DO UPDATE
SET events = heard.events + excluded.events, first = heard.first + excluded.first, last_at = excluded.last_at
""")

_READ = text("SELECT transport, events, first FROM heard WHERE stream_id = :stream_id")


async def count(
    conn: AsyncConnection, *, stream_id: int, events: Counter[str], first: Counter[str], now: datetime
) -> None:
    """Add to the counts by transport. The caller holds the stream's lock."""
    for transport in sorted(events):
        values = {
            "stream_id": stream_id,
            "transport": transport,
            "events": events[transport],
            "first": first[transport],
            "now": now,
        }
        await conn.execute(_COUNT, values)


async def read(conn: AsyncConnection, *, stream_id: int) -> dict[str, tuple[int, int]]:
    """Events heard and events heard first, by transport."""
    rows = await conn.execute(_READ, {"stream_id": stream_id})
    return {transport: (events, first) for transport, events, first in rows}
