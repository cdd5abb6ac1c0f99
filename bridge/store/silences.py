"""Silences: what nobody wants to be told of, until when, by whose word and why."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

SILENCES_MAX = 1_000
ID_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Silence:
    """One of them; ``rule`` and ``subject`` are globs."""

    id: int
    rule: str
    subject: str
    reason: str
    made_at: datetime
    made_by: str
    until: datetime
    ended_at: datetime | None
    ended_by: str | None

    def holds(self, now: datetime) -> bool:
        return self.ended_at is None and now < self.until


_COLUMNS = "id, rule, subject, reason, made_at, made_by, until, ended_at, ended_by"

_ADD = text("""
INSERT INTO silences (rule, subject, reason, made_at, made_by, until)
SELECT :rule, :subject, :reason, :now, :by, :until
WHERE (SELECT count(*) FROM silences WHERE ended_at IS NULL AND until > :now) < :silences_max
RETURNING id
""")

_END = text("""
UPDATE silences SET ended_at = :now, ended_by = :by WHERE id = :id AND ended_at IS NULL AND until > :now
RETURNING rule, subject
""")

_HOLDING = text(f"SELECT {_COLUMNS} FROM silences WHERE ended_at IS NULL AND until > :now ORDER BY until, id")

_READ = text(f"SELECT {_COLUMNS} FROM silences WHERE id = :id")

_LISTING = text(f"SELECT {_COLUMNS} FROM silences ORDER BY id DESC LIMIT :limit")


async def add(
    conn: AsyncConnection, *, rule: str, subject: str, reason: str, by: str, until: datetime, now: datetime
) -> int | None:
    """Make one; its id, or None where there are ``SILENCES_MAX`` that hold."""
    values = {"rule": rule, "subject": subject, "reason": reason, "by": by, "until": until, "now": now}
    return (await conn.execute(_ADD, values | {"silences_max": SILENCES_MAX})).scalar_one_or_none()


async def end(conn: AsyncConnection, silence_id: int, *, by: str, now: datetime) -> tuple[str, str] | None:
    """End it before its time; what it was of, or None if none of that id holds."""
    row = (await conn.execute(_END, {"id": silence_id, "by": by, "now": now})).one_or_none()
    return None if row is None else (row[0], row[1])


async def read(conn: AsyncConnection, silence_id: int) -> Silence | None:
    """The one of this id, if there is one, also if it is over."""
    row = (await conn.execute(_READ, {"id": silence_id})).one_or_none()
    return None if row is None else Silence(*row)


async def holding(conn: AsyncConnection, *, now: datetime) -> list[Silence]:
    """Those that hold, the one that ends first before the others."""
    return [Silence(*row) for row in (await conn.execute(_HOLDING, {"now": now})).all()]


async def listing(conn: AsyncConnection, *, limit: int) -> list[Silence]:
    """The newest first, also those that are over."""
    return [Silence(*row) for row in (await conn.execute(_LISTING, {"limit": limit})).all()]
