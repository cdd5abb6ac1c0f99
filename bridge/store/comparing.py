"""What somebody else holds of a stream, beside what the log tells: the differences, found by Postgres.

What they hold goes into a table of the transaction's own, so that neither side has to fit into memory.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

COPIED_AT_ONCE_MAX = 10_000


class Held(NamedTuple):
    """An event that somebody holds, by its number, and the SHA-256 of its content."""

    epoch: int
    sequence: int
    digest: bytes


class Difference(NamedTuple):
    """One number on which the two sides differ; a digest is None on the side that does not have it.

    ``what`` is ``lacking`` (they lack it), ``extra`` (the log never told it), ``different``, or ``deleted``: they
    have it, and the log that is left begins behind it.
    """

    what: str
    epoch: int
    sequence: int
    position: int | None
    theirs: bytes | None
    ours: bytes | None


class Compared(NamedTuple):
    """``held`` and ``told`` count both sides, ``twice`` what they hold more than once."""

    held: int
    told: int
    twice: int
    counts: dict[str, int]
    named: list[Difference]


_TABLE = text("""
CREATE TEMPORARY TABLE held (epoch integer NOT NULL, sequence bigint NOT NULL, digest bytea NOT NULL) ON COMMIT DROP
""")

_SIZES = text("""
SELECT (SELECT count(*) FROM held),
       (SELECT count(*) FROM log WHERE stream_id = :stream_id AND sequence IS NOT NULL),
       (SELECT count(*) FROM held) - (SELECT count(*) FROM (SELECT DISTINCT epoch, sequence FROM held) AS once)
""")

# What is left of the log begins with this number. Whoever has older ones may be right.
_DIFFERENCES = """
FROM (SELECT l.epoch, l.sequence, l.position, e.digest
      FROM log l JOIN events e ON e.stream_id = l.stream_id AND e.epoch = l.epoch AND e.sequence = l.sequence
      WHERE l.stream_id = :stream_id AND l.sequence IS NOT NULL) AS ours
FULL JOIN (SELECT DISTINCT ON (epoch, sequence) epoch, sequence, digest
           FROM held ORDER BY epoch, sequence) AS theirs USING (epoch, sequence)
CROSS JOIN (SELECT forgotten, (SELECT epoch FROM log WHERE stream_id = :stream_id AND sequence IS NOT NULL
                               ORDER BY epoch, sequence LIMIT 1) AS oldest_epoch,
                   (SELECT sequence FROM log WHERE stream_id = :stream_id AND sequence IS NOT NULL
                    ORDER BY epoch, sequence LIMIT 1) AS oldest
            FROM streams WHERE id = :stream_id) AS left_
CROSS JOIN LATERAL (SELECT CASE
    WHEN theirs.digest IS NULL THEN 'lacking'
    WHEN ours.digest IS NULL AND forgotten > 0
         AND (oldest IS NULL OR (epoch, sequence) < (oldest_epoch, oldest)) THEN 'deleted'
    WHEN ours.digest IS NULL THEN 'extra'
    ELSE 'different' END AS what) AS kind
WHERE ours.digest IS DISTINCT FROM theirs.digest
"""

_COUNTS = text(f"SELECT what, count(*) {_DIFFERENCES} GROUP BY what")

_NAMED = text(f"""
SELECT what, epoch, sequence, position, theirs.digest, ours.digest {_DIFFERENCES}
  AND what <> 'deleted' ORDER BY epoch, sequence LIMIT :limit
""")


async def compare(conn: AsyncConnection, *, stream_id: int, held: Iterable[Held], limit: int) -> Compared:
    """How ``held`` differs from what the log tells; at most ``limit`` differences are named, the lowest first.

    The connection is in a transaction, which is to be rolled back.
    """
    await conn.execute(text("SET LOCAL statement_timeout = 0"))
    await conn.execute(_TABLE)
    raw: Any = (await conn.get_raw_connection()).driver_connection
    rows = iter(held)
    while batch := list(islice(rows, COPIED_AT_ONCE_MAX)):
        await raw.copy_records_to_table("held", records=batch)
    await conn.execute(text("ANALYZE held"))
    values = {"stream_id": stream_id}
    holds, tells, twice = (await conn.execute(_SIZES, values)).one()
    counts = {row[0]: row[1] for row in (await conn.execute(_COUNTS, values)).all()}
    found = (await conn.execute(_NAMED, {**values, "limit": limit})).all()
    return Compared(holds, tells, twice, counts, [Difference(*row) for row in found])
