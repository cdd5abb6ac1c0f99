"""What each hour of a stream came to, counted in the transactions that bring it about, so that no report scans.

An hour is the bridge's own clock's, in UTC. Counts are of the hour; the rest is the stream as the hour left it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from bridge.core.event import Kind, Transport
from bridge.store.direct import Executes

_KINDS = {
    "events": Kind.EVENT,
    "gaps": Kind.GAP,
    "late": Kind.LATE,
    "recovered": Kind.RECOVERED,
    "conflicts": Kind.CONFLICT,
}
_WAYS = tuple(way.value for way in (Transport.WEBHOOK, Transport.WEBSOCKET, Transport.REPLAY))
COUNTS = (*_WAYS, *(f"first_{way}" for way in _WAYS), *_KINDS)
_STANDING = ("epoch", "frontier", "head", "position", "chain", "void", "lost")


@dataclass(frozen=True, slots=True)
class Hour:
    """A stream's hour: how often each transport told of an event and was the first to, and entries by kind.

    From ``epoch`` on: how the stream stood at its end. ``void`` and ``lost`` are counted from the stream's beginning.
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
    epoch: int
    frontier: int | None
    head: int
    position: int
    chain: bytes
    void: int
    lost: int

    @property
    def open(self) -> int:
        """How many numbers are known to exist and not settled yet."""
        return 0 if self.frontier is None else self.head - self.frontier + 1


def hour_of(moment: datetime) -> datetime:
    """The beginning of its hour, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


_READ = text(f"""
SELECT s.name, h.hour, {", ".join(f"h.{name}" for name in (*COUNTS, *_STANDING))}
FROM hours h JOIN streams s ON s.id = h.stream_id
WHERE h.stream_id = ANY (CAST(:stream_ids AS int[])) AND h.hour >= :since AND h.hour < :until
ORDER BY s.name, h.hour
""")

_BEFORE = text(f"""
SELECT s.name, h.hour, {", ".join(f"h.{name}" for name in (*COUNTS, *_STANDING))}
FROM streams s CROSS JOIN LATERAL (
    SELECT * FROM hours WHERE stream_id = s.id AND hour < :since ORDER BY hour DESC LIMIT 1) h
WHERE s.id = ANY (CAST(:stream_ids AS int[])) ORDER BY s.name
""")


def added(verb: str, stream_id: str, source: str = "") -> str:
    """The statement that adds a transaction to its hour: ``VALUES``, or ``SELECT`` from a ``source``."""
    told = [stream_id, "CAST(:hour AS timestamptz)", *(f"CAST(:hour_{name} AS bigint)" for name in COUNTS)]
    values = ", ".join((*told, *(f":{name}" for name in _STANDING)))
    sums = [f"{name} = hours.{name} + excluded.{name}" for name in COUNTS]
    stands = [f"{name} = excluded.{name}" for name in _STANDING]
    return (
        f"INSERT INTO hours (stream_id, hour, {', '.join((*COUNTS, *_STANDING))}) "
        + (f"VALUES ({values})" if verb == "VALUES" else f"SELECT {values} {source}")
        + f" ON CONFLICT (stream_id, hour) DO UPDATE SET {', '.join((*sums, *stands))}"
    )


def values_of_hour(
    now: datetime, *, kinds: Mapping[Kind, int], told: Mapping[str, int], first: Mapping[str, int]
) -> dict[str, Any]:
    """What ``added`` is to add, by the names of its parameters. Counters: what is missing is 0."""
    values: dict[str, Any] = {"hour": hour_of(now)}
    for way in _WAYS:
        values[f"hour_{way}"], values[f"hour_first_{way}"] = told.get(way, 0), first.get(way, 0)
    return values | {f"hour_{name}": kinds.get(kind, 0) for name, kind in _KINDS.items()}


async def read(conn: Executes, stream_ids: Sequence[int], *, since: datetime, until: datetime) -> list[Hour]:
    """The hours of these streams that begin in a period, by stream and time: a row at most for each hour of each."""
    values = {"stream_ids": list(stream_ids), "since": since, "until": until}
    return [Hour(*row) for row in await conn.execute(_READ, values)]


async def before(conn: Executes, stream_ids: Sequence[int], *, since: datetime) -> dict[str, Hour]:
    """The last hour of each of these streams before a time, by the stream's name; none where it began later."""
    rows = await conn.execute(_BEFORE, {"stream_ids": list(stream_ids), "since": since})
    return {row[0]: Hour(*row) for row in rows}
