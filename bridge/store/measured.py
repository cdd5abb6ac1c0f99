"""What is measured of the rows: sums over everything, and figures of as many single streams as are wanted.

However many streams and cursors there are, each statement gives a bounded number of rows: those of streams that
need a look come first, and of cursors only what they come to for each destination.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.store import alerts, budgets, choices, connections, counters, notices
from bridge.store.budgets import UpstreamBudget
from bridge.store.connections import Connection
from bridge.store.counters import Key
from bridge.store.engine import store_errors

ROWS_MAX = 1000
"""Of destinations, of sources, and of everything else that is configured."""
AGES_S = {"1m": 60, "10m": 600, "1h": 3_600, "6h": 21_600, "1d": 86_400}
"""Open gaps are counted by the first of these that they are younger than, or as ``older``."""
OLDER = "older"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """Whom the configuration names: nobody is to be woken for rows that are left of anybody else.

    ``sources`` says of each whether a worker is to hold it, and ``sockets`` are those that are listened to.
    ``destinations`` are the file's: one that the API made is known by its row. ``channels`` are those of alerts.
    """

    sources: Mapping[str, bool] = field(default_factory=dict)
    sockets: Collection[str] = ()
    destinations: Collection[str] = ()
    channels: Collection[str] = ()


class StreamFigures(NamedTuple):
    """One stream. ``behind_since`` is when what it waits for became due: a hole, or venue time not proven yet.

    ``is_asked_for`` says that its source is configured, and that the venue was asked once.
    """

    id: int
    name: str
    numbering: str
    lag: int | None
    position: int
    behind_since: datetime | None
    is_asked_for: bool
    suspect: bool
    unmatched: int
    unmatched_since: datetime | None
    dropped: int | None
    gaps: int
    oldest_at: datetime | None
    deadline_at: datetime | None


class Streams(NamedTuple):
    """All streams together."""

    streams: int
    suspect: int
    behind_since: datetime | None


class Gaps(NamedTuple):
    """All open gaps together: how many of each age, the oldest, and the nearest deadline."""

    by_age: Mapping[str, int]
    oldest_at: datetime | None
    deadline_at: datetime | None


class Source(NamedTuple):
    """What a source's streams were told by a transport."""

    source: str
    transport: str
    events: int
    first: int
    last_at: datetime


class Taker(NamedTuple):
    """A destination over all its streams: entries it has not taken, streams that fail, the oldest it waits for."""

    name: str
    state: str
    behind: int
    failing: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything as of one moment. ``counted`` is of the destinations and channels, and of the streams listed."""

    totals: Streams
    gaps: Gaps
    streams: tuple[StreamFigures, ...]
    heard: Mapping[tuple[int, str], int]
    sources: tuple[Source, ...]
    attended: Mapping[str, bool]
    connections: tuple[Connection, ...]
    budgets: tuple[UpstreamBudget, ...]
    destinations: int
    takers: tuple[Taker, ...]
    counted: Mapping[Key, float]
    remarks: Mapping[str, float]
    firing: Mapping[tuple[str, str], int]
    untold: Mapping[str, int]
    database_bytes: int


# Since when a stream waits: at a hole in its numbers, or for venue time that is not proven yet.
_BEHIND_SINCE = """
CASE WHEN s.numbering = 'venue' THEN CASE WHEN s.head >= s.frontier THEN s.stalled_at END ELSE f.settled_until END
"""

_IS_CONFIGURED = "s.source = ANY (CAST(:sources AS text[]))"

_TOTALS = text(f"""
SELECT count(*), count(s.suspect_at), min({_BEHIND_SINCE}) FILTER (WHERE {_IS_CONFIGURED})
FROM streams s LEFT JOIN follows f ON f.stream_id = s.id
""")

_STREAMS = text(f"""
SELECT s.id, s.name, s.numbering,
       CASE WHEN s.numbering = 'venue' THEN coalesce(greatest(0, s.head + 1 - s.frontier), 0) END, s.position,
       {_BEHIND_SINCE},
       {_IS_CONFIGURED}
       AND CASE WHEN s.numbering = 'venue' THEN s.frontier IS NOT NULL ELSE f.settled_until IS NOT NULL END,
       s.suspect_at IS NOT NULL, s.unmatched, CASE WHEN s.unmatched > 0 THEN
           (SELECT min(received_at) FROM sightings WHERE stream_id = s.id AND sequence IS NULL) END,
       CASE WHEN s.numbering <> 'venue' THEN f.dropped END,
       coalesce(g.spans, 0), g.oldest_at, g.deadline_at
