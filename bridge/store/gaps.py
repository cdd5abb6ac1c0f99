"""Gaps: the holes that outlived their grace, from the moment they are told of to how they ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import text

from bridge.core.span import Span
from bridge.core.timeline import moment
from bridge.store.direct import Executes


@dataclass(frozen=True, slots=True)
class Gap:
    """One gap. ``first`` and ``last`` are inclusive; ``found`` and ``lost`` count its numbers once it is closed.

    ``axis`` is ``sequence`` where they are numbers, ``time`` where they are milliseconds since 1970: there ``found``
    counts events, and ``lost`` milliseconds.
    """

    id: int
    epoch: int
    first: int
    last: int
    state: str
    opened_at: datetime
    deadline_at: datetime | None
    reads: int
    withheld: str | None
    closed_at: datetime | None
    found: int
    lost: int
    healed_by: str | None
    axis: str


class Placed(Protocol):
    """What says where a gap lies."""

    @property
    def axis(self) -> str: ...
    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...


def moments(gap: Placed) -> dict[str, datetime | None]:
    """The times that a gap in venue time begins and ends at, as ``from`` and ``to``; None for one in numbers."""
    in_time = gap.axis == "time"
    return {
        "from": moment(gap.first * 1000) if in_time else None,
        "to": moment(gap.last * 1000) if in_time else None,
    }


_COLUMNS = (
    "id, epoch, first, last, state, opened_at, deadline_at, reads, withheld, closed_at, found, lost, healed_by, axis"
)

_HOLES = text("""
SELECT hole_first, sequence - 1, received_at
FROM (SELECT sequence, received_at,
             coalesce(lag(sequence) OVER (ORDER BY sequence) + 1, :frontier) AS hole_first
      FROM events WHERE stream_id = :stream_id AND epoch = :epoch AND sequence >= :frontier) AS above
WHERE sequence > hole_first AND received_at <= :appeared_before
ORDER BY sequence LIMIT :limit
""")

_OPEN = text("""
INSERT INTO gaps (stream_id, epoch, first, last, opened_at, due_at, deadline_at)
SELECT :stream_id, :epoch, first, last, opened_at, :now, :deadline_at
FROM unnest(CAST(:firsts AS bigint[]), CAST(:lasts AS bigint[]), CAST(:opened AS timestamptz[]))
     AS hole (first, last, opened_at)
ON CONFLICT DO NOTHING
""")

_OPEN_SPANS = text("""
SELECT first, last FROM gaps WHERE stream_id = :stream_id AND epoch = :epoch AND state = 'open'
""")

# A gap is over when the frontier has passed it. What was found or lost in it decides what it was.
_CLOSE = text("""
WITH passed AS (
    SELECT id,
           (SELECT count(*) FROM events
            WHERE events.stream_id = gaps.stream_id AND events.epoch = gaps.epoch
              AND sequence BETWEEN first AND last) AS found,
           (SELECT string_agg(DISTINCT transport, '+') FROM events
            WHERE events.stream_id = gaps.stream_id AND events.epoch = gaps.epoch
              AND sequence BETWEEN first AND last) AS healed_by,
           (SELECT coalesce(sum(least(evidence.last, gaps.last) - greatest(evidence.first, gaps.first) + 1), 0)
            FROM evidence
            WHERE evidence.stream_id = gaps.stream_id AND evidence.epoch = gaps.epoch AND verdict = 'loss'
              AND evidence.last >= gaps.first AND evidence.first <= gaps.last) AS lost
    FROM gaps WHERE stream_id = :stream_id AND epoch = :epoch AND state = 'open' AND last < :frontier)
UPDATE gaps SET closed_at = :now, found = passed.found, lost = passed.lost, healed_by = passed.healed_by,
    state = CASE WHEN passed.lost > 0 THEN 'lost' WHEN passed.found > 0 THEN 'recovered' ELSE 'void' END
