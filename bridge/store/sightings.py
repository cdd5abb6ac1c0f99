"""Sightings: deliveries that carried no number, durable by their id until the numbered row turns up.

Where it is the bridge that numbers them, they have their number at once, and are how a repetition is known.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import text

from bridge.core.event import Event, Transport
from bridge.store.direct import Executes


class Match(NamedTuple):
    """A sighting's id and the number it turned out to be."""

    event_id: str
    epoch: int
    sequence: int


_INSERT = text("""
INSERT INTO sightings (stream_id, event_id, type, key, transport, received_at, payload, epoch, sequence)
SELECT :stream_id, event_id, type, key, transport, :received_at, payload, :epoch, sequence
FROM unnest(CAST(:event_ids AS text[]), CAST(:types AS text[]), CAST(:keys AS text[]),
            CAST(:transports AS text[]), CAST(:payloads AS bytea[]), CAST(:sequences AS bigint[]))
     AS seen (event_id, type, key, transport, payload, sequence)
ON CONFLICT DO NOTHING
RETURNING event_id
""")

_NUMBERS = text("""
SELECT event_id, sequence FROM sightings
WHERE stream_id = :stream_id AND event_id = ANY(CAST(:event_ids AS text[])) AND sequence IS NOT NULL
""")

_MATCH = text("""
UPDATE sightings SET epoch = found.epoch, sequence = found.sequence
FROM unnest(CAST(:event_ids AS text[]), CAST(:epochs AS int[]), CAST(:sequences AS bigint[]))
     AS found (event_id, epoch, sequence)
WHERE sightings.stream_id = :stream_id AND sightings.event_id = found.event_id AND sightings.sequence IS NULL
RETURNING 1
""")

# Slow, and rare: for what waited in vain, over all that was heard since shortly before.
_MATCH_STORED = text("""
UPDATE sightings SET epoch = events.epoch, sequence = events.sequence
FROM events
WHERE sightings.stream_id = :stream_id AND sightings.sequence IS NULL AND reported_at IS NULL
  AND sightings.received_at <= :before
  AND events.stream_id = sightings.stream_id AND events.event_id = sightings.event_id
  AND events.received_at >= (SELECT min(received_at) FROM sightings
                             WHERE stream_id = :stream_id AND sequence IS NULL AND reported_at IS NULL)
                            - CAST(:since AS interval)
""")

_REPORT = text("""
UPDATE sightings SET reported_at = :now
WHERE stream_id = :stream_id AND sequence IS NULL AND reported_at IS NULL AND received_at <= :before
RETURNING event_id
""")


async def insert(
    conn: Executes,
    *,
    stream_id: int,
    seen: Sequence[tuple[Event, Transport]],
    received_at: datetime,
    epoch: int | None = None,
) -> list[str]:
    """Store sightings (each id once); returns the ids that are new. ``epoch`` goes with the numbers they have."""
    rows = [event for event, _ in seen]
    values = {
        "stream_id": stream_id,
        "received_at": received_at,
        "event_ids": [event.event_id for event in rows],
        "types": [event.type for event in rows],
        "keys": [event.key for event in rows],
        "transports": [transport.value for _, transport in seen],
        "payloads": [event.payload for event in rows],
        "sequences": [event.sequence for event in rows],
        "epoch": epoch,
    }
    return list((await conn.execute(_INSERT, values)).scalars())


async def numbers(conn: Executes, *, stream_id: int, event_ids: Sequence[str]) -> dict[str, int]:
    """The numbers that these ids have, as far as they have one."""
    rows = await conn.execute(_NUMBERS, {"stream_id": stream_id, "event_ids": list(event_ids)})
    return {row[0]: row[1] for row in rows}


async def match(conn: Executes, *, stream_id: int, matches: Sequence[Match]) -> int:
    """Give sightings their numbers; returns how many were still waiting for one."""
    values = {
        "stream_id": stream_id,
        "event_ids": [item.event_id for item in matches],
        "epochs": [item.epoch for item in matches],
        "sequences": [item.sequence for item in matches],
    }
    return len((await conn.execute(_MATCH, values)).all())


async def match_stored(conn: Executes, *, stream_id: int, before: datetime, since: timedelta) -> int:
    """Match what waits since ``before`` with events heard up to ``since`` earlier; returns how many found theirs."""
    values = {"stream_id": stream_id, "before": before, "since": since}
    return int((await conn.execute(_MATCH_STORED, values)).rowcount)


async def report(conn: Executes, *, stream_id: int, before: datetime, now: datetime) -> list[str]:
    """Mark the sightings that nothing matched since ``before``; returns the ids not reported yet."""
    values = {"stream_id": stream_id, "before": before, "now": now}
    return list((await conn.execute(_REPORT, values)).scalars())
