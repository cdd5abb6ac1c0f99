"""What each hour of a stream came to, counted in the transactions that bring it about, so that no report scans.

An hour is the bridge's own clock's, in UTC. Counts are of the hour; the rest is the stream as the hour left it. Where
clocks disagree, or somebody waited for the lock while an hour began, nothing goes into one before the newest.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import text

from bridge.core.event import Kind, Transport
from bridge.core.lag import Lag
from bridge.store.direct import Executes

_KINDS = {
    "events": Kind.EVENT,
    "gaps": Kind.GAP,
    "late": Kind.LATE,
    "recovered": Kind.RECOVERED,
    "conflicts": Kind.CONFLICT,
}
_WAYS = tuple(way.value for way in (Transport.WEBHOOK, Transport.WEBSOCKET, Transport.REPLAY))
COUNTS = (*_WAYS, *(f"first_{way}" for way in _WAYS), *_KINDS, "superseded")
_STANDING = ("epoch", "frontier", "head", "position", "chain", "void", "lost")
_COLUMNS = (*COUNTS, *_STANDING, "lag_ms", "behind_since")


class Hour(NamedTuple):
    """A stream's hour: how often each transport told of an event and was the first to, and entries by kind.

    ``superseded``: of the ``gaps``, those that a snapshot stands for. From ``epoch`` on: how the stream stood at its
    end. ``void`` and ``lost`` are counted from the stream's beginning. ``lag_ms``: how far the frontier was behind at
    most before it moved on; ``behind_since``: what it stood before at the end, None where it stood before nothing.
    """

    stream: str
    hour: datetime
    webhook: int
    websocket: int
    replay: int
    first_webhook: int
    first_websocket: int
    first_replay: int
    events: int
    gaps: int
    late: int
    recovered: int
    conflicts: int
    superseded: int
    epoch: int
    frontier: int | None
    head: int
    position: int
    chain: bytes
    void: int
    lost: int
    lag_ms: int
    behind_since: datetime | None

    @property
    def open(self) -> int:
        """How many numbers are known to exist and not settled yet."""
        return 0 if self.frontier is None else self.head - self.frontier + 1

    @property
    def is_first(self) -> bool:
        """Whether nothing was counted before: the log is no longer than what was appended in this hour.

        What tells of an epoch is of no kind that is counted; there is at most one entry of those for each that began.
        """
        counted = self.events + self.gaps + self.late + self.recovered + self.conflicts
        return self.position - counted < self.epoch

    @property
    def lag(self) -> Lag:
        """How far it was behind, and what it stands before at the end."""
        return Lag(self.lag_ms, self.behind_since)


def hour_of(moment: datetime) -> datetime:
    """The beginning of its hour, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


_READ = text(f"""
SELECT s.name, h.hour, {", ".join(f"h.{name}" for name in _COLUMNS)}
FROM hours h JOIN streams s ON s.id = h.stream_id
WHERE h.stream_id = ANY (CAST(:stream_ids AS int[])) AND h.hour >= :since AND h.hour < :until
ORDER BY s.name, h.hour
""")

_BEFORE = text(f"""
SELECT s.name, h.hour, {", ".join(f"h.{name}" for name in _COLUMNS)}
FROM streams s CROSS JOIN LATERAL (
    SELECT * FROM hours WHERE stream_id = s.id AND hour < :since ORDER BY hour DESC LIMIT 1) h
WHERE s.id = ANY (CAST(:stream_ids AS int[])) ORDER BY s.name
""")


_OLDEST = text(f"""
SELECT s.name, h.hour, {", ".join(f"h.{name}" for name in _COLUMNS)}
FROM streams s CROSS JOIN LATERAL (SELECT * FROM hours WHERE stream_id = s.id ORDER BY hour LIMIT 1) h
WHERE s.id = ANY (CAST(:stream_ids AS int[]))
""")


def added(verb: str, stream_id: str, source: str = "") -> str:
    """The statement that adds a transaction to its hour: ``VALUES``, or ``SELECT`` from a ``source``."""
    hour = begun("hours", stream_id=stream_id)
    told = [stream_id, hour, *(f"CAST(:hour_{name} AS bigint)" for name in COUNTS)]
    stood = (*(f":{name}" for name in _STANDING), "CAST(:lag_ms AS bigint)", "CAST(:behind_since AS timestamptz)")
    values = ", ".join((*told, *stood))
    sums = [f"{name} = hours.{name} + excluded.{name}" for name in COUNTS]
    stands = [f"{name} = excluded.{name}" for name in (*_STANDING, "behind_since")]
    most = "lag_ms = greatest(hours.lag_ms, excluded.lag_ms)"
    return (
        f"INSERT INTO hours (stream_id, hour, {', '.join(_COLUMNS)}) "
        + (f"VALUES ({values})" if verb == "VALUES" else f"SELECT {values} {source}")
        + f" ON CONFLICT (stream_id, hour) DO UPDATE SET {', '.join((*sums, *stands, most))}"
    )


def begun(table: str, **key: str) -> str:
    """The hour to count in: ``:hour``, or the next one where a row of ``table`` with that ``key`` has begun it.

    A row says how things stood when it was written last: one that was written to after the next one would tell of
    what that one has counted. A clock that is wrong by more than an hour moves nobody else.
    """
    hour = "CAST(:hour AS timestamptz)"
    same = " AND ".join(f"begun.{name} = {value}" for name, value in key.items())
    next_ = f"SELECT begun.hour FROM {table} AS begun WHERE {same} AND begun.hour = {hour} + interval '1 hour'"
    return f"coalesce(({next_}), {hour})"


def values_of_hour(
    now: datetime,
    *,
    kinds: Mapping[Kind, int],
    told: Mapping[str, int],
    first: Mapping[str, int],
    superseded: int,
    lag: Lag,
) -> dict[str, Any]:
    """What ``added`` is to add, by the names of its parameters. Counters: what is missing is 0."""
    values: dict[str, Any] = {"hour": hour_of(now)}
    for way in _WAYS:
        values[f"hour_{way}"], values[f"hour_first_{way}"] = told.get(way, 0), first.get(way, 0)
    values |= {f"hour_{name}": kinds.get(kind, 0) for name, kind in _KINDS.items()}
    return values | {"hour_superseded": superseded, "lag_ms": lag.most_ms, "behind_since": lag.since}


async def read(conn: Executes, stream_ids: Sequence[int], *, since: datetime, until: datetime) -> list[Hour]:
    """The hours of these streams that begin in a period, by stream and time: a row at most for each hour of each."""
    values = {"stream_ids": list(stream_ids), "since": since, "until": until}
    return [Hour(*row) for row in await conn.execute(_READ, values)]


async def before(conn: Executes, stream_ids: Sequence[int], *, since: datetime) -> dict[str, Hour]:
    """The last hour of each of these streams before a time, by the stream's name; none where it began later."""
    rows = await conn.execute(_BEFORE, {"stream_ids": list(stream_ids), "since": since})
    return {row[0]: Hour(*row) for row in rows}


async def oldest(conn: Executes, stream_ids: Sequence[int]) -> dict[str, Hour]:
    """The oldest hour of each of these streams that is kept, by the stream's name."""
    if not stream_ids:
        return {}
    return {row[0]: Hour(*row) for row in await conn.execute(_OLDEST, {"stream_ids": list(stream_ids)})}
