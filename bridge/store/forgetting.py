"""Forgetting what is old: the log's beginning, what its entries tell of, and whose turn was missed with it.

A step is one short transaction under the stream's lock. It takes the position that it begins at as an argument and
does nothing if the stream has forgotten more by then: two who sweep at once, or one that was killed, do no harm.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.core.errors import BridgeError
from bridge.store import delivery_hours
from bridge.store.hours import hour_of


class Forgotten(BridgeError):
    """What was asked for is no longer kept."""


class Due(NamedTuple):
    """A stream whose oldest entry is old enough to go."""

    stream_id: int
    stream: str
    forgotten: int


class Held(NamedTuple):
    """A stream that keeps more than it has to, because of a gap that is open since ``since``."""

    stream: str
    since: datetime


class Expired(NamedTuple):
    """A destination that has not taken the positions from ``first`` to ``last``, and cannot any more."""

    destination: str
    stream: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did. ``forgotten`` is where the log begins now, ``entries`` how many went."""

    forgotten: int
    entries: int = 0
    expired: tuple[Expired, ...] = ()
    discarded: int = 0


# Up to when what a stream said may go. What was there an hour before a gap is kept while the gap is open.
_OLD = """
SELECT s.id, s.name, s.position, s.forgotten, needed.since,
       least(CAST(:before AS timestamptz), needed.since) AS before
FROM streams s CROSS JOIN LATERAL (
    SELECT min(least(g.opened_at, CASE g.axis WHEN 'time' THEN to_timestamp(g.first / 1000.0) END))
           - interval '1 hour' AS since
    FROM gaps g WHERE g.stream_id = s.id AND g.state = 'open') AS needed
"""

_DUE = text(f"""
WITH old AS MATERIALIZED ({_OLD})
SELECT old.id, old.name, old.forgotten
FROM old JOIN log l ON l.stream_id = old.id AND l.position = old.forgotten + 1
WHERE l.appended_at < old.before AND old.position - old.forgotten > CAST(:tail AS bigint) ORDER BY old.id
""")

_HELD = text(f"""
WITH old AS MATERIALIZED ({_OLD})
SELECT old.name, old.since
FROM old JOIN log l ON l.stream_id = old.id AND l.position = old.forgotten + 1
WHERE l.appended_at >= old.since AND l.appended_at < CAST(:before AS timestamptz)
  AND old.position - old.forgotten > CAST(:tail AS bigint)
ORDER BY old.name
""")

_LOCK = text("SELECT forgotten FROM streams WHERE id = :stream_id FOR NO KEY UPDATE")

# The clocks of several workers append in turns: only what is old together with everything before it goes.
_CHOSEN = text(f"""
WITH old AS MATERIALIZED ({_OLD} WHERE s.id = :stream_id)
SELECT max(position), max(ARRAY[epoch, coalesce(sequence + 1, 0)])
           FILTER (WHERE sequence IS NOT NULL OR kind = 'epoch')
FROM (SELECT l.position, l.kind, l.epoch, l.sequence,
             bool_and(l.appended_at < old.before) OVER (ORDER BY l.position) AS is_old
      FROM old JOIN log l ON l.stream_id = old.id
      WHERE l.position > old.forgotten
        AND l.position <= least(old.forgotten + CAST(:limit AS bigint), old.position - CAST(:tail AS bigint))
     ) AS oldest
WHERE is_old
""")

_FORGET = text("""
WITH gone AS (
    DELETE FROM log WHERE stream_id = :stream_id AND position > :forgotten AND position <= :upto
    RETURNING epoch, sequence, position, chain),
untold AS (
    DELETE FROM events e USING gone
    WHERE e.stream_id = :stream_id AND e.epoch = gone.epoch AND e.sequence = gone.sequence)
UPDATE streams SET forgotten = :upto, forgotten_chain = (SELECT chain FROM gone WHERE position = :upto),
    forgotten_epoch = coalesce(CAST(:epoch AS int), forgotten_epoch),
    forgotten_below = coalesce(CAST(:below AS bigint), forgotten_below)
WHERE id = :stream_id
""")

# What was accepted ahead of its turn has not expired.
_COUNT_EXPIRED = delivery_hours.added(f"""
SELECT moved.destination_id, moved.stream_id, {delivery_hours.hour("moved")}, 0, 0, 0, 0, 0,
    moved.position - moved.was - coalesce((
        SELECT sum(upper(taken) - lower(taken))
        FROM unnest(moved.ahead * int8multirange(int8range(moved.was + 1, moved.position + 1))) AS taken), 0),
    '{{}}', moved.position, s.forgotten_chain
FROM moved JOIN streams s ON s.id = moved.stream_id
""")