FROM passed WHERE gaps.id = passed.id
RETURNING gaps.id
""")

# What the audit found missing where nothing was believed to be: it is known and healed in one.
_HEAL = text("""
INSERT INTO gaps (stream_id, epoch, first, last, state, opened_at, due_at, closed_at, reads, found, healed_by, axis)
SELECT :stream_id, :epoch, first, last, 'recovered', :now, :now, :now, 1, found, 'audit', :axis
FROM unnest(CAST(:firsts AS bigint[]), CAST(:lasts AS bigint[]), CAST(:found AS bigint[]))
     AS hole (first, last, found)
""")

_READ_AT = text("""
UPDATE gaps SET reads = reads + 1, withheld = :withheld
WHERE stream_id = :stream_id AND epoch = :epoch AND state = 'open' AND first <= :upto
""")

_OPEN_TIME = text("""
INSERT INTO gaps (stream_id, epoch, first, last, opened_at, due_at, axis)
VALUES (:stream_id, 1, :first, :last, :now, :now, 'time')
ON CONFLICT (stream_id, epoch, first) WHERE state = 'open' DO UPDATE SET last = greatest(gaps.last, excluded.last)
RETURNING id, (xmax = 0) AS is_new
""")

_CLOSE_TIME = text("""
UPDATE gaps SET state = :state, closed_at = :now, last = greatest(first, :last), reads = reads + :reads,
    withheld = NULL, found = :found, lost = :lost, healed_by = :healed_by
