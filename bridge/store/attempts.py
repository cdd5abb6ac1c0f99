"""The history of deliveries: one row per failed attempt, one per run of successes."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

ERROR_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class Attempt:
    """One failed attempt, or a run of accepted ones: ``entries`` of the positions ``first`` to ``last``."""

    destination_id: int
    stream_id: int
    first: int
    last: int
    entries: int
    outcome: str
    status: int | None
    error: str | None
    latency_max_ms: float
    started_at: datetime
    ended_at: datetime


_COLUMNS = (
    "destination_id, stream_id, first, last, entries, outcome, status, error, latency_max_ms, started_at, ended_at"
)

_ADD = text(f"""
INSERT INTO attempts ({_COLUMNS})
VALUES (:destination_id, :stream_id, :first, :last, :entries, :outcome, :status, :error, :latency_max_ms,
        :started_at, :ended_at)
RETURNING id
""")

_EXTEND = text("""
UPDATE attempts SET last = :last, entries = :entries, latency_max_ms = :latency_max_ms, ended_at = :ended_at
WHERE id = :id
""")

_RECENT = text(f"""
SELECT {_COLUMNS} FROM attempts WHERE destination_id = :destination_id ORDER BY id DESC LIMIT :limit
""")


async def add(conn: AsyncConnection, attempt: Attempt) -> int:
    """Write the attempt down; returns its id."""
    values = {name: getattr(attempt, name) for name in Attempt.__slots__}
    if attempt.error is not None:
        values["error"] = attempt.error[:ERROR_CHARS_MAX]
    return int((await conn.execute(_ADD, values)).scalar_one())


async def extend(conn: AsyncConnection, attempt_id: int, attempt: Attempt) -> None:
    """Let the row of a run say how far the run has come."""
    values = {
        "id": attempt_id,
        "last": attempt.last,
        "entries": attempt.entries,
        "latency_max_ms": attempt.latency_max_ms,
        "ended_at": attempt.ended_at,
    }
    await conn.execute(_EXTEND, values)


async def recent(conn: AsyncConnection, destination_id: int, *, limit: int) -> list[Attempt]:
    """The destination's latest attempts, the newest first."""
    values = {"destination_id": destination_id, "limit": limit}
    return [Attempt(*row) for row in (await conn.execute(_RECENT, values)).all()]