FROM streams s LEFT JOIN follows f ON f.stream_id = s.id
LEFT JOIN (SELECT stream_id, count(*) AS spans, min(opened_at) AS oldest_at, min(deadline_at) AS deadline_at
           FROM gaps WHERE state = 'open' GROUP BY stream_id) g ON g.stream_id = s.id
ORDER BY s.suspect_at IS NULL AND g.spans IS NULL AND s.unmatched = 0 AND f.state IS DISTINCT FROM 'refused', s.name
LIMIT :limit
""")

_GAPS = text("""
SELECT coalesce(sum(n), 0), age FROM (
    SELECT count(*) AS n, width_bucket(CAST(extract(epoch FROM CAST(:now AS timestamptz) - opened_at) AS float8),
                                       CAST(:ages AS float8[])) AS age
    FROM gaps WHERE state = 'open' GROUP BY age) AS by_age
GROUP BY age
""")

_GAPS_WORST = text("SELECT min(opened_at), min(deadline_at) FROM gaps WHERE state = 'open'")

_HEARD = text("SELECT stream_id, transport, events FROM heard WHERE stream_id = ANY (CAST(:ids AS int[]))")

_SOURCES = text("""
SELECT s.source, h.transport, sum(h.events)::bigint, sum(h.first)::bigint, max(h.last_at)
FROM heard h JOIN streams s ON s.id = h.stream_id GROUP BY s.source, h.transport
ORDER BY s.source, h.transport LIMIT :limit
""")

_ATTENDED = text("""
SELECT name FROM leases WHERE name = ANY (CAST(:names AS text[])) AND until > :now
""")

_DESTINATIONS = text("""
SELECT count(*) FROM destinations WHERE origin = 'api' OR name = ANY (CAST(:file AS text[]))
""")

# The log is asked only for cursors that are behind, and once for each place in it: destinations that stopped at
# the same time stand at the same place. Of those who choose, the cursors on streams they no longer choose are of the
# past.
_TAKERS = text("""
WITH wanted AS MATERIALIZED (
    SELECT c.destination_id, c.stream_id, c.position, c.failures FROM cursors c
    WHERE NOT c.destination_id = ANY (CAST(:choosing AS int[])) OR (c.destination_id, c.stream_id) IN (
        SELECT destination_id, stream_id
        FROM unnest(CAST(:choosers AS int[]), CAST(:chosen AS int[])) AS choice (destination_id, stream_id))),
behind AS MATERIALIZED (
    SELECT c.destination_id, c.stream_id, c.position, s.position - c.position AS entries
    FROM wanted c JOIN streams s ON s.id = c.stream_id WHERE s.position > c.position),
places AS MATERIALIZED (
    SELECT place.stream_id, place.position,
           (SELECT l.appended_at FROM log l
            WHERE l.stream_id = place.stream_id AND l.position = place.position + 1) AS since
    FROM (SELECT DISTINCT stream_id, position FROM behind) place),
waiting AS (
    SELECT b.destination_id, sum(b.entries)::bigint AS entries, min(p.since) AS since
    FROM behind b JOIN places p ON p.stream_id = b.stream_id AND p.position = b.position GROUP BY b.destination_id),
