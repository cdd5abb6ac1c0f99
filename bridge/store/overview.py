"""The whole at a glance: what status and metrics read. Every query is bounded, and cheap however long the log is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.store import connections, follows, streams
from bridge.store.connections import Connection
from bridge.store.engine import store_errors
from bridge.store.follows import Follow
from bridge.store.streams import Stream

ROWS_MAX = 1000


class OpenGaps(NamedTuple):
    """The open gaps of one stream: how many, since when the oldest, and the nearest deadline."""

    spans: int
    oldest_at: datetime
    deadline_at: datetime | None


class Heard(NamedTuple):
    """How often a transport told of an event of the stream, how often it was the first to, and when last."""

    events: int
    first: int
    last_at: datetime


class Cursor(NamedTuple):
    """How far a destination is on a stream. ``oldest_at`` is when the first entry it has not taken was appended."""

    destination: str
    stream: str
    position: int
    head: int
    failures: int
    failing_since: datetime | None
    last_error: str | None
    due_at: datetime
    oldest_at: datetime | None

    @property
    def behind(self) -> int:
        return self.head - self.position


class Destination(NamedTuple):
    """A destination that was delivered to, or is to be."""

    name: str
    state: str
    reason: str | None
    changed_at: datetime


class GapRow(NamedTuple):
    """One gap with its stream's name; ``first`` and ``last`` are inclusive."""

    id: int
    stream: str
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


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything as of one moment. ``gaps``, ``heard`` and ``follows`` are by the stream's id."""

    streams: tuple[Stream, ...]
    gaps: Mapping[int, OpenGaps]
    heard: Mapping[tuple[int, str], Heard]
    connections: tuple[Connection, ...]
    destinations: tuple[Destination, ...]
    cursors: tuple[Cursor, ...]
    follows: Mapping[int, Follow]


_OPEN_GAPS = text("""
SELECT stream_id, count(*), min(opened_at), min(deadline_at) FROM gaps WHERE state = 'open'
GROUP BY stream_id ORDER BY stream_id LIMIT :limit
""")

_HEARD = text("SELECT stream_id, transport, events, first, last_at FROM heard ORDER BY 1, 2 LIMIT :limit")

_DESTINATIONS = text("SELECT name, state, reason, changed_at FROM destinations ORDER BY name LIMIT :limit")

# The entry is looked up cursor by cursor: one probe of the key each, whatever the planner believes of the log.
_CURSORS = text("""
SELECT d.name, s.name, c.position, s.position, c.failures, c.failing_since, c.last_error, c.due_at,
       (SELECT l.appended_at FROM log l WHERE l.stream_id = c.stream_id AND l.position = c.position + 1)
FROM cursors c JOIN destinations d ON d.id = c.destination_id JOIN streams s ON s.id = c.stream_id
ORDER BY d.name, s.name LIMIT :limit
""")

_GAP_COLUMNS = (
    "g.id, s.name, g.epoch, g.first, g.last, g.state, g.opened_at, g.deadline_at, g.reads, g.withheld, g.closed_at,"
    " g.found, g.lost, g.healed_by, g.axis"
)

_OF_STREAM = "(CAST(:stream AS text) IS NULL OR s.name = :stream)"

_RECENT_GAPS = text(f"""
SELECT {_GAP_COLUMNS} FROM gaps g JOIN streams s ON s.id = g.stream_id
WHERE {_OF_STREAM} ORDER BY g.id DESC LIMIT :limit
""")

_OPEN_NOW = text(f"""
SELECT {_GAP_COLUMNS} FROM gaps g JOIN streams s ON s.id = g.stream_id
WHERE g.state = 'open' AND {_OF_STREAM} ORDER BY g.deadline_at, g.id LIMIT :limit
""")


def lag_of(stream: Stream) -> int:
    """How many numbers up to the head are not proven yet."""
    return 0 if stream.frontier is None else max(0, stream.head + 1 - stream.frontier)


async def look(engine: AsyncEngine) -> Overview:
    """Read everything as of one moment, in one transaction that writes nothing. Raises StoreUnavailable."""
    frozen = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with store_errors():
        async with frozen.connect() as connection:
            return await read(connection)


async def read(conn: AsyncConnection, *, limit: int = ROWS_MAX) -> Overview:
    """At most ``limit`` rows of each kind."""
    bound = {"limit": limit}
    gaps = (await conn.execute(_OPEN_GAPS, bound)).all()
    heard = (await conn.execute(_HEARD, bound)).all()
    return Overview(
        streams=tuple(await streams.listing(conn, limit=limit)),
        gaps={row[0]: OpenGaps(*row[1:]) for row in gaps},
        heard={(row[0], row[1]): Heard(*row[2:]) for row in heard},
        connections=tuple(await connections.listing(conn, limit=limit)),
        destinations=tuple(Destination(*row) for row in (await conn.execute(_DESTINATIONS, bound)).all()),
        cursors=tuple(Cursor(*row) for row in (await conn.execute(_CURSORS, bound)).all()),
        follows={follow.stream_id: follow for follow in await follows.listing(conn, limit=limit)},
    )


async def gaps_at_a_glance(conn: AsyncConnection, *, stream: str | None, open_only: bool, limit: int) -> list[GapRow]:
    """The newest gaps first; of the open ones, those whose deadline is nearest."""
    statement = _OPEN_NOW if open_only else _RECENT_GAPS
    return [GapRow(*row) for row in (await conn.execute(statement, {"stream": stream, "limit": limit})).all()]
