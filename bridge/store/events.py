"""Events: what the venue said, once per number, payload verbatim."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text

from bridge.core.event import Event, Transport
from bridge.store.direct import Executes

LOOKED_AT_MAX = 100_000
"""Stored events that are held against one page of a list, or against its end."""


class Stored(NamedTuple):
    """What a stored event is compared by."""

    event_id: str
    type: str
    key: str
    digest: bytes


class Pending(NamedTuple):
    """A stored event at or above the frontier."""

    sequence: int
    digest: bytes
    occurred_at: datetime | None
    received_at: datetime
    event_id: str


INSERT = text("""
INSERT INTO events (stream_id, epoch, sequence, event_id, type, key, transport, occurred_at, received_at,
                    digest, payload)
SELECT :stream_id, :epoch, sequence, event_id, type, key, transport, occurred_at, :received_at, digest, payload
FROM unnest(CAST(:sequences AS bigint[]), CAST(:event_ids AS text[]), CAST(:types AS text[]),
            CAST(:keys AS text[]), CAST(:transports AS text[]), CAST(:occurred AS timestamptz[]),
            CAST(:digests AS bytea[]), CAST(:payloads AS bytea[]))
     AS heard (sequence, event_id, type, key, transport, occurred_at, digest, payload)
ON CONFLICT DO NOTHING
RETURNING sequence
""")

_STORED = text("""
SELECT sequence, event_id, type, key, digest FROM events
WHERE stream_id = :stream_id AND epoch = :epoch AND sequence = ANY(CAST(:sequences AS bigint[]))
""")

_PAYLOAD = text("""
SELECT payload FROM events WHERE stream_id = :stream_id AND epoch = :epoch AND sequence = :sequence
""")

_PENDING = text("""
SELECT sequence, digest, occurred_at, received_at, event_id FROM events
WHERE stream_id = :stream_id AND epoch = :epoch AND sequence >= :frontier
ORDER BY sequence LIMIT :limit
""")

_NUMBERS = text("""
SELECT sequence, received_at FROM events
WHERE stream_id = :stream_id AND epoch = :epoch AND sequence BETWEEN :first AND :last
ORDER BY sequence LIMIT :limit
""")

_UNLISTED = text("""
SELECT sequence, count(*) OVER ()
FROM (SELECT sequence, occurred_at, received_at FROM events
      WHERE stream_id = :stream_id AND epoch = :epoch AND sequence > :after AND sequence <= :upto
      ORDER BY sequence DESC LIMIT :looked_at) AS e
WHERE received_at <= :heard_before AND coalesce(occurred_at, received_at) > :retained_since
  AND NOT EXISTS (SELECT 1 FROM unnest(CAST(:listed AS bigint[])) AS row (number) WHERE number = e.sequence)
ORDER BY sequence LIMIT :limit
""")

_LAST_BELOW = text("""
SELECT sequence, occurred_at FROM events
WHERE stream_id = :stream_id AND epoch = :epoch AND sequence < :below
ORDER BY sequence DESC LIMIT 1
""")

_FIRST_SINCE = text("""
SELECT sequence FROM events
WHERE stream_id = :stream_id AND epoch = :epoch AND sequence >= :lowest
  AND coalesce(occurred_at, received_at) > :since
