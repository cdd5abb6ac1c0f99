"""How one entry of a log was heard, and who was told of it: what is on record of it anywhere else."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.core.event import SEQUENCE_MAX

ATTEMPTS_LOOKED_AT_MAX = 1_000
"""Of a destination, the newest."""


class Sighting(NamedTuple):
    """A delivery without a number that turned out to be this event."""

    transport: str
    received_at: datetime


class Variant(NamedTuple):
    """Other content that was heard under the same number."""

    transport: str
    received_at: datetime
    type: str
    digest: bytes
    held: bool


class Delivery(NamedTuple):
    """One destination and this entry. ``state`` is ``waiting``, ``dealt with`` where its cursor is past it, or what
    has become of it since it was parked."""

    destination: str
    state: str
    position: int
    status: int | None
    error: str | None


class Attempt(NamedTuple):
    """An attempt, or a run of them, that this entry was part of."""

    destination: str
    first: int
    last: int
    outcome: str
    status: int | None
    error: str | None
    latency_max_ms: float
    started_at: datetime
    ended_at: datetime


_SIGHTINGS = text("""
SELECT transport, received_at FROM sightings WHERE stream_id = :stream_id AND event_id = :event_id
""")

_VARIANTS = text("""
SELECT transport, received_at, type, digest, held FROM variants
WHERE stream_id = :stream_id AND epoch = :epoch AND sequence = :sequence ORDER BY received_at LIMIT :limit
""")

_DELIVERIES = text("""
SELECT d.name, coalesce(p.state, CASE WHEN c.position >= :position OR c.ahead @> CAST(:position AS bigint)
                                      THEN 'dealt with' ELSE 'waiting' END),
       c.position, p.status, p.error
FROM destinations d JOIN cursors c ON c.destination_id = d.id AND c.stream_id = :stream_id
LEFT JOIN parked p ON p.destination_id = d.id AND p.stream_id = :stream_id AND p.position = :position
ORDER BY d.name LIMIT :limit
""")

_ATTEMPTS = text("""
SELECT d.name, a.first, a.last, a.outcome, a.status, a.error, a.latency_max_ms, a.started_at, a.ended_at
FROM (SELECT d.id, d.name FROM destinations d JOIN cursors c ON c.destination_id = d.id AND c.stream_id = :stream_id
      ORDER BY d.name LIMIT :limit) d
CROSS JOIN LATERAL (
    SELECT * FROM (SELECT * FROM attempts WHERE destination_id = d.id ORDER BY id DESC LIMIT :looked_at) AS newest
    WHERE stream_id = :stream_id AND :position BETWEEN first AND last ORDER BY id DESC LIMIT 5) a
ORDER BY a.ended_at DESC
""")

_NUMBERED = text("""
SELECT position FROM log
WHERE stream_id = :stream_id AND epoch = :epoch AND sequence BETWEEN :sequence AND :most
ORDER BY sequence LIMIT 1
""")


async def sightings(conn: AsyncConnection, *, stream_id: int, event_id: str) -> list[Sighting]:
    """Deliveries of the event that carried no number."""
    rows = (await conn.execute(_SIGHTINGS, {"stream_id": stream_id, "event_id": event_id})).all()
    return [Sighting(*row) for row in rows]


async def variants(conn: AsyncConnection, *, stream_id: int, epoch: int, sequence: int, limit: int) -> list[Variant]:
    """Other content of the number, the oldest first."""
    values = {"stream_id": stream_id, "epoch": epoch, "sequence": sequence, "limit": limit}
    return [Variant(*row) for row in (await conn.execute(_VARIANTS, values)).all()]


async def deliveries(conn: AsyncConnection, *, stream_id: int, position: int, limit: int) -> list[Delivery]:
    """Who is to have the entry, by name, and whether they have."""
    values = {"stream_id": stream_id, "position": position, "limit": limit}
    return [Delivery(*row) for row in (await conn.execute(_DELIVERIES, values)).all()]


async def attempts(conn: AsyncConnection, *, stream_id: int, position: int, limit: int) -> list[Attempt]:
    """The newest attempts that concern the entry, as far as each destination's last ones are looked at."""
    values = {"stream_id": stream_id, "position": position, "limit": limit, "looked_at": ATTEMPTS_LOOKED_AT_MAX}
    return [Attempt(*row) for row in (await conn.execute(_ATTEMPTS, values)).all()]


async def position_of(conn: AsyncConnection, *, stream_id: int, epoch: int, sequence: int) -> int | None:
    """Where the number is told of in the log, or else the first above it."""
    values = {"stream_id": stream_id, "epoch": epoch, "sequence": sequence, "most": SEQUENCE_MAX}
    return (await conn.execute(_NUMBERED, values)).scalar_one_or_none()
