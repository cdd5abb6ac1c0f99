"""Gaps, and sightings without a number, as a report counts them: as its period left them, whatever came since."""

from collections import defaultdict
from collections.abc import Sequence
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


class Bar(NamedTuple):
    """A gap that was open at some time of the period, as the period left it."""

    opened_at: datetime
    closed_at: datetime | None
    state: str
    healed_by: str | None


class Figures(NamedTuple):
    """A stream's gaps in a period: opened in it, open at its end, ended in it and how, and what was lost."""

    opened: int = 0
    open: int = 0
    ended: tuple[Ended, ...] = ()
    lost: tuple[Lost, ...] = ()
    bars: tuple[Bar, ...] = ()
    bars_in_all: int = 0
    unmatched: int = 0


_COUNTS = text("""
SELECT stream_id, count(*) FILTER (WHERE opened_at >= :since AND opened_at < :until),
       count(*) FILTER (WHERE opened_at < :until AND (closed_at IS NULL OR closed_at >= :until))
FROM gaps WHERE stream_id = ANY (CAST(:stream_ids AS int[])) GROUP BY stream_id
""")

_ENDED = text("""
SELECT stream_id, state, healed_by, count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY took_s),
       percentile_disc(0.95) WITHIN GROUP (ORDER BY took_s), max(took_s)
FROM (SELECT stream_id, state, healed_by,
             CAST(extract(epoch FROM closed_at - opened_at) AS double precision) AS took_s
      FROM gaps WHERE stream_id = ANY (CAST(:stream_ids AS int[])) AND closed_at >= :since AND closed_at < :until
     ) AS ended
GROUP BY stream_id, state, healed_by ORDER BY stream_id, state, healed_by NULLS FIRST
""")

_LOST = text("""
SELECT stream_id, epoch, first, last, axis, lost, opened_at, closed_at FROM (
    SELECT *, row_number() OVER (PARTITION BY stream_id ORDER BY closed_at, id) AS nth FROM gaps
    WHERE stream_id = ANY (CAST(:stream_ids AS int[])) AND closed_at >= :since AND closed_at < :until
      AND state = 'lost') AS told
WHERE nth <= :limit ORDER BY stream_id, nth
""")

_BARS = text("""
SELECT stream_id, of_all, opened_at, CASE WHEN ended THEN closed_at END, CASE WHEN ended THEN state ELSE 'open' END,
       CASE WHEN ended THEN healed_by END
FROM (SELECT *, closed_at IS NOT NULL AND closed_at < :until AS ended,
             row_number() OVER (PARTITION BY stream_id ORDER BY opened_at, id) AS nth,
             count(*) OVER (PARTITION BY stream_id) AS of_all
      FROM gaps WHERE stream_id = ANY (CAST(:stream_ids AS int[])) AND opened_at < :until
        AND (closed_at IS NULL OR closed_at >= :since)) AS told
WHERE nth <= :limit ORDER BY stream_id, nth
""")

_UNMATCHED = text("""
SELECT stream_id, count(*) FROM sightings
WHERE stream_id = ANY (CAST(:stream_ids AS int[])) AND sequence IS NULL AND received_at >= :since
  AND received_at < :until
GROUP BY stream_id
""")


async def figures(
    conn: Executes, stream_ids: Sequence[int], *, since: datetime, until: datetime, lost_max: int, bars_max: int
) -> dict[int, Figures]:
    """The figures of these streams, by id; at most ``lost_max`` losses and ``bars_max`` bars of each, by time."""
    values = {"stream_ids": list(stream_ids), "since": since, "until": until}
    ended, lost = defaultdict[int, list[Ended]](list), defaultdict[int, list[Lost]](list)
    for row in await conn.execute(_ENDED, values):
        ended[row[0]].append(Ended(*row[1:]))
    for row in await conn.execute(_LOST, {**values, "limit": lost_max}):
        lost[row[0]].append(Lost(*row[1:]))
    bars, in_all = defaultdict[int, list[Bar]](list), dict[int, int]()
    for row in await conn.execute(_BARS, {**values, "limit": bars_max}):
        bars[row[0]].append(Bar(*row[2:]))
        in_all[row[0]] = row[1]
    counted = {row[0]: (row[1], row[2]) for row in await conn.execute(_COUNTS, values)}
    unmatched = {row[0]: row[1] for row in await conn.execute(_UNMATCHED, values)}
    return {
        one: Figures(
            *counted.get(one, (0, 0)),
            ended=tuple(ended[one]),
            lost=tuple(lost[one]),
            bars=tuple(bars[one]),
            bars_in_all=in_all.get(one, 0),
            unmatched=unmatched.get(one, 0),
        )
        for one in stream_ids
    }
