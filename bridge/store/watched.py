"""What the rules of alerts look at: everything that may need a person, and no more, in a few bounded statements.

What is fine has no row here. None of the statements reads events, and the log only by its key.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store.connections import Connection

ROWS_MAX = 10_000
"""Of each kind. Beyond it the kind is named in ``Watched.cut``."""

AUDIT_SHOWN = timedelta(minutes=15)
"""How long the difference that an audit found is shown, also where the next one finds none."""


class Gaps(NamedTuple):
    """The open gaps of a stream. ``spent`` is the largest share of its time that one of them has used."""

    stream: str
    spans: int
    oldest_at: datetime
    deadline_at: datetime | None
    spent: float | None


class Doubt(NamedTuple):
    """A stream that waits for numbers of ``unmatched`` deliveries, or is frozen since ``suspect_at``."""

    stream: str
    unmatched: int
    unmatched_since: datetime | None
    suspect_at: datetime | None


class Remarked(NamedTuple):
    """Entries of an hour of a stream that are no plain events. ``repair`` is what mends its holes, if declared."""

    stream: str
    repair: str | None
    hour: datetime
    gaps: int
    late: int
    conflicts: int


class Audited(NamedTuple):
    """The newest audit of a stream that found a difference; no later one has found that there is none."""

    stream: str
    ended_at: datetime
    fresh: int
    conflicts: int
    unlisted: int


class Telling(NamedTuple):
    """When a source last told of something by itself, not asked. ``connection`` is its socket, if it has one."""

    source: str
    last_at: datetime | None
    connection: Connection | None


class Taker(NamedTuple):
    """A destination that is not simply active; ``of_file`` is one that the configuration file made."""

    destination: str
    state: str
    reason: str | None
    changed_at: datetime
    of_file: bool


class Behind(NamedTuple):
    """A destination that has left an entry of a stream waiting since ``oldest_at``, and ``entries`` in all.

    ``globs`` are the streams it wants, None where only the file knows.
    """

    destination: str
    state: str
    stream: str
    entries: int
    oldest_at: datetime
    globs: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """All of it as of one moment. ``cut`` names the kinds of which there was more than was read."""

    gaps: tuple[Gaps, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    remarks: tuple[Remarked, ...] = ()
    audits: tuple[Audited, ...] = ()
    tellings: tuple[Telling, ...] = ()
    takers: tuple[Taker, ...] = ()
    behind: tuple[Behind, ...] = ()
    database_bytes: int | None = None
    cut: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Reach:
    """From when on remarks are wanted, and before when an entry must have been appended to count as left waiting."""

    remarks_since: datetime
    waiting_before: datetime
    with_database_size: bool


_GAPS = text("""
SELECT s.name, g.spans, g.oldest_at, g.deadline_at, g.spent
FROM (SELECT stream_id, count(*) AS spans, min(opened_at) AS oldest_at, min(deadline_at) AS deadline_at,
             max(CASE WHEN deadline_at > opened_at
                      THEN CAST(extract(epoch FROM CAST(:now AS timestamptz) - opened_at)
                                / extract(epoch FROM deadline_at - opened_at) AS double precision)
                      WHEN deadline_at IS NOT NULL THEN 1 END) AS spent
      FROM gaps WHERE state = 'open' GROUP BY stream_id) g JOIN streams s ON s.id = g.stream_id
ORDER BY g.oldest_at LIMIT :limit
""")

_DOUBTS = text("""
SELECT s.name, s.unmatched, CASE WHEN s.unmatched > 0 THEN
    (SELECT min(received_at) FROM sightings WHERE stream_id = s.id AND sequence IS NULL) END, s.suspect_at
FROM streams s WHERE s.unmatched > 0 OR s.suspect_at IS NOT NULL ORDER BY s.name LIMIT :limit
""")

_REMARKS = text("""
SELECT s.name, f.repair, h.hour, h.gaps, h.late, h.conflicts
FROM hours h JOIN streams s ON s.id = h.stream_id LEFT JOIN follows f ON f.stream_id = h.stream_id
WHERE h.hour >= :since AND (h.gaps > 0 OR h.late > 0 OR h.conflicts > 0)
ORDER BY h.hour DESC, s.name LIMIT :limit
""")

# A difference is shown until a later pass finds none, and for a while in any case.
_AUDITS = text("""
SELECT s.name, a.ended_at, a.fresh, a.conflicts, a.unlisted
FROM (SELECT DISTINCT ON (stream_id) stream_id, id, ended_at, fresh, conflicts, unlisted FROM audits
      WHERE ended_at >= :since AND (fresh > 0 OR conflicts > 0 OR unlisted > 0)
      ORDER BY stream_id, id DESC) a JOIN streams s ON s.id = a.stream_id
