"""What does a scrape of many streams cost, and what do many scrapes at once do to whoever is answered beside them?"""

import asyncio
from dataclasses import dataclass

import httpx
from sqlalchemy import text

from bench.figures import Figure
from bench.quantiles import quantile
from bench.setting import config
from bench.stage import CLOCK, Part, stage
from bridge.store.engine import make_engine, upgrade
from bridge.web.health import SCRAPE_FRESH_S

QUESTION = "scrape"
SECONDS_MOST = 3.0
MIB_MOST = 2.0
MIB = 1024 * 1024
WITHIN_S = 30.0

# Every stream was heard in two ways and has an entry that each destination has not taken, each at a place of its own
# in ``apart`` streams: this is as much as there is to ask the log for. One in a hundred has a gap.
FILL = (
    """
INSERT INTO streams (name, source, numbering, base, frontier, head, position, settle_s)
SELECT 'pb' || n % 10 || '.orders.' || n, 'pb' || n % 10, 'venue', 1, 9, 8, 40, 2
FROM generate_series(1, :streams) AS n
""",
    """
INSERT INTO heard (stream_id, transport, events, first, last_at)
SELECT id, way, 1, 1, now() FROM streams, unnest(ARRAY['webhook', 'replay']) AS way
""",
    """
INSERT INTO gaps (stream_id, epoch, first, last, opened_at, due_at, deadline_at)
SELECT id, 1, 99, 99, now() - interval '1 hour', now(), now() + interval '1 hour' FROM streams WHERE id % 100 = 0
""",
    """
INSERT INTO destinations (name, origin, sealed, changed_at)
SELECT 'd-' || n, 'api', '', now() FROM generate_series(1, :destinations) AS n
""",
    """
INSERT INTO log (stream_id, position, kind, epoch, sequence, appended_at, chain)
SELECT id, n, 'event', 1, n, now() - interval '1 minute', sha256('x') FROM streams, generate_series(1, 40) AS n
""",
    """
INSERT INTO cursors (destination_id, stream_id, position, sent, due_at)
SELECT d.id, s.id, CASE WHEN :apart THEN d.id ELSE 39 END, 0, now() FROM destinations d, streams s
""",
    "ANALYZE",
)


@dataclass(frozen=True, slots=True)
class Size:
    """So many streams and destinations, scraped ``scrapes`` times alone, then by so many at once for ``storm_s``."""

    streams: int
    destinations: int
    scrapes: int
    at_once: int
    storm_s: float


FULL = Size(10_000, 20, 10, 50, 10.0)
QUICK = Size(10_000, 20, 3, 20, 3.0)
SMOKE = Size(30, 3, 1, 3, 0.0)  # each asks once


async def measure(size: Size, profile: str | None = None) -> list[Figure]:
    """Once with destinations that all wait at the same places, once with each at its own."""
    together = await _measured(size, profile, apart=False)
    return [*together, *await _measured(size, None, apart=True)]


async def _measured(size: Size, profile: str | None, *, apart: bool) -> list[Figure]:
    async with stage() as place:
        await asyncio.to_thread(upgrade, place.postgres.url)  # it runs a loop of its own
        engine = make_engine(place.postgres.url)
        given = {"streams": size.streams, "destinations": size.destinations, "apart": apart}
        async with engine.begin() as conn:
            for statement in FILL:
                wanted = text(statement)
                await conn.execute(wanted, {name: given[name] for name in wanted.compile().params})
        await engine.dispose()
        written = place.write("bridge.toml", config(9))
        web = await place.begin(
            "bridge", config=str(written), database_url=place.postgres.url, role="web", profile=profile
        )
        return await _asked(web, size, "each at its own place" if apart else "all at the same places")


async def _asked(web: Part, size: Size, where: str) -> list[Figure]:
    what = f"{size.streams:,} streams, {size.destinations} destinations, {where}"
    limits = httpx.Limits(max_connections=size.at_once + 1)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{web.port}", trust_env=False, timeout=WITHIN_S, limits=limits
    ) as http:
        took, size_bytes = [], 0
        for _ in range(size.scrapes):
            began = CLOCK.monotonic()
            size_bytes = len((await http.get("/metrics")).content)
            took.append(CLOCK.monotonic() - began)
            await CLOCK.sleep(SCRAPE_FRESH_S)
        calm = await _beside(http, size, scrapers=0)
        storm = await _beside(http, size, scrapers=size.at_once)
    return [
        Figure(QUESTION, f"{what}: a scrape, p50", quantile(sorted(took), 0.5), "s", most=SECONDS_MOST),
        Figure(QUESTION, f"{what}: its answer", size_bytes / MIB, "MiB", most=MIB_MOST),
        Figure(QUESTION, f"{what}: another answer beside none, p99", quantile(calm, 0.99), "ms"),
        Figure(QUESTION, f"{what}: another answer beside {size.at_once} at once, p99", quantile(storm, 0.99), "ms"),
    ]


async def _beside(http: httpx.AsyncClient, size: Size, *, scrapers: int) -> list[float]:
    """How long another request took, in ms, while so many scrape one after the other. Each is made at least once."""
    until = CLOCK.monotonic() + size.storm_s
    took_ms: list[float] = []

    async def scrape() -> None:
        (await http.get("/metrics")).raise_for_status()
        while CLOCK.monotonic() < until:
            (await http.get("/metrics")).raise_for_status()

    async def ask() -> None:
        took_ms.append(await _took_ms(http))
        while CLOCK.monotonic() < until:
            await CLOCK.sleep(0.01)
            took_ms.append(await _took_ms(http))

    async with asyncio.TaskGroup() as group:
        for _ in range(scrapers):
            group.create_task(scrape())
        group.create_task(ask())
    return sorted(took_ms)


async def _took_ms(http: httpx.AsyncClient) -> float:
    began = CLOCK.monotonic()
    (await http.get("/healthz")).raise_for_status()
    return (CLOCK.monotonic() - began) * 1000
