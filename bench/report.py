"""How long does the report of a busy day take, and how much memory? By the command that people type."""

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from subprocess import PIPE

from sqlalchemy import text

from bench.figures import Figure
from bench.stage import CLOCK, ROOT, PartFailed, stage
from bridge.store.engine import make_engine, upgrade

QUESTION = "report"
DAY = datetime(2026, 2, 18, tzinfo=UTC)
SECONDS_MOST = 10.0
MIB_MOST = 500.0
KIB = 1024
# A process that we start is told to have had at least what we have: a small one starts it, and says what it had.
WEIGHED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""

# What a day of events leaves to be counted: a row an hour and stream, a row an hour and cursor, and gaps that ended.
FILL = (
    """
INSERT INTO streams (name, source, numbering, base, frontier, head, position, settle_s)
SELECT 'pb.' || n, 'pb', 'venue', 1, 1, 0, 0, 2 FROM generate_series(1, :streams) AS n
""",
    """
INSERT INTO hours (stream_id, hour, webhook, websocket, replay, first_webhook, first_websocket, first_replay,
                   events, gaps, late, recovered, conflicts, epoch, frontier, head, position, chain, void,
                   lost)
SELECT id, CAST(:day AS timestamptz) + n * interval '1 hour', h, h, 0, h, 0, 0, h, 0, 0, 0, 0,
       1, (n + 1) * h + 1, (n + 1) * h, (n + 1) * h, sha256(id::text::bytea), 0, 0
FROM streams, generate_series(0, 23) AS n, CAST(:hourly AS bigint) AS h
""",
    """
INSERT INTO gaps (stream_id, epoch, first, last, state, healed_by, opened_at, due_at, closed_at)
SELECT id, 1, n, n, 'recovered', 'replay', CAST(:day AS timestamptz) + n * interval '1 hour', now(),
       CAST(:day AS timestamptz) + n * interval '1 hour' + interval '9 s'
FROM streams, generate_series(1, 10) AS n
""",
    """
INSERT INTO destinations (name, changed_at) SELECT 'd-' || n, now() FROM generate_series(1, :destinations) AS n
""",
    """
INSERT INTO cursors (destination_id, stream_id, position, sent, due_at)
SELECT d.id, s.id, 1, 1, now() FROM destinations d, streams s
""",
    """
INSERT INTO delivery_hours (destination_id, stream_id, hour, delivered, first_try, attempts, failed, parked, expired,
                            latency, position, chain)
SELECT destination_id, stream_id, CAST(:day AS timestamptz) + n * interval '1 hour', h, h, h, 0, 0, 0,
       ARRAY[0, 0, 0, 1, 5, 20, 100, 40, 9, 3, 1], (n + 1) * h, sha256(stream_id::text::bytea)
FROM cursors, generate_series(0, 23) AS n, CAST(:hourly AS bigint) AS h
""",
    "ANALYZE",
)


@dataclass(frozen=True, slots=True)
class Size:
    """``events`` of a day in so many ``streams``, each delivered to every one of the ``destinations``."""

    events: int
    streams: int
    destinations: int


FULL = (Size(10_000_000, 100, 10), Size(10_000_000, 1_000, 10), Size(10_000_000, 10_000, 1))
QUICK = (Size(10_000_000, 100, 10),)
SMOKE = (Size(10_000, 3, 2),)


async def measure(sizes: tuple[Size, ...], profile: str | None = None) -> list[Figure]:
    """One size after the other, each on a database of its own. ``profile`` means nothing here."""
    return [figure for size in sizes for figure in await _measured(size)]


async def _measured(size: Size) -> list[Figure]:
    async with stage() as place:
        await asyncio.to_thread(upgrade, place.postgres.url)  # it runs a loop of its own
        engine = make_engine(place.postgres.url)
        given = {"streams": size.streams, "destinations": size.destinations, "day": DAY}
        given["hourly"] = size.events // size.streams // 24
        async with engine.begin() as conn:
            for statement in FILL:
                wanted = text(statement)
                await conn.execute(wanted, {name: given[name] for name in wanted.compile().params})
        await engine.dispose()
        command = ["-m", "bridge", "report", "--day", f"{DAY:%Y-%m-%d}", "--format", "json"]
        began = CLOCK.monotonic()
        used, out_bytes = await asyncio.to_thread(_run, command, place.postgres.url)
        seconds = CLOCK.monotonic() - began
    what = f"{size.events:,} events, {size.streams:,} streams, {size.destinations:,} destinations"
    return [
        Figure(QUESTION, f"{what}: from the command to the last byte", seconds, "s", most=SECONDS_MOST),
        Figure(QUESTION, f"{what}: resident memory at most", used / KIB, "MiB", most=MIB_MOST),
        Figure(QUESTION, f"{what}: JSON", out_bytes / KIB / KIB, "MiB"),
    ]


def _run(command: list[str], url: str) -> tuple[int, int]:
    """The command's largest resident size in KiB, and how many bytes it wrote."""
    words = [sys.executable, "-c", WEIGHED, sys.executable, *command]
    with subprocess.Popen(words, cwd=ROOT, env={"DATABASE_URL": url}, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        written = 0
        while piece := process.stdout.read(KIB * KIB):
            written += len(piece)
        said = process.stderr.read().split()
    if process.returncode != 0:
        raise PartFailed(f"bridge report ended with {process.returncode}")
    return int(said[-1]), written
