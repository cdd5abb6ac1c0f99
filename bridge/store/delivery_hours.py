"""What each hour of a destination came to, stream by stream, counted in the transactions that move its cursors.

An hour is the bridge's own clock's, in UTC, and none that is older than one that has begun. Counts are of the hour;
``position`` and ``chain`` say how far the cursor was when it was counted last. There is a row from the moment on in
which the cursor is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.core.latency import bucket_of
from bridge.store.direct import Executes
from bridge.store.hours import begun, hour_of
from bridge.store.tables.reporting import DELIVERIES

_COLUMNS = f"destination_id, stream_id, hour, {', '.join(DELIVERIES)}, latency, position, chain"


@dataclass(slots=True)
class Tally:
    """What is to be added to an hour: entries ``delivered``, of them at the ``first_try``; POSTs, and the ``failed``.

    ``latency`` counts what was delivered by ``bridge.core.latency`` buckets; ``waited_s`` is its sum.
    """

    delivered: int = 0
    first_try: int = 0
    attempts: int = 0
    failed: int = 0
    parked: int = 0
    latency: dict[int, int] = field(default_factory=dict)
    waited_s: float = 0.0

    def accept(self, heard_at: Sequence[datetime], now: datetime, *, first_try: bool) -> None:
        """One POST with entries that were heard then was accepted."""
        self.attempts += 1
        self.delivered += len(heard_at)
        self.first_try += len(heard_at) if first_try else 0
        for at in heard_at:
            latency_s = (now - at).total_seconds()
            self.waited_s += max(0.0, latency_s)
            bucket = bucket_of(latency_s)
            self.latency[bucket] = self.latency.get(bucket, 0) + 1

    def fail(self) -> None:
        """One POST was not accepted."""
        self.attempts += 1
        self.failed += 1

    @property
    def buckets(self) -> list[int]:
        """``latency`` as a list, up to its last count."""
        return [self.latency.get(bucket, 0) for bucket in range(max(self.latency, default=-1) + 1)]


def added(select: str) -> str:
    """The statement that adds what ``select`` finds: ``_COLUMNS``, one row for each cursor."""
    sums = ", ".join(f"{name} = delivery_hours.{name} + excluded.{name}" for name in DELIVERIES)
    return f"""
INSERT INTO delivery_hours ({_COLUMNS}) {select}
ON CONFLICT (destination_id, stream_id, hour) DO UPDATE SET {sums},
    latency = CASE WHEN excluded.latency = '{{}}' THEN delivery_hours.latency
        ELSE ARRAY(SELECT coalesce(was, 0) + coalesce(more, 0)
                   FROM unnest(delivery_hours.latency, excluded.latency) AS bucket (was, more)) END,
    position = excluded.position, chain = excluded.chain"""


def hour(cursor: str) -> str:
    """The hour to count in, for ``added``: ``cursor`` is the alias of what has its key."""
    return begun("delivery_hours", destination_id=f"{cursor}.destination_id", stream_id=f"{cursor}.stream_id")


# The cursor may be another's, who moves it on at this moment: it is written down where it is afterwards.
_ADD = text(
    added(f"""
SELECT c.destination_id, c.stream_id, {hour("c")}, CAST(:delivered AS bigint), CAST(:first_try AS bigint),
    CAST(:attempts AS bigint), CAST(:failed AS bigint), CAST(:parked AS bigint), 0, CAST(:latency AS bigint[]),
    c.position, CASE WHEN c.position = s.forgotten THEN s.forgotten_chain ELSE (
        SELECT l.chain FROM log l WHERE l.stream_id = c.stream_id AND l.position = c.position) END
FROM cursors c JOIN streams s ON s.id = c.stream_id
WHERE c.destination_id = :destination_id AND c.stream_id = :stream_id FOR NO KEY UPDATE OF c
""")
)


async def add(conn: AsyncConnection, destination_id: int, stream_id: int, tally: Tally, *, now: datetime) -> None:
    """Count ``tally``, and where the cursor stands. The caller has moved the cursor in the same transaction."""
    values = {"delivered": tally.delivered, "first_try": tally.first_try, "attempts": tally.attempts}
    values |= {"failed": tally.failed, "parked": tally.parked}
    key = {"destination_id": destination_id, "stream_id": stream_id, "hour": hour_of(now)}
    await conn.execute(_ADD, {**key, **values, "latency": tally.buckets})


class Hour(NamedTuple):
    """An hour of a destination, over all of the streams that were asked for."""

    hour: datetime
    delivered: int
    first_try: int
    attempts: int
    failed: int
    parked: int
    expired: int
    latency: Sequence[int]


class Standing(NamedTuple):
    """How far a cursor was at a time, and how far the log. ``oldest_at``: when what comes next was appended."""

    stream: str
    position: int
    chain: bytes | None
    owed: int
    oldest_at: datetime | None


_HOURS = text(f"""
WITH chosen AS MATERIALIZED (
    SELECT hour, {", ".join(DELIVERIES)}, latency FROM delivery_hours
    WHERE destination_id = :destination_id AND stream_id = ANY (CAST(:stream_ids AS int[]))
      AND hour >= :since AND hour < :until),
spread AS (
    SELECT hour, nth, sum(count) AS count
    FROM chosen CROSS JOIN LATERAL unnest(latency) WITH ORDINALITY AS bucket (count, nth) GROUP BY hour, nth)
SELECT hour, {", ".join(f"sum({name})::bigint" for name in DELIVERIES)},
    coalesce((SELECT array_agg(s.count::bigint ORDER BY s.nth) FROM spread s WHERE s.hour = chosen.hour), '{{}}')
FROM chosen GROUP BY hour ORDER BY hour LIMIT :limit
""")

# How far the log was is as the stream's last hour before the end left it.
_STANDINGS = text("""
WITH stood AS MATERIALIZED (
    SELECT s.id, s.name, d.position, d.chain, greatest(0, coalesce(h.position, 0) - d.position) AS owed
    FROM cursors c JOIN streams s ON s.id = c.stream_id
    CROSS JOIN LATERAL (
        SELECT position, chain FROM delivery_hours d
        WHERE d.destination_id = c.destination_id AND d.stream_id = c.stream_id AND d.hour < :until
        ORDER BY hour DESC LIMIT 1) AS d
    LEFT JOIN LATERAL (
        SELECT position FROM hours h WHERE h.stream_id = s.id AND h.hour < :until ORDER BY hour DESC LIMIT 1) AS h
        ON true
    WHERE c.destination_id = :destination_id AND c.stream_id = ANY (CAST(:stream_ids AS int[])))
SELECT name, position, chain, owed,
    CASE WHEN owed > 0 THEN (
        SELECT appended_at FROM log l WHERE l.stream_id = stood.id AND l.position = stood.position + 1) END
FROM stood ORDER BY name COLLATE "C"
""")


async def read(
    conn: Executes, destination_id: int, stream_ids: Sequence[int], *, since: datetime, until: datetime, limit: int
) -> list[Hour]:
    """The destination's hours that begin in a period, at most ``limit``."""
    values = {"destination_id": destination_id, "stream_ids": list(stream_ids), "since": since, "until": until}
    return [Hour(*row) for row in await conn.execute(_HOURS, {**values, "limit": limit})]


async def standings(
    conn: Executes, destination_id: int, stream_ids: Sequence[int], *, until: datetime
) -> list[Standing]:
    """How far it was with each of these streams at the end of a period, by name, if it had a cursor there."""
    values = {"destination_id": destination_id, "stream_ids": list(stream_ids), "until": until}
    return [Standing(*row) for row in await conn.execute(_STANDINGS, values)]
