"""How destinations stand: how far each is on its streams, since when it fails, and what it has parked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store.hours import hour_of

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Standing:
    """One destination on one stream. ``oldest_at`` is when the first entry that it has not taken was appended;
    ``next_try_at`` when the cursor may be taken up, or until when it is held. ``expired`` was deleted untold."""

    destination_id: int
    stream: str
    position: int
    head: int
    failures: int
    failing_since: datetime | None
    last_error: str | None
    next_try_at: datetime
    oldest_at: datetime | None
    expired_first: int | None
    expired_last: int | None

    @property
    def behind(self) -> int:
        return self.head - self.position


@dataclass(frozen=True, slots=True)
class Total:
    """One destination over all of its streams. ``delivered`` were accepted in this hour and the one before."""

    parked: int
    delivered: int
    streams: int = 0
    behind: int = 0
    oldest_at: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    next_try_at: datetime | None = None

    def delivered_per_s(self, now: datetime) -> float:
        return self.delivered / (now - _counted_from(now)).total_seconds()


def _counted_from(now: datetime) -> datetime:
    return hour_of(now) - _HOUR


# The entry is looked up cursor by cursor: one probe of the key each, whatever the planner believes of the log.
_OLDEST_AT = "(SELECT l.appended_at FROM log l WHERE l.stream_id = c.stream_id AND l.position = c.position + 1)"

_CURSORS = text(f"""
SELECT c.destination_id, s.name, c.position, s.position, c.failures, c.failing_since, c.last_error, c.due_at,
       {_OLDEST_AT}, c.expired_first, c.expired_last
FROM cursors c JOIN streams s ON s.id = c.stream_id
WHERE c.destination_id = :id AND s.name > :after
  AND (NOT :behind OR s.position > c.position) AND (NOT :failing OR c.failures > 0)
ORDER BY s.name LIMIT :limit
""")

_TOTALS = text(f"""
SELECT c.destination_id, count(*), coalesce(sum(s.position - c.position), 0)::bigint,
       min(CASE WHEN s.position > c.position THEN {_OLDEST_AT} END), max(c.failures),
       min(c.failing_since) FILTER (WHERE c.failures > 0), min(c.due_at) FILTER (WHERE c.failures > 0)
FROM cursors c JOIN streams s ON s.id = c.stream_id
WHERE c.destination_id = ANY (CAST(:ids AS int[])) GROUP BY c.destination_id
""")

_PARKED = text("""
SELECT destination_id, count(*) FROM parked
WHERE destination_id = ANY (CAST(:ids AS int[])) AND state IN ('parked', 'due') GROUP BY destination_id
""")

_DELIVERED = text("""
SELECT c.destination_id, sum(d.delivered)::bigint
FROM cursors c JOIN delivery_hours d ON d.destination_id = c.destination_id AND d.stream_id = c.stream_id
    AND d.hour = ANY (CAST(:hours AS timestamptz[]))
WHERE c.destination_id = ANY (CAST(:ids AS int[])) GROUP BY c.destination_id
""")


async def cursors(
    conn: AsyncConnection,
    destination_id: int,
    *,
    after: str = "",
    behind: bool = False,
    failing: bool = False,
    limit: int,
) -> list[Standing]:
    """By stream, the first whose name is behind ``after``: of all, or of those that are behind, or that fail."""
    values = {"id": destination_id, "after": after, "behind": behind, "failing": failing, "limit": limit}
    return [Standing(*row) for row in (await conn.execute(_CURSORS, values)).all()]


async def totals(conn: AsyncConnection, destination_ids: Sequence[int], *, now: datetime) -> dict[int, Total]:
    """By the destination's id."""
    ids = {"ids": list(destination_ids)}
    hours = [_counted_from(now), hour_of(now)]
    parked = {row[0]: row[1] for row in (await conn.execute(_PARKED, ids)).all()}
    delivered = {row[0]: row[1] for row in (await conn.execute(_DELIVERED, {**ids, "hours": hours})).all()}
    stands = {row[0]: row[1:] for row in (await conn.execute(_TOTALS, ids)).all()}
    return {
        each: Total(parked.get(each, 0), delivered.get(each, 0), *stands.get(each, ())) for each in destination_ids
    }
