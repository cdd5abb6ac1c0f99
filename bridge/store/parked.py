"""Parked entries: what a destination did not take and was not waited for, until somebody decides."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store.attempts import ERROR_CHARS_MAX


@dataclass(frozen=True, slots=True)
class Parked:
    """An entry that was laid aside: ``parked``, ``due`` to be sent again, ``redelivered`` or ``discarded``."""

    stream: str
    position: int
    state: str
    attempts: int
    status: int | None
    error: str | None
    parked_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    reason: str | None


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
SELECT d.id, CAST(:stream_id AS int), CAST(:position AS bigint), CAST(:attempts AS int), CAST(:status AS int),
       CAST(:error AS text), CAST(:now AS timestamptz)
FROM destinations d WHERE d.id = :destination_id FOR KEY SHARE
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

_LISTING = text("""
SELECT s.name, p.position, p.state, p.attempts, p.status, p.error, p.parked_at, p.ended_at, p.ended_by, p.reason
FROM parked p JOIN streams s ON s.id = p.stream_id
WHERE p.destination_id = :destination_id AND (s.name, p.position) > (:stream, :position)
  AND (CAST(:state AS text) IS NULL OR p.state = :state)
ORDER BY s.name, p.position LIMIT :limit
""")

_READ = text("""
SELECT s.name, p.position, p.state, p.attempts, p.status, p.error, p.parked_at, p.ended_at, p.ended_by, p.reason
FROM parked p JOIN streams s ON s.id = p.stream_id
WHERE p.destination_id = :destination_id AND s.name = :stream AND p.position = :position
""")

_WANT = text("""
UPDATE parked p SET state = 'due', ended_by = :actor FROM streams s
WHERE s.id = p.stream_id AND p.destination_id = :destination_id AND p.state = 'parked'
  AND (CAST(:stream AS text) IS NULL OR (s.name = :stream AND p.position = :position))
""")

_DISCARD = text("""
UPDATE parked p SET state = 'discarded', ended_at = :now, ended_by = :actor, reason = :reason FROM streams s
WHERE s.id = p.stream_id AND p.destination_id = :destination_id AND p.state IN ('parked', 'due')
  AND s.name = :stream AND p.position = :position
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
    """Lay an entry aside after so many ``attempts``. Nothing happens where the destination was deleted meanwhile."""
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


async def listing(
    conn: AsyncConnection,
    destination_id: int,
    *,
    after: tuple[str, int] = ("", 0),
    state: str | None = None,
    limit: int,
) -> list[Parked]:
    """In the order of stream and position, those behind ``after``."""
    values = {"destination_id": destination_id, "stream": after[0], "position": after[1]}
    rows = (await conn.execute(_LISTING, {**values, "state": state, "limit": limit})).all()
    return [Parked(*row) for row in rows]


async def read(conn: AsyncConnection, destination_id: int, stream: str, position: int) -> Parked | None:
    """The entry, if it was ever laid aside."""
    values = {"destination_id": destination_id, "stream": stream, "position": position}
    row = (await conn.execute(_READ, values)).one_or_none()
    return None if row is None else Parked(*row)


async def want(
    conn: AsyncConnection, destination_id: int, *, actor: str, entry: tuple[str, int] | None = None
) -> int:
    """Let one parked entry, or all of them, be sent again; returns how many are to be now."""
    stream, position = entry or (None, 0)
    values = {"destination_id": destination_id, "actor": actor, "stream": stream, "position": position}
    return (await conn.execute(_WANT, values)).rowcount


async def discard(
    conn: AsyncConnection, destination_id: int, stream: str, position: int, *, actor: str, reason: str, now: datetime
) -> bool:
    """Let an entry never be sent. False: it is not waiting for anybody."""
    values = {"destination_id": destination_id, "stream": stream, "position": position, "actor": actor, "now": now}
    return (await conn.execute(_DISCARD, {**values, "reason": reason[:ERROR_CHARS_MAX]})).rowcount > 0


def _key(due: Due) -> dict[str, object]:
    return {"destination_id": due.destination_id, "stream_id": due.stream_id, "position": due.position}