WHERE id = :id AND state = 'open'
""")

_NOTE_TIME = text("""
UPDATE gaps SET last = greatest(last, :last), reads = reads + :reads, withheld = :withheld
WHERE id = :id AND state = 'open'
""")

_IN_TIME = text(f"""
SELECT {_COLUMNS} FROM gaps
WHERE stream_id = :stream_id AND axis = 'time' AND state IN ('open', 'lost') ORDER BY id DESC LIMIT :limit
""")

_LIST = text(f"""
SELECT {_COLUMNS} FROM gaps
WHERE stream_id = :stream_id AND id > :after AND (NOT :open_only OR state = 'open')
ORDER BY id LIMIT :limit
""")

_PAGE = text(f"""
SELECT {_COLUMNS} FROM gaps
WHERE stream_id = :stream_id AND (CAST(:before AS bigint) IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit
""")

_ONE = text(f"SELECT {_COLUMNS} FROM gaps WHERE stream_id = :stream_id AND id = :id")

_COUNTS = text("SELECT state, count(*) FROM gaps WHERE stream_id = :stream_id GROUP BY state")


async def holes(
    conn: Executes, *, stream_id: int, epoch: int, frontier: int, appeared_before: datetime, limit: int
) -> list[tuple[Span, datetime]]:
    """The runs without an event between ``frontier`` and the newest event, with the time each one showed."""
    values = {
        "stream_id": stream_id,
        "epoch": epoch,
        "frontier": frontier,
        "appeared_before": appeared_before,
        "limit": limit,
    }
    rows = await conn.execute(_HOLES, values)
    return [(Span.inclusive(first, last), showed_at) for first, last, showed_at in rows]


async def open_spans(conn: Executes, *, stream_id: int, epoch: int) -> list[Span]:
    """The spans of the gaps that are open."""
    rows = await conn.execute(_OPEN_SPANS, {"stream_id": stream_id, "epoch": epoch})
    return [Span.inclusive(first, last) for first, last in rows]


async def open_all(
    conn: Executes,
    *,
    stream_id: int,
    epoch: int,
    found: Sequence[tuple[Span, datetime]],
    deadline_at: datetime | None,
    now: datetime,
) -> int:
    """Open a gap for each span; returns how many are new. The caller holds the stream's lock."""
    values = {
        "stream_id": stream_id,
        "epoch": epoch,
        "firsts": [span.first for span, _ in found],
        "lasts": [span.last for span, _ in found],
        "opened": [showed_at for _, showed_at in found],
        "deadline_at": deadline_at,
        "now": now,
    }
    return int((await conn.execute(_OPEN, values)).rowcount)


async def close_passed(conn: Executes, *, stream_id: int, epoch: int, frontier: int, now: datetime) -> int:
    """Close the open gaps below ``frontier`` as recovered, void or lost; returns how many."""
    values = {"stream_id": stream_id, "epoch": epoch, "frontier": frontier, "now": now}
    return len((await conn.execute(_CLOSE, values)).all())


async def heal(
    conn: Executes, *, stream_id: int, epoch: int, healed: Sequence[tuple[Span, int]], axis: str, now: datetime
) -> None:
    """Put down spans with how many events the audit brought of each: gaps that were unknown until healed."""
    values = {
        "stream_id": stream_id,
        "epoch": epoch,
        "firsts": [span.first for span, _ in healed],
        "lasts": [span.last for span, _ in healed],
        "found": [found for _, found in healed],
        "axis": axis,
        "now": now,
    }
    await conn.execute(_HEAL, values)


async def note_read(conn: Executes, *, stream_id: int, epoch: int, upto: int, withheld: str | None) -> None:
    """Count a read for every open gap that it reached, with the clause that withheld its proof, if any."""
    values = {"stream_id": stream_id, "epoch": epoch, "upto": upto, "withheld": withheld}
    await conn.execute(_READ_AT, values)


async def open_time(
    conn: Executes, *, stream_id: int, first_ms: int, last_ms: int, now: datetime
) -> tuple[int, bool]:
    """Open a gap in time, or widen the one that begins there; its id, and whether it is new."""
    values = {"stream_id": stream_id, "first": first_ms, "last": max(first_ms, last_ms), "now": now}
    row = (await conn.execute(_OPEN_TIME, values)).one()
    return int(row[0]), bool(row[1])


async def note_time(conn: Executes, *, gap_id: int, last_ms: int, reads: int, withheld: str | None) -> None:
    """How far the gap reaches by now, how often more it was asked for, and why it is still open."""
    await conn.execute(_NOTE_TIME, {"id": gap_id, "last": last_ms, "reads": reads, "withheld": withheld})


async def close_time(
    conn: Executes,
    *,
    gap_id: int,
    last_ms: int,
    state: str,
    reads: int,
    found: int,
    lost_ms: int,
    healed_by: str | None,
    now: datetime,
) -> None:
    """How a gap in time ended."""
    values = {
        "id": gap_id,
        "last": last_ms,
        "state": state,
        "reads": reads,
        "found": found,
        "lost": lost_ms,
        "healed_by": healed_by,
        "now": now,
    }
    await conn.execute(_CLOSE_TIME, values)


async def in_time(conn: Executes, *, stream_id: int, limit: int) -> list[Gap]:
    """The gaps in time of a stream that are open, or ended as lost; the newest first."""
    rows = (await conn.execute(_IN_TIME, {"stream_id": stream_id, "limit": limit})).all()
    return [Gap(*row) for row in rows]


async def listing(
    conn: Executes, *, stream_id: int, after: int = 0, open_only: bool = False, limit: int = 100
) -> list[Gap]:
    """Gaps in the order they were opened, after the id ``after``."""
    values = {"stream_id": stream_id, "after": after, "open_only": open_only, "limit": limit}
    return [Gap(*row) for row in await conn.execute(_LIST, values)]


async def page(conn: Executes, *, stream_id: int, before: int | None, limit: int) -> list[Gap]:
    """The newest gaps first: those opened before the one of the id ``before``."""
    rows = await conn.execute(_PAGE, {"stream_id": stream_id, "before": before, "limit": limit})
    return [Gap(*row) for row in rows]


async def read(conn: Executes, *, stream_id: int, gap_id: int) -> Gap | None:
    """One gap of the stream."""
    row = (await conn.execute(_ONE, {"stream_id": stream_id, "id": gap_id})).one_or_none()
    return None if row is None else Gap(*row)


async def counts(conn: Executes, *, stream_id: int) -> dict[str, int]:
    """How many gaps of the stream are in each state."""
    rows = await conn.execute(_COUNTS, {"stream_id": stream_id})
    return {state: int(count) for state, count in rows}
