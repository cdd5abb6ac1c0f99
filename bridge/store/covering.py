"""What a stream lost: numbers that nobody could be asked for any more, and what turned up of them all the same."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class Loss(NamedTuple):
    """Numbers that are gone for good, but for ``found`` of them. ``detail`` is the evidence.

    ``found`` counts what is stored between ``first`` and ``last``, up to ``FOUND_MAX``.
    """

    id: int
    first: int
    last: int
    detail: dict[str, Any]
    recorded_at: datetime
    found: int


FOUND_MAX = 10_000


# A loss begins at the frontier, which then passes it: those of one epoch never overlap.
_LOSSES = text("""
SELECT id, first, last, detail, recorded_at,
       (SELECT count(*) FROM (
           SELECT 1 FROM events
           WHERE events.stream_id = loss.stream_id AND events.epoch = loss.epoch
             AND sequence BETWEEN loss.first AND loss.last LIMIT :found_max) AS stored)
FROM (SELECT * FROM evidence
      WHERE stream_id = :stream_id AND epoch = :epoch AND verdict = 'loss' AND last <= :below
      ORDER BY last DESC LIMIT :limit) AS loss
ORDER BY last DESC
""")


async def losses(conn: AsyncConnection, *, stream_id: int, epoch: int, below: int, limit: int) -> list[Loss]:
    """The losses that end at or below ``below``, the highest numbers first."""
    values = {"stream_id": stream_id, "epoch": epoch, "below": below, "limit": limit, "found_max": FOUND_MAX}
    return [Loss(*row) for row in (await conn.execute(_LOSSES, values)).all()]
