"""Gaps, and sightings without a number, as a report counts them: as its period left them, whatever came since."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
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


class Bar(NamedTuple):
    """A gap that was open at some time of the period, as the period left it."""

    opened_at: datetime
    closed_at: datetime | None
    state: str
    healed_by: str | None


class Figures(NamedTuple):
    """A stream's gaps in a period: opened in it, open at its end, ended in it and how.

    ``turns`` counts by the hour: opened, recovered, void, superseded, lost.
    """

    opened: int = 0
    open: int = 0
    ended: tuple[Ended, ...] = ()
    bars: tuple[Bar, ...] = ()
    bars_in_all: int = 0
    unmatched: int = 0
    turns: Mapping[datetime, tuple[int, ...]] = MappingProxyType({})


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

_TURNS = text("""
SELECT stream_id, date_trunc('hour', at, 'UTC'), count(*) FILTER (WHERE turn = 'open'),
       count(*) FILTER (WHERE turn = 'recovered'), count(*) FILTER (WHERE turn = 'void'),
       count(*) FILTER (WHERE turn = 'superseded'), count(*) FILTER (WHERE turn = 'lost')
FROM gaps CROSS JOIN LATERAL (VALUES (opened_at, 'open'), (closed_at, state)) AS turned (at, turn)
WHERE stream_id = ANY (CAST(:stream_ids AS int[])) AND at >= :since AND at < :until
GROUP BY 1, 2
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
    conn: Executes, stream_ids: Sequence[int], *, since: datetime, until: datetime, bars_max: int
) -> dict[int, Figures]:
    """The figures of these streams, by id; at most ``bars_max`` bars of each, by time."""
    values = {"stream_ids": list(stream_ids), "since": since, "until": until}
    ended = defaultdict[int, list[Ended]](list)
    for row in await conn.execute(_ENDED, values):
        ended[row[0]].append(Ended(*row[1:]))
    turns = defaultdict[int, dict[datetime, tuple[int, ...]]](dict)
    for row in await conn.execute(_TURNS, values):
        turns[row[0]][row[1]] = tuple(row[2:])
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
            bars=tuple(bars[one]),
            bars_in_all=in_all.get(one, 0),
            unmatched=unmatched.get(one, 0),
            turns=turns[one],
        )
        for one in stream_ids
    }
