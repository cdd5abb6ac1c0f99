"""Parked entries: what a destination did not take and was not waited for, until somebody decides."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store.attempts import ERROR_CHARS_MAX


@dataclass(frozen=True, slots=True)
class Due:
    """A parked entry that is to be sent again."""

    destination_id: int
    stream_id: int
    stream: str
    position: int
    attempts: int


_ADD = text("""
INSERT INTO parked (destination_id, stream_id, position, attempts, status, error, parked_at)
VALUES (:destination_id, :stream_id, :position, :attempts, :status, :error, :now)
ON CONFLICT (destination_id, stream_id, position) DO UPDATE
SET state = 'parked', attempts = parked.attempts + excluded.attempts, status = excluded.status,
    error = excluded.error, parked_at = excluded.parked_at, ended_at = NULL, ended_by = NULL, reason = NULL
""")

# Whoever takes an entry up here is the only one to: others skip it, and it is parked again if nothing comes of it.
_TAKE = text("""
WITH taken AS (
    SELECT destination_id, stream_id, position FROM parked
    WHERE state = 'due' AND destination_id = ANY (CAST(:destination_ids AS int[]))
    ORDER BY destination_id, stream_id, position LIMIT :limit FOR UPDATE SKIP LOCKED)
UPDATE parked p SET state = 'parked', attempts = p.attempts + 1, error = 'was being sent again'
FROM taken t JOIN streams s ON s.id = t.stream_id
WHERE p.destination_id = t.destination_id AND p.stream_id = t.stream_id AND p.position = t.position
RETURNING p.destination_id, p.stream_id, s.name, p.position, p.attempts
""")

_REDELIVERED = text("""
UPDATE parked SET state = 'redelivered', ended_at = :now, status = NULL, error = NULL
WHERE destination_id = :destination_id AND stream_id = :stream_id AND position = :position
""")

_FAILED = text("""
UPDATE parked SET status = :status, error = :error
WHERE destination_id = :destination_id AND stream_id = :stream_id AND position = :position AND state = 'parked'
""")


async def add(
    conn: AsyncConnection,
    destination_id: int,
    stream_id: int,
    position: int,
    *,
    attempts: int,
    status: int | None,
    error: str,
    now: datetime,
) -> None:
    """Lay an entry aside after so many ``attempts``."""
    values = {
        "destination_id": destination_id, "stream_id": stream_id, "position": position, "attempts": attempts,
        "status": status, "error": error[:ERROR_CHARS_MAX], "now": now,
    }  # fmt: skip
    await conn.execute(_ADD, values)


async def take(conn: AsyncConnection, destination_ids: list[int], *, limit: int) -> list[Due]:
    """Take up entries that somebody wants sent again; each is parked as before until ``redelivered`` is told."""
    rows = (await conn.execute(_TAKE, {"destination_ids": destination_ids, "limit": limit})).all()
    return [Due(*row) for row in rows]


async def redelivered(conn: AsyncConnection, due: Due, *, now: datetime) -> None:
    """It was accepted."""
    await conn.execute(_REDELIVERED, {**_key(due), "now": now})


async def failed(conn: AsyncConnection, due: Due, *, status: int | None, error: str) -> None:
    """It was not accepted, and stays parked."""
    await conn.execute(_FAILED, {**_key(due), "status": status, "error": error[:ERROR_CHARS_MAX]})


def _key(due: Due) -> dict[str, object]:
    return {"destination_id": due.destination_id, "stream_id": due.stream_id, "position": due.position}
