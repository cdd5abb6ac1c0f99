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


@dataclass(frozen=True, slots=True)
class Told(Attempt):
    """An attempt with its id and the name of its stream, as it is listed."""

    id: int
    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which attempts are meant; None leaves out nothing. ``position`` is one that the attempt was about."""

    stream: str | None = None
    position: int | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None


_CHOSEN = text("""
SELECT a.destination_id, a.stream_id, a.first, a.last, a.entries, a.outcome, a.status, a.error, a.latency_max_ms,
       a.started_at, a.ended_at, a.id, s.name
FROM attempts a JOIN streams s ON s.id = a.stream_id
WHERE a.destination_id = :destination_id
  AND (CAST(:before AS bigint) IS NULL OR a.id < :before)
  AND (CAST(:stream AS text) IS NULL OR s.name = :stream)
  AND (CAST(:position AS bigint) IS NULL OR :position BETWEEN a.first AND a.last)
  AND (CAST(:outcome AS text) IS NULL OR a.outcome = :outcome)
  AND (CAST(:since AS timestamptz) IS NULL OR a.ended_at >= :since)
  AND (CAST(:until AS timestamptz) IS NULL OR a.started_at < :until)
ORDER BY a.id DESC LIMIT :limit
""")


async def listing(conn: AsyncConnection, destination_id: int, chosen: Chosen, *, limit: int) -> list[Told]:
    """The newest first; those older than the one of id ``before``."""
    values = {name: getattr(chosen, name) for name in Chosen.__slots__}
    rows = (await conn.execute(_CHOSEN, {**values, "destination_id": destination_id, "limit": limit})).all()
    return [Told(*row) for row in rows]