# The attempt is the fence: what is under way moves nothing back.
_EXPIRE = text(f"""
WITH behind AS (
    SELECT c.destination_id, c.position, c.ahead FROM cursors c
    WHERE c.stream_id = :stream_id AND c.position < :upto ORDER BY c.destination_id FOR UPDATE),
moved AS (
    UPDATE cursors c SET position = :upto, sent = :upto, attempt = c.attempt + 1,
        ahead = c.ahead * int8multirange(int8range(CAST(:upto AS bigint) + 1, NULL)),
        expired_first = least(c.expired_first, behind.position + 1), expired_last = :upto
    FROM behind
    WHERE c.stream_id = :stream_id AND c.destination_id = behind.destination_id
    RETURNING c.destination_id, c.stream_id, behind.position AS was, behind.ahead, c.position),
counted AS ({_COUNT_EXPIRED})
SELECT d.name, s.name, moved.was + 1, moved.position
FROM moved JOIN destinations d ON d.id = moved.destination_id JOIN streams s ON s.id = moved.stream_id
""")

_DISCARD = text("""
UPDATE parked SET state = 'discarded', ended_at = :now, ended_by = 'retention', reason = 'the log keeps it no longer'
WHERE stream_id = :stream_id AND position <= :upto AND state IN ('parked', 'due')
""")

_BEHIND = text("""
SELECT s.id, s.forgotten FROM streams s
WHERE EXISTS (SELECT 1 FROM cursors c WHERE c.stream_id = s.id AND c.position < s.forgotten) ORDER BY s.id
""")

_KEPT = text("SELECT name, forgotten FROM streams WHERE id = :stream_id")


async def due(conn: AsyncConnection, *, before: datetime, tail: int) -> list[Due]:
    """The streams that have something to forget which was appended before then, and more than ``tail`` entries."""
    rows = (await conn.execute(_DUE, {"before": before, "tail": tail})).all()
    return [Due(*row) for row in rows]


async def held(conn: AsyncConnection, *, before: datetime, tail: int) -> list[Held]:
    """The streams that would have, but for a gap that is open."""
    rows = (await conn.execute(_HELD, {"before": before, "tail": tail})).all()
    return [Held(*row) for row in rows]


async def step(
    conn: AsyncConnection,
    *,
    stream_id: int,
    forgotten: int,
    before: datetime,
    tail: int,
    entries_max: int,
    now: datetime,
) -> Step:
    """Forget up to ``entries_max`` entries after ``forgotten``, all of them appended ``before`` then.

    The newest ``tail`` entries are kept however old they are.

    Whoever has not taken them is moved on, with what it missed on record. The caller owns the transaction.
    """
    locked = int((await conn.execute(_LOCK, {"stream_id": stream_id})).scalar_one())
    if locked != forgotten:
        return Step(locked)
    chosen = {"stream_id": stream_id, "before": before, "limit": entries_max, "tail": tail}
    upto, reached = (await conn.execute(_CHOSEN, chosen)).one()
    if upto is None:
        return Step(forgotten)
    epoch, below = reached or (None, None)
    values = {"stream_id": stream_id, "forgotten": forgotten, "upto": upto, "epoch": epoch, "below": below}
    await conn.execute(_FORGET, values)
    expired = await expire(conn, stream_id=stream_id, upto=upto, now=now)
    discarded = await conn.execute(_DISCARD, {"stream_id": stream_id, "upto": upto, "now": now})
    return Step(upto, upto - forgotten, tuple(expired), discarded.rowcount)


async def expire(conn: AsyncConnection, *, stream_id: int, upto: int, now: datetime) -> list[Expired]:
    """Move whoever is before ``upto`` there, with what it missed on record; nothing before it is kept any more."""
    values = {"stream_id": stream_id, "upto": upto, "hour": hour_of(now)}
    return [Expired(*row) for row in (await conn.execute(_EXPIRE, values)).all()]


async def left_behind(conn: AsyncConnection) -> list[tuple[int, int]]:
    """Id and forgotten position of the streams on which a cursor points to what is no longer kept."""
    return [(row[0], row[1]) for row in (await conn.execute(_BEHIND)).all()]


async def require_kept(conn: AsyncConnection, *, stream_id: int, position: int) -> None:
    """Check that the entry at ``position`` may still be there.

    Raises:
        Forgotten: retention has deleted it.
    """
    name, forgotten = (await conn.execute(_KEPT, {"stream_id": stream_id})).one()
    if position <= forgotten:
        raise Forgotten(
            f"entries of {name} up to position {forgotten} are no longer kept: the first is {forgotten + 1}"
        )
