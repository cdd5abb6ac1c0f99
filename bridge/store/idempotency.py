"""Requests that named an idempotency key, and what they were answered: a repetition gets the same answer.

A request begins with a row without an answer. The answer is written in the transaction that does what was asked, so
there is one exactly if it was done. Whoever dies in between leaves a row that is taken over after a while.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

KEPT_S = 24 * 3600
ABANDONED_AFTER_S = 60
SWEPT_AT_ONCE_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Begun:
    """This request is the first, or the one before it came to nothing. ``at`` is the fence."""

    actor: str
    key: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """The request was answered before."""

    status: int
    answer: bytes = field(repr=False)


class Running:
    """The same request is under way at this moment."""


class Different:
    """The key was used for another request."""


_SWEEP = text("""
DELETE FROM idempotency WHERE (actor, key) IN (
    SELECT actor, key FROM idempotency WHERE created_at < :before ORDER BY created_at LIMIT :limit)
""")

_BEGIN = text("""
INSERT INTO idempotency (actor, key, request, created_at) VALUES (:actor, :key, :request, :now)
ON CONFLICT (actor, key) DO UPDATE SET request = excluded.request, created_at = excluded.created_at
WHERE idempotency.created_at < :forgotten
   OR (idempotency.status IS NULL AND idempotency.created_at < :abandoned AND idempotency.request = excluded.request)
RETURNING key
""")

_READ = text("SELECT request, status, answer FROM idempotency WHERE actor = :actor AND key = :key")

_FINISH = text("""
UPDATE idempotency SET status = :status, answer = :answer
WHERE actor = :actor AND key = :key AND created_at = :at AND status IS NULL
""")

_ABANDON = text("""
DELETE FROM idempotency WHERE actor = :actor AND key = :key AND created_at = :at AND status IS NULL
""")

_ANSWERS = text("SELECT actor, key, answer FROM idempotency WHERE answer IS NOT NULL FOR UPDATE")

_RESEAL = text("UPDATE idempotency SET answer = :answer WHERE actor = :actor AND key = :key")


async def begin(
    conn: AsyncConnection, *, actor: str, key: str, request: bytes, now: datetime
) -> Begun | Answered | Running | Different:
    """Begin the request whose digest is ``request``, and forget what is older than a day."""
    times = {
        "forgotten": now - timedelta(seconds=KEPT_S),
        "abandoned": now - timedelta(seconds=ABANDONED_AFTER_S),
    }
    named = {"actor": actor, "key": key}
    begun = (await conn.execute(_BEGIN, {**named, **times, "request": request, "now": now})).scalar_one_or_none()
    if begun is not None:
        await conn.execute(_SWEEP, {"before": times["forgotten"], "limit": SWEPT_AT_ONCE_MAX})
        return Begun(actor, key, now)
    found = (await conn.execute(_READ, named)).one_or_none()
    if found is None:
        return Running()
    if found.request != request:
        return Different()
    return Running() if found.status is None else Answered(found.status, found.answer)


async def finish(conn: AsyncConnection, begun: Begun, *, status: int, answer: bytes) -> bool:
    """Keep the answer. False: another has taken the request over, and nothing of this one may be committed."""
    values = {"actor": begun.actor, "key": begun.key, "at": begun.at, "status": status, "answer": answer}
    return (await conn.execute(_FINISH, values)).rowcount > 0


async def abandon(conn: AsyncConnection, begun: Begun) -> None:
    """Nothing came of it: the key may be used again."""
    await conn.execute(_ABANDON, {"actor": begun.actor, "key": begun.key, "at": begun.at})


async def answers(conn: AsyncConnection) -> list[tuple[str, str, bytes]]:
    """Actor, key and answer of all that were answered, locked."""
    return [tuple(row) for row in (await conn.execute(_ANSWERS)).all()]


async def reseal(conn: AsyncConnection, actor: str, key: str, answer: bytes) -> None:
    """Keep the same answer under another key of the vault."""
    await conn.execute(_RESEAL, {"actor": actor, "key": key, "answer": answer})
