"""What others hold of a stream beside what the log tells, number by number: the differences, found by Postgres.

A consumer's list and the venue's go into tables of the transaction's own, so that no side has to fit into memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

COPIED_AT_ONCE_MAX = 10_000


class Held(NamedTuple):
    """An event that a consumer holds, by its number, and the SHA-256 of its content."""

    epoch: int
    sequence: int
    digest: bytes


class Listed(NamedTuple):
    """A row of the venue's list. ``differs``: stored with other content; ``missed``: it was missing until now."""

    epoch: int
    sequence: int
    differs: bool
    missed: bool


@dataclass(frozen=True, slots=True)
class Upstream:
    """What the venue lists, in any order, some of it perhaps twice.

    What was heard after ``heard_before`` may not be listed yet, what happened before ``retained_since`` not any more.
    The rest is missing from it, also behind its last row; not before its first one, where the venue may forget early.
    """

    rows: Iterable[Listed]
    heard_before: datetime
    retained_since: datetime


class Difference(NamedTuple):
    """One number on which the sides differ, and in what. A side that was not asked is None, as is a digest it lacks.

    ``upstream`` is ``has``, ``other`` (content), ``lacks``, ``expired`` (no longer retained) or ``newer`` (than what
    was read). ``bridge`` is ``has``, ``healed`` (told only now), ``waits`` (stored, and not its turn yet), ``open``,
    ``void``, ``lost``, ``before`` (the stream's first number), ``unknown`` or ``deleted``. ``consumer`` is ``has``,
    ``other`` or ``lacks``.
    """

    what: str
    epoch: int
    sequence: int
    position: int | None
    upstream: str | None
    bridge: str
    consumer: str | None
    theirs: bytes | None
    ours: bytes | None


class Compared(NamedTuple):
    """``held``, ``told`` and ``listed`` count what each side has, ``twice`` what the consumer holds more than once.

    A number may differ in more than one way; ``counts`` has it under each.
    """

    told: int
    held: int | None
    twice: int
    listed: int | None
    counts: dict[str, int]
    named: list[Difference]


_TABLES = [
    text("CREATE TEMPORARY TABLE held (epoch integer, sequence bigint, digest bytea) ON COMMIT DROP"),
    text(
        "CREATE TEMPORARY TABLE listed (epoch integer, sequence bigint, differs boolean, missed boolean)"
        " ON COMMIT DROP"
    ),
    text("""
        CREATE TEMPORARY TABLE differing (what text[], epoch integer, sequence bigint, position bigint, upstream text,
                                          bridge text, consumer text, theirs bytea, ours bytea) ON COMMIT DROP
    """),
]

_ANALYZE = text("ANALYZE held, listed")

_SIZES = text("""
SELECT (SELECT count(*) FROM log WHERE stream_id = :stream_id AND sequence IS NOT NULL),
       (SELECT count(*) FROM held),
       (SELECT count(*) FROM held) - (SELECT count(*) FROM (SELECT DISTINCT epoch, sequence FROM held) AS once),
       (SELECT count(*) FROM (SELECT DISTINCT epoch, sequence FROM listed) AS once)
""")

