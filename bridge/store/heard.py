"""Heard: how often each transport told of an event of a stream, and how often it was the first to."""

from sqlalchemy import text

from bridge.store.direct import Executes

_READ = text("SELECT transport, events, first FROM heard WHERE stream_id = :stream_id")


async def read(conn: Executes, *, stream_id: int) -> dict[str, tuple[int, int]]:
    """Events heard and events heard first, by transport."""
    rows = await conn.execute(_READ, {"stream_id": stream_id})
    return {transport: (events, first) for transport, events, first in rows}
