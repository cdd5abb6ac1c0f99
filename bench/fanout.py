"""What does one destination more cost? The database should hardly notice: a read and a POST, and no row an entry."""

from dataclasses import dataclass

from bench.delivery import fill
from bench.figures import Figure
from bench.setting import config
from bench.stage import CLOCK, Part, Stage, stage, until

QUESTION = "fan-out"
BATCH = 100
WAL_MOST = 1.1
IDLE_S = 5.0


@dataclass(frozen=True, slots=True)
class Size:
    entries: int
    destinations: int
    idle: int


FULL = Size(entries=5_000, destinations=100, idle=1_000)
QUICK = Size(entries=2_000, destinations=20, idle=100)
SMOKE = Size(entries=200, destinations=2, idle=2)


async def measure(size: Size, profile: str | None = None) -> list[Figure]:
    """The same log for one destination, and for many; then many that have everything."""
    one = await _deliver(size.entries, 1, None)
    many = await _deliver(size.entries, size.destinations, profile)
    idle_one, idle_many = await _idle(1), await _idle(size.idle)
    return [
        Figure(QUESTION, "write-ahead log per event, one destination", one.wal_bytes / size.entries, "bytes"),
        Figure(
            QUESTION,
            f"write-ahead log per event, {size.destinations} destinations",
            many.wal_bytes / size.entries,
            "bytes",
        ),
        Figure(QUESTION, "ratio", many.wal_bytes / one.wal_bytes, "x", most=WAL_MOST),
        Figure(QUESTION, "entries delivered, all destinations", many.per_s, "1/s"),
        Figure(QUESTION, "one idle destination: share of a core", idle_one, "cores"),
        Figure(QUESTION, f"{size.idle} idle destinations: share of a core", idle_many, "cores"),
    ]


@dataclass(frozen=True, slots=True)
class _Delivered:
    """``wal_bytes`` from the first event that was stored to the last that was delivered."""

    wal_bytes: int
    per_s: float


async def _deliver(entries: int, count: int, profile: str | None) -> _Delivered:
    async with stage() as place:
        before = await _wal(place)
        await fill(place, entries)
        began = CLOCK.monotonic()
        await _bridge(place, count, profile)
        await until(lambda: _delivered(place, entries, count), within_s=240, what="everybody has everything")
        return _Delivered(await _wal(place) - before, entries * count / (CLOCK.monotonic() - began))


async def _idle(count: int) -> float:
    async with stage() as place:
        await fill(place, 1)
        bridge = await _bridge(place, count, None)
        await until(lambda: _delivered(place, 1, count), within_s=120, what="everybody has the one entry")
        await CLOCK.sleep(IDLE_S)
        began, cpu_s = CLOCK.monotonic(), bridge.cpu_s()
        await CLOCK.sleep(IDLE_S)
        return (bridge.cpu_s() - cpu_s) / (CLOCK.monotonic() - began)


async def _bridge(place: Stage, count: int, profile: str | None) -> Part:
    null = await place.begin("null")
    venue = await place.begin("venue", faults={"contiguous": True})
    text = config(venue.port, consumer_port=null.port, taking=f"batch_max = {BATCH}")
    head, _, destination = text.partition("[destinations.ledger]")
    text = head + "".join(f"[destinations.ledger-{number}]{destination}" for number in range(count))
    path = place.write("bridge.toml", text)
    return await place.begin("bridge", config=str(path), database_url=place.postgres.url, profile=profile)


async def _wal(place: Stage) -> int:
    return int(await place.sql("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"))


async def _delivered(place: Stage, entries: int, count: int) -> bool:
    return int(await place.sql(f"SELECT count(*) FROM cursors WHERE position >= {entries}")) >= count  # noqa: S608 - our own number