ORDER BY sequence LIMIT 1
""")

_NEXT_RECEIVED = text("""
SELECT received_at FROM events
WHERE stream_id = :stream_id AND epoch = :epoch AND sequence > :sequence ORDER BY sequence LIMIT 1
""")

_BY_ID = text("""
SELECT event_id, epoch, sequence FROM events
WHERE stream_id = :stream_id AND transport = 'replay' AND event_id = ANY(CAST(:event_ids AS text[]))
""")


async def insert(
    conn: Executes,
    *,
    stream_id: int,
    epoch: int,
    heard: Sequence[tuple[Event, Transport]],
    received_at: datetime,
) -> set[int]:
    """Store what is new of ``heard`` (numbered, ascending, each number once); returns the numbers that were."""
    rows = [event for event, _ in heard]
    values = {
        "stream_id": stream_id,
        "epoch": epoch,
        "received_at": received_at,
        "sequences": [event.sequence for event in rows],
        "event_ids": [event.event_id for event in rows],
        "types": [event.type for event in rows],
        "keys": [event.key for event in rows],
        "transports": [transport.value for _, transport in heard],
        "occurred": [event.occurred_at for event in rows],
        "digests": [event.digest for event in rows],
        "payloads": [event.payload for event in rows],
    }
    return set((await conn.execute(INSERT, values)).scalars())


async def stored(conn: Executes, *, stream_id: int, epoch: int, sequences: Sequence[int]) -> dict[int, Stored]:
    """What is stored under ``sequences``, by number."""
    rows = await conn.execute(_STORED, {"stream_id": stream_id, "epoch": epoch, "sequences": list(sequences)})
    return {row[0]: Stored(*row[1:]) for row in rows}


async def payload(conn: Executes, *, stream_id: int, epoch: int, sequence: int) -> bytes:
    """The payload of one stored event, verbatim."""
    values = {"stream_id": stream_id, "epoch": epoch, "sequence": sequence}
    return bytes((await conn.execute(_PAYLOAD, values)).scalar_one())


async def pending(conn: Executes, *, stream_id: int, epoch: int, frontier: int, limit: int) -> list[Pending]:
    """The first ``limit`` stored events at or above ``frontier``, ascending."""
    values = {"stream_id": stream_id, "epoch": epoch, "frontier": frontier, "limit": limit}
    return [Pending(*row) for row in await conn.execute(_PENDING, values)]


async def numbers(
    conn: Executes, *, stream_id: int, epoch: int, first: int, last: int, limit: int
) -> list[tuple[int, datetime]]:
    """The stored numbers from ``first`` to ``last`` (inclusive) with their hearing, ascending, at most ``limit``."""
    values = {"stream_id": stream_id, "epoch": epoch, "first": first, "last": last, "limit": limit}
    return [(row[0], row[1]) for row in await conn.execute(_NUMBERS, values)]


async def unlisted(
    conn: Executes,
    *,
    stream_id: int,
    epoch: int,
    after: int,
    upto: int,
    listed: Collection[int],
    heard_before: datetime,
    retained_since: datetime,
    limit: int,
) -> tuple[list[int], int]:
    """What is stored in ``(after, upto]`` and not among ``listed``: the first ``limit`` numbers, and how many in all.

    Only what was heard before a time counts, and only what happened after another. The newest ``LOOKED_AT_MAX`` are
    looked at.
    """
    values = {
        "stream_id": stream_id,
        "epoch": epoch,
        "after": after,
        "upto": upto,
        "listed": list(listed),
        "looked_at": LOOKED_AT_MAX,
        "heard_before": heard_before,
        "retained_since": retained_since,
        "limit": limit,
    }
    rows = (await conn.execute(_UNLISTED, values)).all()
    return [row[0] for row in rows], rows[0][1] if rows else 0


async def last_below(conn: Executes, *, stream_id: int, epoch: int, below: int) -> tuple[int, datetime | None] | None:
    """Number and venue time of the nearest stored event under ``below``, or None."""
    row = (await conn.execute(_LAST_BELOW, {"stream_id": stream_id, "epoch": epoch, "below": below})).first()
    return None if row is None else (row[0], row[1])


async def first_since(conn: Executes, *, stream_id: int, epoch: int, lowest: int, since: datetime) -> int | None:
    """The first stored number from ``lowest`` on that happened after ``since``, or None."""
    values = {"stream_id": stream_id, "epoch": epoch, "lowest": lowest, "since": since}
    found: int | None = (await conn.execute(_FIRST_SINCE, values)).scalar_one_or_none()
    return found


async def next_received(conn: Executes, *, stream_id: int, epoch: int, sequence: int) -> datetime | None:
    """When the nearest stored event above ``sequence`` was heard, or None."""
    values = {"stream_id": stream_id, "epoch": epoch, "sequence": sequence}
    found: datetime | None = (await conn.execute(_NEXT_RECEIVED, values)).scalar_one_or_none()
    return found


async def by_id(conn: Executes, *, stream_id: int, event_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Epoch and number of the events heard by replay first, by venue id."""
    rows = await conn.execute(_BY_ID, {"stream_id": stream_id, "event_ids": list(event_ids)})
    return {row[0]: (row[1], row[2]) for row in rows}
