"""Reading the log: entries in order of position, each with the event it tells of."""

from datetime import datetime
from typing import Any, NamedTuple

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

_GLANCE = text("""
SELECT entry.position, entry.kind, entry.sequence, coalesce(e.type, 'bridge.' || entry.kind), coalesce(e.key, ''),
       e.transport, e.occurred_at, coalesce(e.received_at, entry.appended_at),
       substring(coalesce(entry.data, e.payload) FROM 1 FOR CAST(:bytes_max AS int))
FROM (
    SELECT stream_id, position, kind, epoch, sequence, appended_at, data
    FROM log WHERE stream_id = :stream_id AND position > :after ORDER BY position LIMIT :limit
) AS entry
LEFT JOIN events e ON e.stream_id = entry.stream_id AND e.epoch = entry.epoch AND e.sequence = entry.sequence
ORDER BY entry.position
""")


class Glimpse(NamedTuple):
    """An entry as it is leafed past. ``beginning`` is the first of what it says."""

    position: int
    kind: str
    sequence: int | None
    type: str
    key: str
    transport: str | None
    occurred_at: datetime | None
    received_at: datetime
    beginning: bytes


class LogBroken(BridgeError):
    """The log is not what it promises to be: an entry is missing, or the event that one tells of."""


_NOT_STORED = "entry {} of {} tells of event {}, which is not stored"
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
    _require_all(stream, after, [entry.position for entry in entries])
    return entries


async def glance(
    conn: AsyncConnection, *, stream_id: int, stream: str, after: int, limit: int, bytes_max: int
) -> list[Glimpse]:
    """All of the next ``limit`` entries, however much they say, with ``bytes_max`` of it. Raises LogBroken."""
    values = {"stream_id": stream_id, "after": after, "limit": limit, "bytes_max": bytes_max}
    found = [Glimpse(*row) for row in (await conn.execute(_GLANCE, values)).all()]
    _require_all(stream, after, [one.position for one in found])
    for one in found:
        if one.beginning is None:
            raise LogBroken(_NOT_STORED.format(one.position, stream, one.sequence))
    return found


def _require_all(stream: str, after: int, positions: list[int]) -> None:
    if positions and positions[-1] != after + len(positions):
        raise LogBroken(f"the log of {stream} has not every entry from {after + 1} to {positions[-1]}")


def _entry(stream: str, row: Row[*tuple[Any, ...]]) -> LogEntry:
    (position, kind, epoch, sequence, event_id, type_, key, transport, occurred_at, received_at, appended_at,
     digest, chain, payload, data) = row  # fmt: skip
    if data is not None:
        return LogEntry(
            stream, position, _KINDS[kind], epoch, None, "", f"bridge.{kind}", "", None, None, appended_at,
            digest_of(data), chain, data,
        )  # fmt: skip
    if payload is None:
        raise LogBroken(_NOT_STORED.format(position, stream, sequence))
    return LogEntry(
        stream, position, _KINDS[kind], epoch, sequence, event_id, type_, key, _TRANSPORTS[transport],
        occurred_at, received_at, digest, chain, payload,
    )  # fmt: skip
