"""How destinations stand: how far each is on its streams, since when it fails, and what it has parked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

CURSORS_MAX = 10_000


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


_CURSORS = text("""
SELECT c.destination_id, s.name, c.position, s.position, c.failures, c.failing_since, c.last_error, c.due_at,
       (SELECT l.appended_at FROM log l WHERE l.stream_id = c.stream_id AND l.position = c.position + 1),
       c.expired_first, c.expired_last
FROM cursors c JOIN streams s ON s.id = c.stream_id
WHERE c.destination_id = ANY (CAST(:ids AS int[])) ORDER BY c.destination_id, s.name LIMIT :limit
""")

_PARKED = text("""
SELECT destination_id, count(*) FROM parked
WHERE destination_id = ANY (CAST(:ids AS int[])) AND state IN ('parked', 'due') GROUP BY destination_id
""")


async def cursors(conn: AsyncConnection, destination_ids: Sequence[int]) -> list[Standing]:
    """By destination and stream."""
    values = {"ids": list(destination_ids), "limit": CURSORS_MAX}
    return [Standing(*row) for row in (await conn.execute(_CURSORS, values)).all()]


async def parked(conn: AsyncConnection, destination_ids: Sequence[int]) -> dict[int, int]:
    """How many entries wait for an operator, by the destination's id."""
    rows = (await conn.execute(_PARKED, {"ids": list(destination_ids)})).all()
    return {row[0]: row[1] for row in rows}
