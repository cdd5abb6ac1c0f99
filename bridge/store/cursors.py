"""Cursors: how far a destination has acknowledged a stream, and who may move that on.

A cursor is claimed by moving ``due_at`` to the end of a lease; the attempt number that the claim returns is the
fence. Every later statement names it, and changes nothing once another claim was made.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store import delivery_hours
from bridge.store.direct import Executes
from bridge.store.hours import hour_of


@dataclass(frozen=True, slots=True)
class Wish:
    """A cursor that someone would take up until ``until``. ``held`` is the attempt number under which they held
    it before and did not give it back, 0 where there is none: such a lease need not be waited for. Where the last
    checkpoint is older than ``checkpoint_before`` it is taken up although nothing is behind."""

    destination_id: int
    stream_id: int
    until: datetime
    held: int = 0
    checkpoint_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A cursor taken up. ``sent`` is the last position that was accepted by the destination, 0 at first; below
    ``position`` where entries after it were not for this destination. ``ahead`` are accepted positions above
    ``position``, as spans with both ends. ``expired`` are the first and last position that were deleted untold."""

    destination_id: int
    stream_id: int
    stream: str
    attempt: int
    position: int
    sent: int
    failures: int
    failing_since: datetime | None = None
    ahead: tuple[tuple[int, int], ...] = ()
    expired: tuple[int, int] | None = None
    checkpoint_position: int = 0
    checkpoint_at: datetime | None = None


_BEGIN_COUNTING = delivery_hours.added("""
SELECT made.destination_id, made.stream_id, :hour, 0, 0, 0, 0, 0, 0, '{}', made.position, s.forgotten_chain
FROM made JOIN streams s ON s.id = made.stream_id
""")

_ENSURE = text(f"""
WITH made AS (
    INSERT INTO cursors (destination_id, stream_id, position, sent, due_at)
    SELECT d.id, s.id, s.forgotten, s.forgotten, :now
    FROM unnest(CAST(:destination_ids AS int[]), CAST(:stream_ids AS int[])) AS pair (destination_id, stream_id)
    JOIN destinations d ON d.id = pair.destination_id
    JOIN streams s ON s.id = pair.stream_id
    ORDER BY d.id, s.id FOR KEY SHARE OF d
    ON CONFLICT (destination_id, stream_id) DO NOTHING
    RETURNING destination_id, stream_id, position)
{_BEGIN_COUNTING}
""")

_STREAMS = text("SELECT id, name FROM streams ORDER BY id")

# The locks come first and in a step of their own: what is locked is what is updated, and a row that another
# claim has just taken is either skipped or seen with its new due time.
_CLAIM = text("""
WITH due AS MATERIALIZED (
    SELECT c.destination_id, c.stream_id, s.name, wish.until
    FROM unnest(CAST(:destination_ids AS int[]), CAST(:stream_ids AS int[]), CAST(:untils AS timestamptz[]),
                CAST(:held AS bigint[]), CAST(:checkpoints AS timestamptz[]))
         AS wish (destination_id, stream_id, until, held, checkpoint_before)
    JOIN cursors c ON c.destination_id = wish.destination_id AND c.stream_id = wish.stream_id
    JOIN destinations d ON d.id = c.destination_id AND d.state = 'active'
    JOIN streams s ON s.id = c.stream_id
    WHERE (s.position > c.position OR c.expired_first IS NOT NULL
           OR coalesce(c.checkpoint_at, '-infinity') <= wish.checkpoint_before)
      AND (c.due_at <= :now OR c.attempt = wish.held)
    FOR UPDATE OF c SKIP LOCKED
)
UPDATE cursors c SET due_at = due.until, attempt = c.attempt + 1
FROM due WHERE c.destination_id = due.destination_id AND c.stream_id = due.stream_id
RETURNING c.destination_id, c.stream_id, due.name AS stream, c.attempt, c.position, c.sent, c.failures,
    c.failing_since, CAST(c.ahead AS text) AS ahead, c.expired_first, c.expired_last, c.checkpoint_position,
    c.checkpoint_at
""")

_SETTLE = text("""
UPDATE cursors c SET
    position = :position,
    sent = :sent,
    ahead = CAST(CAST(:ahead AS text) AS int8multirange),
    due_at = :due_at,
    failures = CASE WHEN :accepted THEN 0 ELSE failures END,
    failing_since = CASE WHEN :accepted THEN NULL ELSE failing_since END,
    last_error = CASE WHEN :accepted THEN NULL ELSE last_error END
WHERE destination_id = :destination_id AND stream_id = :stream_id AND attempt = :attempt
RETURNING (SELECT d.state = 'active' FROM destinations d WHERE d.id = c.destination_id)
""")

_FAIL = text("""
UPDATE cursors SET
    position = :position,
    due_at = :due_at,
    failures = failures + 1,
    failing_since = coalesce(failing_since, :now),
    last_error = :error
WHERE destination_id = :destination_id AND stream_id = :stream_id AND attempt = :attempt
""")

