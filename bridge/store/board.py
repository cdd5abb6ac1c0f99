"""What a page shows of many streams: some of them at a time, in an order that puts trouble first, and the sums.

No statement here returns more rows than it is asked for, however many streams there are.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store.connections import Connection
from bridge.store.overview import Heard


class Totals(NamedTuple):
    """The whole in a few numbers. ``deadline_at`` is the nearest of the open gaps."""

    streams: int
    troubled: int
    gaps: int
    deadline_at: datetime | None


class Named(NamedTuple):
    """A stream by its id and its name."""

    id: int
    name: str


class Rank(NamedTuple):
    """Where a stream in trouble stands in the order of them: in doubt or ``calm``, by its nearest deadline, by its
    oldest gap, by its name."""

    calm: bool
    deadline_at: datetime | None
    opened_at: datetime | None
    name: str


class Troubled(NamedTuple):
    """A stream in trouble by its id."""

    id: int
    rank: Rank


class Source(NamedTuple):
    """A source: how many streams it has, when each way last told of something, and its socket if it has one."""

    source: str
    streams: int
    webhook_at: datetime | None
    websocket_at: datetime | None
    replay_at: datetime | None
    connection: Connection | None


class Taking(NamedTuple):
    """How far a destination is on one stream. ``oldest_at`` is when what it takes next was appended."""

    destination: str
    state: str
    position: int
    behind: int
    failures: int
    failing_since: datetime | None
    last_error: str | None
    oldest_at: datetime | None


class Taker(NamedTuple):
    """A destination with the sums over its cursors.

    ``taken`` adds up the positions: how much it grows says how fast. ``oldest_at`` is when the oldest entry that it
    has not taken was appended.
    """

    name: str
    state: str
    reason: str | None
    changed_at: datetime
    streams: int
    behind: int
    behind_streams: int
    taken: int
    failures: int
    failing_since: datetime | None
    oldest_at: datetime | None
    parked: int


# A stream is in trouble when its numbering is in doubt, a gap is open, or the venue refuses it.
_TROUBLED = """
FROM streams s
LEFT JOIN (SELECT stream_id, min(opened_at) AS opened_at, min(deadline_at) AS deadline_at
           FROM gaps WHERE state = 'open' GROUP BY stream_id) g ON g.stream_id = s.id
LEFT JOIN follows f ON f.stream_id = s.id AND f.state = 'refused'
WHERE (s.suspect_at IS NOT NULL OR g.stream_id IS NOT NULL OR f.stream_id IS NOT NULL)
  AND (CAST(:pattern AS text) IS NULL OR s.name LIKE :pattern)
"""

# By where they stand, and not by how many are before them: those leave, and nobody is passed over for that.
_RANKED = f"SELECT s.id, s.suspect_at IS NULL, g.deadline_at, g.opened_at, s.name {_TROUBLED}"
_KEYS = ("s.suspect_at IS NULL", "coalesce(g.deadline_at, 'infinity')", "coalesce(g.opened_at, 'infinity')", "s.name")
_RANK = ", ".join(_KEYS)
_GIVEN = """
CAST(:calm AS boolean), coalesce(CAST(:deadline_at AS timestamptz), 'infinity'),
coalesce(CAST(:opened_at AS timestamptz), 'infinity'), CAST(:name AS text)
"""

_TROUBLED_AFTER = text(f"""
{_RANKED} AND (CAST(:name AS text) IS NULL OR ({_RANK}) > ({_GIVEN})) ORDER BY {_RANK} LIMIT :limit
""")

_TROUBLED_BEFORE = text(f"""
{_RANKED} AND ({_RANK}) < ({_GIVEN}) ORDER BY {", ".join(f"{key} DESC" for key in _KEYS)} LIMIT :limit
""")

_TOTALS = text(f"""
SELECT (SELECT count(*) FROM streams), (SELECT count(*) {_TROUBLED}), count(*), min(deadline_at)
FROM gaps WHERE state = 'open'
""")

_ID = text("SELECT id FROM streams WHERE name = :name")

_AFTER = text("""
SELECT id, name FROM streams WHERE name > :after AND (CAST(:pattern AS text) IS NULL OR name LIKE :pattern)
ORDER BY name LIMIT :limit
""")

_BEFORE = text("""
SELECT id, name FROM (
    SELECT id, name FROM streams WHERE name < :before AND (CAST(:pattern AS text) IS NULL OR name LIKE :pattern)
    ORDER BY name DESC LIMIT :limit) AS found
ORDER BY name
""")

_SOURCES = text("""
SELECT told.source, told.streams, told.webhook_at, told.websocket_at, told.replay_at,
       c.state, c.detail, c.changed_at, l.until
FROM (SELECT s.source, count(*) AS streams, max(h.webhook_at) AS webhook_at, max(h.websocket_at) AS websocket_at,
             max(h.replay_at) AS replay_at
      FROM streams s
      LEFT JOIN (SELECT stream_id, max(last_at) FILTER (WHERE transport = 'webhook') AS webhook_at,
                        max(last_at) FILTER (WHERE transport = 'websocket') AS websocket_at,
                        max(last_at) FILTER (WHERE transport = 'replay') AS replay_at
                 FROM heard GROUP BY stream_id) h ON h.stream_id = s.id
      GROUP BY s.source) told
