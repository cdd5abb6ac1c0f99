"""Reads of a venue that concerned an open gap, or that proved nothing: what was asked, and what came of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text

from bridge.store.direct import Executes

ERROR_CHARS_MAX = 300


class Read(NamedTuple):
    """One read that began ``at``. Numbers and milliseconds as in the stream's gaps.

    ``since`` is exclusive and None for the oldest retained, ``upto`` None for all there is. ``reached`` is the
    highest that was answered, None where nothing was. ``withheld`` names the clauses that failed, ``error`` why
    there is no answer. ``id`` is 0 for one that is not stored yet.
    """

    at: datetime
    why: str
    since: int | None = None
    upto: int | None = None
    reached: int | None = None
    pages: int = 0
    rows: int = 0
    fresh: int = 0
    proven_first: int | None = None
    proven_last: int | None = None
    withheld: str | None = None
    error: str | None = None
    id: int = 0


_COLUMNS = "at, why, since, upto, reached, pages, rows, fresh, proven_first, proven_last, withheld, error"

_INSERT = text(f"""
INSERT INTO reads (stream_id, epoch, {_COLUMNS})
VALUES (:stream_id, :epoch, :at, :why, :since, :upto, :reached, :pages, :rows, :fresh, :proven_first, :proven_last,
        :withheld, :error)
""")

# What began while the gap was open and came as far as it does, or was not answered at all. A gap in time is written
# down after its first read may have begun, and a busy database makes that late: there, a read of what begins in the
# gap is one of its own however early it was. (A venue's clock may be a minute ahead of ours.)
_OF_GAP = text("""
SELECT r.at, r.why, r.since, r.upto, r.reached, r.pages, r.rows, r.fresh, r.proven_first, r.proven_last, r.withheld,
       r.error, r.id
FROM gaps g JOIN reads r ON r.stream_id = g.stream_id AND r.epoch = g.epoch
     AND r.at >= CASE g.axis
         WHEN 'time' THEN least(g.opened_at - interval '5 s', to_timestamp(g.first / 1000) - interval '1 min')
         ELSE g.opened_at END
     AND r.at <= coalesce(g.closed_at, 'infinity')
     AND (r.reached IS NULL OR r.reached >= g.first)
     AND (g.axis <> 'time' OR r.at >= g.opened_at - interval '5 s' OR (r.reached IS NOT NULL AND r.since >= g.first))
WHERE g.id = :gap_id
  AND (CAST(:before AS bigint) IS NULL OR (r.at, r.id) < (SELECT at, id FROM reads WHERE id = :before))
ORDER BY r.at DESC, r.id DESC LIMIT :limit
""")


async def insert(conn: Executes, *, stream_id: int, epoch: int, made: Sequence[Read]) -> None:
    """Keep reads of a stream."""
    values = [
        one._asdict()
        | {
            "stream_id": stream_id,
            "epoch": epoch,
            "error": None if one.error is None else one.error[:ERROR_CHARS_MAX],
        }
        for one in made
    ]
    for value in values:
        del value["id"]
    if values:
        await conn.execute(_INSERT, values)


async def of_gap(conn: Executes, *, gap_id: int, before: int | None = None, limit: int) -> list[Read]:
    """The reads that were tried for a gap, the newest first; with ``before`` those that are older than that one."""
    rows = await conn.execute(_OF_GAP, {"gap_id": gap_id, "before": before, "limit": limit})
    return [Read(*row) for row in rows]
