"""Reports as they were made, kept to the byte, and who is to be told of each."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

ERROR_CHARS_MAX = 500
PIECE_BYTES = 256 << 10


class Kept(NamedTuple):
    """A report that is kept, without its text."""

    id: int
    since: datetime
    until: datetime
    made_at: datetime
    digest: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A destination that is to be told of a report, and how often that was tried."""

    report: Kept
    destination_id: int
    destination: str
    attempts: int


_KEEP = text("""
INSERT INTO reports (since, until, made_at, digest, body) VALUES (:since, :until, :made_at, :digest, :body)
ON CONFLICT (since, until) DO NOTHING RETURNING id
""")

_TELL = text("""
INSERT INTO report_notices (report_id, destination_id, due_at)
SELECT :report_id, id, :now FROM destinations WHERE name = ANY (CAST(:names AS text[])) ORDER BY id FOR KEY SHARE
""")

_LISTING = text("""
SELECT id, since, until, made_at, digest FROM reports
WHERE CAST(:before AS bigint) IS NULL OR id < :before ORDER BY id DESC LIMIT :limit
""")

_PACKED = text("SELECT body FROM reports WHERE since = :since AND until = :until")

# Whoever was down for weeks was up on the day that it began with.
_MISSING = text("""
SELECT day FROM generate_series(
    least(CAST(:since AS timestamptz), (SELECT max(until) FROM reports)),
    CAST(:today AS timestamptz) - interval '24 hours', interval '24 hours') AS day
WHERE day + interval '24 hours' >= :oldest
  AND NOT EXISTS (SELECT 1 FROM reports WHERE since = day AND until = day + interval '24 hours')
  AND EXISTS (SELECT 1 FROM hours WHERE hour < day + interval '24 hours')
ORDER BY day LIMIT :limit
""")

# Claimed by moving what is due: whoever dies with it leaves it due again then.
_TAKE = text("""
WITH taken AS (
    SELECT n.report_id, n.destination_id FROM report_notices n
    JOIN destinations d ON d.id = n.destination_id AND d.state = 'active'
    WHERE n.due_at <= :now AND d.name = ANY (CAST(:names AS text[]))
    ORDER BY n.due_at LIMIT :limit FOR UPDATE OF n SKIP LOCKED)
UPDATE report_notices n SET due_at = :until, attempts = n.attempts + 1
FROM taken, reports r, destinations d
WHERE n.report_id = taken.report_id AND n.destination_id = taken.destination_id AND r.id = n.report_id
  AND d.id = n.destination_id
RETURNING r.id, r.since, r.until, r.made_at, r.digest, d.id, d.name, n.attempts
""")

_END = text("""
UPDATE report_notices SET due_at = :due_at, told_at = :told_at, error = :error
WHERE report_id = :report_id AND destination_id = :destination_id AND attempts = :attempts
""")


def packed(pieces: Iterable[bytes]) -> bytes:
    """A report's JSON as it is kept. It may take seconds: keep it out of a loop."""
    packer = zlib.compressobj()
    return b"".join([*map(packer.compress, pieces), packer.flush()])


def unpacked(body: bytes) -> Iterator[bytes]:
    """The JSON again, piece by piece. Likewise."""
    unpacker = zlib.decompressobj()
    rest = body
    while rest or not unpacker.eof:
        piece = unpacker.decompress(rest, PIECE_BYTES)
        rest = unpacker.unconsumed_tail
        if not piece and not rest:
            break
        yield piece


async def keep(
    conn: AsyncConnection,
    *,
    since: datetime,
    until: datetime,
    digest: str,
    body: bytes,
    names: Sequence[str],
    now: datetime,
) -> bool:
    """Keep a report, ``body`` as ``packed``; the destinations of these ``names`` are told. False: there is one."""
    values = {"since": since, "until": until, "made_at": now, "digest": digest, "body": body}
    report_id = (await conn.execute(_KEEP, values)).scalar_one_or_none()
    if report_id is None:
        return False
    await conn.execute(_TELL, {"report_id": report_id, "names": list(names), "now": now})
    return True


async def missing(
    conn: AsyncConnection, *, since: datetime, oldest: datetime, today: datetime, limit: int
) -> list[datetime]:
    """The first days before ``today``, each by its beginning, of which there is something to report, and no report.

    They are looked for from ``since`` on, or from the end of the last report, if that is earlier; none ended before
    ``oldest``.
    """
    values = {"since": since, "oldest": oldest, "today": today, "limit": limit}
    return list((await conn.execute(_MISSING, values)).scalars())


async def listing(conn: AsyncConnection, *, before: int | None, limit: int) -> list[Kept]:
    """The newest first; those older than the one of id ``before``."""
    return [Kept(*row) for row in (await conn.execute(_LISTING, {"before": before, "limit": limit})).all()]


async def body(conn: AsyncConnection, *, since: datetime, until: datetime) -> bytes | None:
    """The report of exactly that period, ``packed``, if one is kept."""
    found: bytes | None = (await conn.execute(_PACKED, {"since": since, "until": until})).scalar_one_or_none()
    return found


async def take(
    conn: AsyncConnection, names: Sequence[str], *, now: datetime, until: datetime, limit: int
) -> list[Notice]:
    """Take up what is due to be told to the destinations of these ``names``; it is due again at ``until``."""
    rows = (await conn.execute(_TAKE, {"names": list(names), "now": now, "until": until, "limit": limit})).all()
    return [Notice(Kept(*row[:5]), *row[5:]) for row in rows]


async def told(conn: AsyncConnection, notice: Notice, *, now: datetime) -> None:
    """It was accepted. Nothing happens where somebody else has taken the notice up since."""
    await _end(conn, notice, due_at=None, told_at=now, error=None)


async def failed(conn: AsyncConnection, notice: Notice, *, error: str, due_at: datetime | None) -> None:
    """It was not accepted; without ``due_at`` it is given up. Likewise."""
    await _end(conn, notice, due_at=due_at, told_at=None, error=error[:ERROR_CHARS_MAX])


async def _end(
    conn: AsyncConnection, notice: Notice, *, due_at: datetime | None, told_at: datetime | None, error: str | None
) -> None:
    values = {"report_id": notice.report.id, "destination_id": notice.destination_id, "attempts": notice.attempts}
    await conn.execute(_END, {**values, "due_at": due_at, "told_at": told_at, "error": error})
