"""How fast does a bridge that knows nothing yet read, store, prove and settle what the venue still has?"""

from dataclasses import dataclass

from bench.figures import Figure
from bench.setting import NUMBERINGS, config
from bench.stage import CLOCK, Stage, stage, until

QUESTION = "backfill"


@dataclass(frozen=True, slots=True)
class Size:
    events: int
    numberings: tuple[str, ...] = tuple(NUMBERINGS)


FULL = Size(events=200_000)
QUICK = Size(events=20_000)
SMOKE = Size(events=1_500, numberings=("with holes",))


async def measure(size: Size, profile: str | None = None) -> list[Figure]:
    """Without holes what is stored is settled at once; with holes it is only when a second read agrees."""
    figures: list[Figure] = []
    for name in size.numberings:
        figures += _figures(name, size, await _run(size, NUMBERINGS[name], profile))
    return figures


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Seconds from the bridge's start, and memory."""

    answers_s: float
    stored_s: float
    settled_s: float
    rss_mib: float
    postgres_mib: float


async def _run(size: Size, faults: dict[str, object], profile: str | None) -> _Outcome:
    async with stage() as place:
        venue = await place.begin("venue", history_count=size.events, faults=faults)
        path = place.write("bridge.toml", config(venue.port, replay="requests_per_s = 100000"))
        began = CLOCK.monotonic()
        bridge = await place.begin("bridge", config=str(path), database_url=place.postgres.url, profile=profile)
        answers_s = CLOCK.monotonic() - began
        await until(lambda: _reached(place, "stored", size.events), within_s=180, what="everything is stored")
        stored_s = CLOCK.monotonic() - began
        bridge.look()
        await until(lambda: _reached(place, "settled", size.events), within_s=180, what="everything is settled")
        settled_s = CLOCK.monotonic() - began
        bridge.look()
        return _Outcome(answers_s, stored_s, settled_s, bridge.rss_max_mib, place.postgres_mib())


def _figures(name: str, size: Size, run: _Outcome) -> list[Figure]:
    return [
        Figure(QUESTION, f"{name}: until the bridge answers", run.answers_s, "s"),
        Figure(QUESTION, f"{name}: stored, from the bridge's start", size.events / run.stored_s, "1/s"),
        Figure(
            QUESTION, f"{name}: settled, from the bridge's start", size.events / run.settled_s, "1/s", least=20_000
        ),
        Figure(QUESTION, f"{name}: resident memory", run.rss_mib, "MiB"),
        Figure(QUESTION, f"{name}: Postgres' own memory", run.postgres_mib, "MiB"),
    ]


_COUNTS = {
    "stored": "SELECT coalesce(sum(first), 0)::bigint FROM heard",
    "settled": "SELECT coalesce(max(position), 0) FROM streams",
}


async def _reached(place: Stage, what: str, events: int) -> bool:
    return int(await place.sql(_COUNTS[what])) >= events