# Whoever has what was forgotten here, or what is older than the list's first row, may be right. What is held twice
# with two contents shows the one that is not ours.
_DIFFER = text("""
INSERT INTO differing
WITH stored AS (
    SELECT e.epoch, e.sequence, l.position, e.digest, e.received_at, coalesce(e.occurred_at, e.received_at) AS at
    FROM events e LEFT JOIN log l ON l.stream_id = e.stream_id AND l.epoch = e.epoch AND l.sequence = e.sequence
    WHERE e.stream_id = :stream_id),
theirs AS (SELECT DISTINCT ON (epoch, sequence) epoch, sequence, held.digest
           FROM held LEFT JOIN stored USING (epoch, sequence)
           ORDER BY epoch, sequence, held.digest IS NOT DISTINCT FROM stored.digest, held.digest),
listing AS (SELECT epoch, sequence, bool_or(differs) AS differs, bool_or(missed) AS missed
            FROM listed GROUP BY epoch, sequence),
ends AS (
    SELECT s.*,
           (SELECT ROW (epoch, sequence) FROM listing ORDER BY epoch, sequence LIMIT 1) AS from_,
           (SELECT ROW (epoch, sequence) FROM listing ORDER BY epoch DESC, sequence DESC LIMIT 1) AS upto
    FROM streams s WHERE s.id = :stream_id),
numbers AS (
    SELECT epoch, sequence, stored.position, stored.digest AS ours, stored.received_at, stored.at,
           theirs.digest AS theirs, listing.differs, listing.missed
    FROM stored FULL JOIN theirs USING (epoch, sequence) FULL JOIN listing USING (epoch, sequence)),
sides AS (
    SELECT n.epoch, n.sequence, n.position, n.ours, n.theirs,
           CASE
               WHEN NOT CAST(:is_listed AS boolean) THEN NULL
               WHEN n.differs THEN 'other'
               WHEN NOT n.differs THEN 'has'
               WHEN ROW (n.epoch, n.sequence) < s.from_
                    OR n.at <= CAST(:retained_since AS timestamptz) THEN 'expired'
               WHEN n.received_at > CAST(:heard_before AS timestamptz)
                    OR (n.received_at IS NULL AND ROW (n.epoch, n.sequence) > s.upto) THEN 'newer'
               ELSE 'lacks' END AS upstream,
           CASE
               WHEN n.position IS NOT NULL THEN CASE WHEN n.missed THEN 'healed' ELSE 'has' END
               WHEN ROW (n.epoch, n.sequence) < ROW (s.forgotten_epoch, s.forgotten_below) THEN 'deleted'
               WHEN n.epoch = s.epoch AND n.sequence < s.base THEN 'before'
               WHEN n.epoch > s.epoch OR (n.epoch = s.epoch AND n.sequence > s.head) THEN 'unknown'
               WHEN n.received_at IS NOT NULL THEN 'waits'
               WHEN EXISTS (SELECT 1 FROM evidence v WHERE v.stream_id = s.id AND v.epoch = n.epoch
                            AND v.verdict = 'loss' AND v.last >= n.sequence AND v.first <= n.sequence) THEN 'lost'
               WHEN n.epoch = s.epoch AND n.sequence >= s.frontier THEN 'open'
               ELSE 'void' END AS bridge,
           CASE
               WHEN NOT CAST(:is_held AS boolean) THEN NULL
               WHEN n.theirs IS NULL THEN 'lacks'
               WHEN n.theirs <> n.ours THEN 'other'
               ELSE 'has' END AS consumer
    FROM numbers n CROSS JOIN ends s)
SELECT what, epoch, sequence, position, upstream, bridge, consumer, theirs, ours
FROM sides CROSS JOIN LATERAL (SELECT array_remove(ARRAY[
    CASE WHEN consumer = 'lacks' AND bridge IN ('has', 'healed') THEN 'lacking' END,
    CASE WHEN consumer = 'other' THEN 'different' END,
    CASE WHEN consumer = 'has' AND bridge NOT IN ('has', 'healed', 'deleted') THEN 'extra' END,
    CASE WHEN consumer = 'has' AND bridge = 'deleted' THEN 'deleted' END,
    CASE WHEN bridge = 'healed' THEN 'missed' END,
    CASE WHEN upstream IN ('has', 'other') AND bridge IN ('lost', 'void', 'open', 'unknown') THEN 'untold' END,
    CASE WHEN upstream = 'other' THEN 'conflict' END,
    CASE WHEN upstream = 'lacks' AND bridge IN ('has', 'waits') THEN 'unlisted' END], NULL) AS what) AS found
WHERE what <> '{}'
""")

_COUNTS = text("SELECT kind, count(*) FROM differing, unnest(what) AS kind GROUP BY kind ORDER BY kind")

_NAMED = text("""
SELECT array_to_string(what, ', '), epoch, sequence, position, upstream, bridge, consumer, theirs, ours
FROM differing WHERE what <> '{deleted}' ORDER BY epoch, sequence LIMIT :limit
""")


async def compare(
    conn: AsyncConnection, *, stream_id: int, held: Iterable[Held] | None, upstream: Upstream | None, limit: int
) -> Compared:
    """How those that are given differ from what the log tells; at most ``limit`` numbers are named, the lowest first.

    The connection is in a transaction, which is to be rolled back.
    """
    await conn.execute(text("SET LOCAL statement_timeout = 0"))
    for table in _TABLES:
        await conn.execute(table)
    await _copy(conn, "held", held or ())
    await _copy(conn, "listed", () if upstream is None else upstream.rows)
    await conn.execute(_ANALYZE)
    told, holds, twice, listed = (await conn.execute(_SIZES, {"stream_id": stream_id})).one()
    sides = {
        "stream_id": stream_id,
        "is_held": held is not None,
        "is_listed": upstream is not None,
        "heard_before": None if upstream is None else upstream.heard_before,
        "retained_since": None if upstream is None else upstream.retained_since,
    }
    await conn.execute(_DIFFER, sides)
    counts = {row[0]: row[1] for row in (await conn.execute(_COUNTS)).all()}
    found = (await conn.execute(_NAMED, {"limit": limit})).all()
    named = [Difference(*row) for row in found]
    return Compared(told, None if held is None else holds, twice, None if upstream is None else listed, counts, named)


async def _copy(conn: AsyncConnection, table: str, records: Iterable[tuple[object, ...]]) -> None:
    raw: Any = (await conn.get_raw_connection()).driver_connection
    rows = iter(records)
    while batch := list(islice(rows, COPIED_AT_ONCE_MAX)):
        await raw.copy_records_to_table(table, records=batch)
