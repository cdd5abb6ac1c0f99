"""Reading the log: entries in order of position, each with the event it tells of."""

from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.core.errors import BridgeError
from bridge.core.event import Kind, LogEntry, Transport, digest_of

SLICE_BYTES_MAX = 1 << 20
"""A slice ends with the entry that brings its payloads to this size: what one reader holds stays bounded."""

_READ = text("""
SELECT position, kind, epoch, sequence, event_id, type, key, transport, occurred_at, received_at, appended_at,
       digest, chain, payload, data
FROM (
    SELECT entry.*, e.event_id, e.type, e.key, e.transport, e.occurred_at, e.received_at, e.digest, e.payload,
           sum(octet_length(coalesce(e.payload, entry.data))) OVER (
               ORDER BY entry.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
           ) AS bytes_before
    FROM (
        SELECT stream_id, position, kind, epoch, sequence, appended_at, chain, data
        FROM log WHERE stream_id = :stream_id AND position > :after ORDER BY position LIMIT :limit
    ) AS entry
    LEFT JOIN events e
        ON e.stream_id = entry.stream_id AND e.epoch = entry.epoch AND e.sequence = entry.sequence
) AS slice
WHERE coalesce(bytes_before, 0) < :bytes_max
ORDER BY position
""")


class LogBroken(BridgeError):
    """The log is not what it promises to be: an entry is missing, or the event that one tells of."""


_KINDS = {kind.value: kind for kind in Kind}
_TRANSPORTS = {transport.value: transport for transport in Transport}


async def read(
    conn: AsyncConnection, *, stream_id: int, stream: str, after: int, limit: int, bytes_max: int = SLICE_BYTES_MAX
) -> list[LogEntry]:
    """The entries after position ``after``, at most ``limit`` of them and about ``bytes_max`` of payload, at least
    one where there is one.

    Raises:
        LogBroken: an entry is missing, or the event that one tells of.
    """
    values = {"stream_id": stream_id, "after": after, "limit": limit, "bytes_max": bytes_max}
    entries = [_entry(stream, row) for row in (await conn.execute(_READ, values)).all()]
    if entries and entries[-1].position != after + len(entries):
        raise LogBroken(f"the log of {stream} has not every entry from {after + 1} to {entries[-1].position}")
    return entries


def _entry(stream: str, row: Row[*tuple[Any, ...]]) -> LogEntry:
    (position, kind, epoch, sequence, event_id, type_, key, transport, occurred_at, received_at, appended_at,
     digest, chain, payload, data) = row  # fmt: skip
    if data is not None:
        return LogEntry(
            stream, position, _KINDS[kind], epoch, None, "", f"bridge.{kind}", "", None, None, appended_at,
            digest_of(data), chain, data,
        )  # fmt: skip
    if payload is None:
        raise LogBroken(f"entry {position} of {stream} tells of event {sequence}, which is not stored")
    return LogEntry(
        stream, position, _KINDS[kind], epoch, sequence, event_id, type_, key, _TRANSPORTS[transport],
        occurred_at, received_at, digest, chain, payload,
    )  # fmt: skip
