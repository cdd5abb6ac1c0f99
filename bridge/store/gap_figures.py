"""Gaps as a report counts them: as they stood when its period ended, whatever became of them since."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text

from bridge.store.direct import Executes


class Ended(NamedTuple):
    """Gaps that ended alike in the period. Times in seconds from their opening to their end."""

    state: str
    healed_by: str | None
    gaps: int
    p50_s: float
    p95_s: float
    max_s: float


class Lost(NamedTuple):
    """A gap that ended in the period with something lost; ``last`` is inclusive, in the unit of the gap's axis."""

    epoch: int
    first: int
    last: int
    axis: str
    lost: int
    opened_at: datetime
    closed_at: datetime


_COUNTS = text("""
SELECT count(*) FILTER (WHERE opened_at >= :since AND opened_at < :until),
       count(*) FILTER (WHERE opened_at < :until AND (closed_at IS NULL OR closed_at >= :until))
FROM gaps WHERE stream_id = :stream_id
""")

_ENDED = text("""
SELECT state, healed_by, count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY took_s),
       percentile_disc(0.95) WITHIN GROUP (ORDER BY took_s), max(took_s)
FROM (SELECT state, healed_by, CAST(extract(epoch FROM closed_at - opened_at) AS double precision) AS took_s
      FROM gaps WHERE stream_id = :stream_id AND closed_at >= :since AND closed_at < :until) AS ended
GROUP BY state, healed_by ORDER BY state, healed_by NULLS FIRST
""")

_LOST = text("""
SELECT epoch, first, last, axis, lost, opened_at, closed_at FROM gaps
WHERE stream_id = :stream_id AND closed_at >= :since AND closed_at < :until AND state = 'lost'
ORDER BY closed_at, id LIMIT :limit
""")


async def counts(conn: Executes, stream_id: int, *, since: datetime, until: datetime) -> tuple[int, int]:
    """How many gaps were opened in the period, and how many were open at its end."""
    row = (await conn.execute(_COUNTS, {"stream_id": stream_id, "since": since, "until": until})).one()
    return row[0], row[1]


async def ended(conn: Executes, stream_id: int, *, since: datetime, until: datetime) -> list[Ended]:
    """The gaps that ended in the period, by how."""
    rows = await conn.execute(_ENDED, {"stream_id": stream_id, "since": since, "until": until})
    return [Ended(*row) for row in rows]


async def lost(conn: Executes, stream_id: int, *, since: datetime, until: datetime, limit: int) -> list[Lost]:
    """The gaps in which something was lost for good, the earliest first, at most ``limit``."""
    values = {"stream_id": stream_id, "since": since, "until": until, "limit": limit}
    return [Lost(*row) for row in await conn.execute(_LOST, values)]