_FAILING = text("""
UPDATE cursors SET failures = :failures, failing_since = coalesce(failing_since, :now), last_error = :error
WHERE destination_id = :destination_id AND stream_id = :stream_id AND attempt = :attempt
""")

_EXPIRY_TOLD = text("""
UPDATE cursors SET expired_first = NULL, expired_last = NULL
WHERE destination_id = :destination_id AND stream_id = :stream_id AND attempt = :attempt
  AND expired_first = :first AND expired_last = :last
""")

_CHECKED = text("""
UPDATE cursors SET checkpoint_position = :position, checkpoint_at = :now
WHERE destination_id = :destination_id AND stream_id = :stream_id AND attempt = :attempt
""")

_TAKE_OVER = text("UPDATE cursors SET due_at = :now, attempt = attempt + 1 WHERE due_at > :now")


async def streams(conn: Executes) -> dict[str, int]:
    """The ids of all streams, by name."""
    return {row.name: row.id for row in (await conn.execute(_STREAMS)).all()}


async def ensure(conn: AsyncConnection, pairs: Sequence[tuple[int, int]], *, now: datetime) -> None:
    """A cursor at the log's beginning for every (destination id, stream id) that has none."""
    values = {"destination_ids": [d for d, _ in pairs], "stream_ids": [s for _, s in pairs], "now": now}
    await conn.execute(_ENSURE, {**values, "hour": hour_of(now)})


async def claim(conn: AsyncConnection, wishes: Sequence[Wish], *, now: datetime) -> list[Claim]:
    """Take up those of ``wishes`` that are due and behind; one that another is taking at this moment is left."""
    values = {
        "destination_ids": [wish.destination_id for wish in wishes],
        "stream_ids": [wish.stream_id for wish in wishes],
        "untils": [wish.until for wish in wishes],
        "held": [wish.held for wish in wishes],
        "checkpoints": [wish.checkpoint_before for wish in wishes],
        "now": now,
    }
    rows = (await conn.execute(_CLAIM, values)).mappings().all()
    return [_claimed(dict(row)) for row in rows]


async def settle(
    conn: AsyncConnection,
    claim: Claim,
    *,
    position: int,
    sent: int,
    due_at: datetime,
    accepted: bool,
    ahead: Iterable[int] = (),
) -> bool | None:
    """Move the cursor to ``position``, the last accepted one to ``sent``, and the end of the lease to ``due_at``.

    ``ahead`` are accepted positions above ``position``.

    ``accepted``: something was, so the failures before it are over. Returns None, having changed nothing, when
    the claim is no longer the last one; else whether the destination still wants to be delivered to.
    """
    values = _key(claim) | {"position": position, "sent": sent, "due_at": due_at, "accepted": accepted}
    values["ahead"] = "{" + ",".join(f"[{position},{position}]" for position in ahead) + "}"
    return (await conn.execute(_SETTLE, values)).scalar_one_or_none()


async def fail(
    conn: AsyncConnection, claim: Claim, *, position: int, due_at: datetime, error: str, now: datetime
) -> bool:
    """Give the cursor back at ``position``, to be taken up again at ``due_at``. False: the claim is not the last."""
    values = _key(claim) | {"position": position, "due_at": due_at, "error": error, "now": now}
    return (await conn.execute(_FAIL, values)).rowcount > 0


async def note_failure(conn: AsyncConnection, claim: Claim, *, failures: int, error: str, now: datetime) -> bool:
    """Say that something failed while the cursor is kept. False: the claim is not the last."""
    values = _key(claim) | {"failures": failures, "error": error, "now": now}
    return (await conn.execute(_FAILING, values)).rowcount > 0


async def expiry_told(conn: AsyncConnection, claim: Claim) -> None:
    """The destination knows of what was deleted before it was delivered."""
    assert claim.expired is not None
    await conn.execute(_EXPIRY_TOLD, _key(claim) | {"first": claim.expired[0], "last": claim.expired[1]})


async def checked(conn: AsyncConnection, claim: Claim, *, position: int, now: datetime) -> None:
    """The destination has a checkpoint up to ``position``."""
    await conn.execute(_CHECKED, _key(claim) | {"position": position, "now": now})


async def take_over(conn: AsyncConnection, *, now: datetime) -> None:
    """Void every lease and every wait: for a start at which it is known that nobody else delivers."""
    await conn.execute(_TAKE_OVER, {"now": now})


def _key(claim: Claim) -> dict[str, object]:
    return {"destination_id": claim.destination_id, "stream_id": claim.stream_id, "attempt": claim.attempt}


_SPAN = re.compile(r"\[(\d+),(\d+)\)")


def _claimed(row: dict[str, Any]) -> Claim:
    first, last, ahead = row.pop("expired_first"), row.pop("expired_last"), row.pop("ahead")
    spans = tuple((int(start), int(stop) - 1) for start, stop in _SPAN.findall(ahead))
    return Claim(**row, ahead=spans, expired=None if first is None else (first, last))