failing AS (SELECT destination_id, count(*) AS streams FROM wanted WHERE failures > 0 GROUP BY destination_id)
SELECT d.name, d.state, coalesce(w.entries, 0), coalesce(f.streams, 0), w.since
FROM destinations d LEFT JOIN waiting w ON w.destination_id = d.id LEFT JOIN failing f ON f.destination_id = d.id
WHERE d.origin = 'api' OR d.name = ANY (CAST(:file AS text[])) ORDER BY d.name LIMIT :limit
""")

_DATABASE = text("SELECT pg_database_size(current_database())")


async def look(engine: AsyncEngine, *, now: datetime, configured: Configured, streams_max: int) -> Measured:
    """Read everything as of one moment, in one transaction that writes nothing. Raises StoreUnavailable."""
    frozen = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with store_errors():
        async with frozen.connect() as connection:
            return await read(connection, now=now, configured=configured, streams_max=streams_max)


async def read(conn: AsyncConnection, *, now: datetime, configured: Configured, streams_max: int) -> Measured:
    """Sums over everything, and the figures of at most ``streams_max`` streams: those that need a look come first."""
    sources, bound = configured.sources, {"limit": ROWS_MAX}
    of_file, of_sources = {"file": list(configured.destinations)}, {"sources": list(sources)}
    rows = await _rows(conn, _STREAMS, {"limit": streams_max, **of_sources})
    streams = [StreamFigures(*row) for row in rows]
    chosen = await choices.read(conn, limit=ROWS_MAX)
    takers = [Taker(*row) for row in await _rows(conn, _TAKERS, {**bound, **of_file, **chosen})]
    untold = await notices.waiting(conn)
    heard_of = [Source(*row) for row in await _rows(conn, _SOURCES, bound)]
    sockets = await connections.listing(conn, limit=ROWS_MAX)
    quotas = await budgets.listing(conn, limit=ROWS_MAX)
    heard = await _rows(conn, _HEARD, {"ids": [one.id for one in streams]})
    counted = await counters.of(conn, counters.REMARKS, [one.name for one in streams])
    for series in (counters.ATTEMPTS, counters.LATENCY):
        counted |= await counters.of(conn, series, [one.name for one in takers])
    counted |= await counters.of(conn, counters.NOTICES, list(configured.channels))
    return Measured(
        totals=Streams(*(await _rows(conn, _TOTALS, of_sources))[0]),
        gaps=await _gaps(conn, now),
        streams=tuple(streams),
        heard={(row[0], row[1]): row[2] for row in heard},
        sources=tuple(told for told in heard_of if told.source in sources),
        attended=await _attended(conn, [name for name, held in sources.items() if held], now),
        connections=tuple(one for one in sockets if one.source in configured.sockets),
        budgets=tuple(one for one in quotas if one.source in sources),
        destinations=(await conn.execute(_DESTINATIONS, of_file)).scalar_one(),
        takers=tuple(takers),
        counted=counted,
        remarks=await counters.sums(conn, counters.REMARKS),
        firing=await alerts.firing(conn),
        untold={channel: count for channel, count in untold.items() if channel in configured.channels},
        database_bytes=(await conn.execute(_DATABASE)).scalar_one(),
    )


async def _rows(conn: AsyncConnection, statement: TextClause, values: Mapping[str, object]) -> list[Any]:
    return list((await conn.execute(statement, values)).all())


async def _attended(conn: AsyncConnection, names: Sequence[str], now: datetime) -> dict[str, bool]:
    """Whether somebody holds each of these sources; one that was never held has no row, and is not."""
    held = {
        row[0] for row in await _rows(conn, _ATTENDED, {"names": [f"source:{name}" for name in names], "now": now})
    }
    return {name: f"source:{name}" in held for name in names}


async def _gaps(conn: AsyncConnection, now: datetime) -> Gaps:
    words = [*AGES_S, OLDER]
    found = await _rows(conn, _GAPS, {"now": now, "ages": [float(age_s) for age_s in AGES_S.values()]})
    by_age = dict.fromkeys(words, 0) | {words[age]: int(count) for count, age in found}
    return Gaps(by_age, *(await _rows(conn, _GAPS_WORST, {}))[0])
