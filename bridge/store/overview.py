"""The whole at a glance, as status tells it. Every query is bounded, and cheap however long the log is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.store import budgets, connections, stance
from bridge.store.budgets import UpstreamBudget
from bridge.store.connections import Connection
from bridge.store.engine import store_errors
from bridge.store.follows import Follow
from bridge.store.stance import ROWS_MAX, Stance
from bridge.store.streams import Stream


class Heard(NamedTuple):
    """How often a transport told of an event of the stream, how often it was the first to, and when last."""

    events: int
    first: int
    last_at: datetime


class Cursor(NamedTuple):
    """How far a destination is on a stream. ``oldest_at`` is when the first entry it has not taken was appended.

    From ``expired_first`` to ``expired_last`` entries were deleted before it took them, and it was not told yet.
    """

    destination: str
    stream: str
    position: int
    head: int
    failures: int
    failing_since: datetime | None
    last_error: str | None
    due_at: datetime
    oldest_at: datetime | None
    expired_first: int | None = None
    expired_last: int | None = None

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
    """Everything as of one moment. ``heard`` is by the stream's id and the transport."""

    stances: tuple[Stance, ...]
    heard: Mapping[tuple[int, str], Heard]
    connections: tuple[Connection, ...]
    destinations: tuple[Destination, ...]
    cursors: tuple[Cursor, ...]
    budgets: tuple[UpstreamBudget, ...] = ()

    @property
    def streams(self) -> tuple[Stream, ...]:
        return tuple(one.stream for one in self.stances)

    @property
    def follows(self) -> Mapping[int, Follow]:
        """What is declared of each stream's channel, by the stream's id."""
        return {one.follow.stream_id: one.follow for one in self.stances if one.follow is not None}

    def of(self, name: str) -> "Overview":
        """What concerns one stream; without stances if there is none of that name."""
        stances = tuple(one for one in self.stances if one.stream.name == name)
        ids, sources = {one.stream.id for one in stances}, {one.stream.source for one in stances}
        cursors = tuple(one for one in self.cursors if one.stream == name)
        takers = {one.destination for one in cursors}
        return Overview(
            stances=stances,
            heard={key: heard for key, heard in self.heard.items() if key[0] in ids},
            connections=tuple(one for one in self.connections if one.source in sources),
            destinations=tuple(one for one in self.destinations if one.name in takers),
            cursors=cursors,
            budgets=tuple(one for one in self.budgets if one.source in sources),
        )

    def connection_of(self, stance: Stance) -> Connection | None:
        """What is known of the socket of the stream's source."""
        return next((one for one in self.connections if one.source == stance.stream.source), None)

    def heard_of(self, stance: Stance) -> dict[str, Heard]:
        """What each transport told of the stream."""
        return {way: heard for (stream_id, way), heard in self.heard.items() if stream_id == stance.stream.id}


_HEARD = text("SELECT stream_id, transport, events, first, last_at FROM heard ORDER BY 1, 2 LIMIT :limit")

_DESTINATIONS = text("SELECT name, state, reason, changed_at FROM destinations ORDER BY name LIMIT :limit")

# The entry is looked up cursor by cursor: one probe of the key each, whatever the planner believes of the log.
_CURSORS = text("""
SELECT d.name, s.name, c.position, s.position, c.failures, c.failing_since, c.last_error, c.due_at,
       (SELECT l.appended_at FROM log l WHERE l.stream_id = c.stream_id AND l.position = c.position + 1),
       c.expired_first, c.expired_last
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


async def look(engine: AsyncEngine) -> Overview:
    """Read everything as of one moment, in one transaction that writes nothing. Raises StoreUnavailable."""
    frozen = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with store_errors():
        async with frozen.connect() as connection:
            return await read(connection)


async def read(conn: AsyncConnection, *, limit: int = ROWS_MAX) -> Overview:
    """At most ``limit`` rows of each kind."""
    bound = {"limit": limit}
    heard = (await conn.execute(_HEARD, bound)).all()
    return Overview(
        stances=tuple(await stance.listing(conn, limit=limit)),
        heard={(row[0], row[1]): Heard(*row[2:]) for row in heard},
        connections=tuple(await connections.listing(conn, limit=limit)),
        destinations=tuple(Destination(*row) for row in (await conn.execute(_DESTINATIONS, bound)).all()),
        cursors=tuple(Cursor(*row) for row in (await conn.execute(_CURSORS, bound)).all()),
        budgets=tuple(await budgets.listing(conn, limit=limit)),
    )


async def gaps_at_a_glance(conn: AsyncConnection, *, stream: str | None, open_only: bool, limit: int) -> list[GapRow]:
    """The newest gaps first; of the open ones, those whose deadline is nearest."""
    statement = _OPEN_NOW if open_only else _RECENT_GAPS
    return [GapRow(*row) for row in (await conn.execute(statement, {"stream": stream, "limit": limit})).all()]