WHERE a.ended_at >= :shown_since OR NOT EXISTS (
    SELECT 1 FROM audits n WHERE n.stream_id = a.stream_id AND n.id > a.id AND n.ended_at IS NOT NULL
                             AND n.error IS NULL)
ORDER BY a.ended_at DESC LIMIT :limit
""")

# What was read again counts as heard by replay: it says nothing of whether the venue tells by itself.
_TELLINGS = text("""
SELECT told.source, told.last_at, c.state, c.detail, c.changed_at, l.until
FROM (SELECT s.source, max(h.last_at) AS last_at FROM streams s
      LEFT JOIN heard h ON h.stream_id = s.id AND h.transport <> 'replay' GROUP BY s.source) told
LEFT JOIN connections c ON c.source = told.source LEFT JOIN leases l ON l.name = 'source:' || told.source
ORDER BY told.source LIMIT :limit
""")

_TAKERS = text("""
SELECT name, state, reason, changed_at, origin = 'file' FROM destinations WHERE state <> 'active'
ORDER BY name LIMIT :limit
""")

# Only for cursors that are behind is the log asked: one probe of the key each, whatever the planner believes.
_BEHIND = text("""
SELECT d.name, d.state, s.name, s.position - c.position, waiting.since,
       CASE WHEN d.origin = 'api' THEN d.policy -> 'streams' END
FROM cursors c JOIN streams s ON s.id = c.stream_id AND s.position > c.position
JOIN destinations d ON d.id = c.destination_id
CROSS JOIN LATERAL (SELECT l.appended_at AS since FROM log l
                    WHERE l.stream_id = c.stream_id AND l.position = c.position + 1 LIMIT 1) waiting
WHERE waiting.since < :before ORDER BY waiting.since LIMIT :limit
""")

_DATABASE = text("SELECT pg_database_size(current_database())")


async def look(conn: AsyncConnection, reach: Reach, *, now: datetime, limit: int = ROWS_MAX) -> Watched:
    """Everything that may need a person, at most ``limit`` rows of each kind."""
    cut: set[str] = set()

    async def rows(kind: str, statement: TextClause, **values: object) -> list[Any]:
        found = (await conn.execute(statement, values | {"limit": limit + 1})).all()
        if len(found) > limit:
            cut.add(kind)
        return list(found[:limit])

    gaps = await rows("gaps", _GAPS, now=now)
    doubts = await rows("doubts", _DOUBTS)
    remarks = await rows("remarks", _REMARKS, since=reach.remarks_since)
    audits = await rows("audits", _AUDITS, since=reach.remarks_since, shown_since=now - AUDIT_SHOWN)
    tellings = await rows("tellings", _TELLINGS)
    takers = await rows("takers", _TAKERS)
    behind = await rows("behind", _BEHIND, before=reach.waiting_before)
    size = (await conn.execute(_DATABASE)).scalar_one() if reach.with_database_size else None
    return Watched(
        gaps=tuple(Gaps(*row) for row in gaps),
        doubts=tuple(Doubt(*row) for row in doubts),
        remarks=tuple(Remarked(*row) for row in remarks),
        audits=tuple(Audited(*row) for row in audits),
        tellings=tuple(Telling(row[0], row[1], _connection(row[0], *row[2:])) for row in tellings),
        takers=tuple(Taker(*row) for row in takers),
        behind=tuple(_behind(*row) for row in behind),
        database_bytes=size,
        cut=frozenset(cut),
    )


def _connection(
    source: str, state: str | None, detail: str, changed_at: datetime, until: datetime | None
) -> Connection | None:
    return None if state is None else Connection(source, state, detail, changed_at, until)


def _behind(
    destination: str, state: str, stream: str, entries: int, oldest_at: datetime, globs: list[str] | None
) -> Behind:
    return Behind(destination, state, stream, entries, oldest_at, None if globs is None else tuple(globs))