LEFT JOIN connections c ON c.source = told.source
LEFT JOIN leases l ON l.name = 'source:' || told.source
ORDER BY told.source LIMIT :limit
""")

# Only for cursors that are behind is the log asked: one probe of the key each.
_TAKERS = text("""
SELECT d.name, d.state, d.reason, d.changed_at, coalesce(c.streams, 0), coalesce(c.behind, 0),
       coalesce(c.behind_streams, 0), coalesce(c.taken, 0), coalesce(c.failures, 0), c.failing_since, c.oldest_at,
       (SELECT count(*) FROM parked p WHERE p.destination_id = d.id AND p.state IN ('parked', 'due'))
FROM (SELECT id, name, state, reason, changed_at FROM destinations ORDER BY name LIMIT :limit) d
LEFT JOIN (
    SELECT c.destination_id, count(*) AS streams,
           CAST(sum(greatest(s.position - c.position, 0)) AS bigint) AS behind,
           count(*) FILTER (WHERE s.position > c.position) AS behind_streams,
           CAST(sum(c.position) AS bigint) AS taken, max(c.failures) AS failures,
           min(c.failing_since) AS failing_since,
           min(CASE WHEN s.position > c.position THEN (
               SELECT l.appended_at FROM log l
               WHERE l.stream_id = c.stream_id AND l.position = c.position + 1) END) AS oldest_at
    FROM cursors c JOIN streams s ON s.id = c.stream_id GROUP BY c.destination_id) c ON c.destination_id = d.id
ORDER BY d.name
""")

_HEARD = text("SELECT transport, events, first, last_at FROM heard WHERE stream_id = :stream_id ORDER BY 1")

_TAKERS_OF = text("""
SELECT d.name, d.state, c.position, greatest(s.position - c.position, 0), c.failures, c.failing_since, c.last_error,
       (SELECT l.appended_at FROM log l WHERE l.stream_id = c.stream_id AND l.position = c.position + 1)
FROM cursors c JOIN destinations d ON d.id = c.destination_id JOIN streams s ON s.id = c.stream_id
WHERE c.stream_id = :stream_id ORDER BY d.name LIMIT :limit
""")


async def totals(conn: AsyncConnection) -> Totals:
    """How many there are of what."""
    return Totals(*(await conn.execute(_TOTALS, {"pattern": None})).one())


async def troubled(
    conn: AsyncConnection, *, pattern: str | None = None, after: Rank | None = None, limit: int
) -> list[Troubled]:
    """Streams in trouble, those behind ``after``: those in doubt first, then the nearest deadline."""
    begin = dict.fromkeys(Rank._fields) if after is None else after._asdict()
    values = {"pattern": pattern, "limit": limit, **begin}
    return [Troubled(row[0], Rank(*row[1:])) for row in (await conn.execute(_TROUBLED_AFTER, values)).all()]


async def troubled_before(
    conn: AsyncConnection, rank: Rank, *, pattern: str | None = None, limit: int
) -> list[Troubled]:
    """The last streams in trouble in front of ``rank``, in the same order."""
    values = {"pattern": pattern, "limit": limit, **rank._asdict()}
    rows = (await conn.execute(_TROUBLED_BEFORE, values)).all()
    return [Troubled(row[0], Rank(*row[1:])) for row in reversed(rows)]


async def id_of(conn: AsyncConnection, name: str) -> int | None:
    """The id of the stream of that name."""
    return (await conn.execute(_ID, {"name": name})).scalar_one_or_none()


async def after(conn: AsyncConnection, name: str, *, pattern: str | None = None, limit: int) -> list[Named]:
    """Streams in the order of their names, behind ``name``. ``pattern`` is one of LIKE."""
    values = {"after": name, "pattern": pattern, "limit": limit}
    return [Named(*row) for row in (await conn.execute(_AFTER, values)).all()]


async def before(conn: AsyncConnection, name: str, *, pattern: str | None = None, limit: int) -> list[Named]:
    """The last streams in front of ``name``, in the order of their names."""
    values = {"before": name, "pattern": pattern, "limit": limit}
    return [Named(*row) for row in (await conn.execute(_BEFORE, values)).all()]


async def sources(conn: AsyncConnection, *, limit: int) -> list[Source]:
    """By name."""
    rows = (await conn.execute(_SOURCES, {"limit": limit})).all()
    return [_source(*row) for row in rows]


async def takers(conn: AsyncConnection, *, limit: int) -> list[Taker]:
    """Destinations by name."""
    return [Taker(*row) for row in (await conn.execute(_TAKERS, {"limit": limit})).all()]


async def takers_of(conn: AsyncConnection, stream_id: int, *, limit: int) -> list[Taking]:
    """Who takes the stream, by name."""
    rows = (await conn.execute(_TAKERS_OF, {"stream_id": stream_id, "limit": limit})).all()
    return [Taking(*row) for row in rows]


async def heard(conn: AsyncConnection, stream_id: int) -> dict[str, Heard]:
    """What each transport told of the stream."""
    rows = (await conn.execute(_HEARD, {"stream_id": stream_id})).all()
    return {row[0]: Heard(*row[1:]) for row in rows}


def _source(
    source: str,
    streams: int,
    webhook_at: datetime | None,
    websocket_at: datetime | None,
    replay_at: datetime | None,
    state: str | None,
    detail: str,
    changed_at: datetime,
    until: datetime | None,
) -> Source:
    socket = None if state is None else Connection(source, state, detail, changed_at, until)
    return Source(source, streams, webhook_at, websocket_at, replay_at, socket)


def pattern_of(find: str) -> str:
    """The pattern of LIKE for what somebody looks for: ``*`` and ``?`` as in a glob; without them any part."""
    escaped = find.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    if "*" in find or "?" in find:
        return escaped.replace("*", "%").replace("?", "_")
    return f"%{escaped}%"
