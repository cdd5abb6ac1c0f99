"""What does forgetting cost whoever stores meanwhile? The same events through the door, alone and beside a sweep."""

import asyncio
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from bench.figures import Figure
from bench.quantiles import quantile
from bench.stage import CLOCK, stage
from bridge.clock import ManualClock
from bridge.core.event import Event, Transport, digest_of
from bridge.ingest import Base, Door, Finding, StreamSpec
from bridge.retention import Retention, RetentionLimits
from bridge.store.engine import make_engine, upgrade

QUESTION = "retention"
STREAM = "pb.events"
SPECS = {STREAM: StreamSpec(STREAM, "pb", "venue", settle_s=2.0)}
BATCH = 100
FILL_MAX = 1_000
PAYLOAD = b'{"market": "market-1", "price": "0.4210", "amount": "120.50", "side": "BUY", "id": "%019d"}'
OLD_DAYS = 40
RATE_LEAST = 0.9


@dataclass(frozen=True, slots=True)
class Size:
    """``old`` entries to forget, and ``rounds`` of ``events`` each way."""

    old: int
    events: int
    rounds: int


FULL = Size(old=200_000, events=20_000, rounds=5)
QUICK = Size(old=40_000, events=5_000, rounds=2)
SMOKE = Size(old=1_000, events=200, rounds=1)


async def measure(size: Size, profile: str | None = None) -> list[Figure]:
    """In turns, so that what else the machine does is shared. ``profile`` means nothing here."""
    async with stage() as place:
        await asyncio.to_thread(upgrade, place.postgres.url)  # it runs a loop of its own
        engine = make_engine(place.postgres.url)
        async with Door(engine, ManualClock(CLOCK.now() - timedelta(days=OLD_DAYS)), SPECS) as door:
            await door.record(STREAM, Finding(1, base=Base(1, None)))
            for first in range(1, size.old + 1, FILL_MAX):
                await _hear(door, first, min(FILL_MAX, size.old - first + 1))
        head = size.old
        alone, beside = list[_Stored](), list[_Stored]()
        sweeper = Retention(engine, CLOCK, RetentionLimits(keep_days=30, entries_min=1))
        async with Door(engine, CLOCK, SPECS) as door:
            for _ in range(size.rounds):
                alone.append(await _store(door, head, size.events))
                async with _sweeping(sweeper):
                    beside.append(await _store(door, head + size.events, size.events))
                head += 2 * size.events
        gone = int(await place.sql("SELECT forgotten FROM streams"))
        await engine.dispose()
    seconds = sum(one.seconds for one in beside)
    ratios = [two.per_s / one.per_s for one, two in zip(alone, beside, strict=True)]
    return [
        Figure(QUESTION, "stored, nothing forgotten meanwhile", statistics.median(one.per_s for one in alone), "1/s"),
        Figure(QUESTION, "stored, beside a sweep", statistics.median(one.per_s for one in beside), "1/s"),
        Figure(QUESTION, "ratio", statistics.median(ratios), "x", least=RATE_LEAST),
        Figure(QUESTION, "forgotten meanwhile", gone / seconds, "1/s"),
        Figure(QUESTION, "commit, nothing forgotten: p99", _p99(alone), "ms"),
        Figure(QUESTION, "commit, beside a sweep: p99", _p99(beside), "ms"),
        Figure(QUESTION, "commit, beside a sweep: longest", max(max(one.commits_ms) for one in beside), "ms"),
    ]


@dataclass(frozen=True, slots=True)
class _Stored:
    events: int
    seconds: float
    commits_ms: list[float]

    @property
    def per_s(self) -> float:
        return self.events / self.seconds


async def _store(door: Door, head: int, events: int) -> _Stored:
    """Store ``events`` behind ``head``, batch after batch."""
    began, commits_ms = CLOCK.monotonic(), list[float]()
    for first in range(head + 1, head + events + 1, BATCH):
        at = CLOCK.monotonic()
        await _hear(door, first, BATCH)
        commits_ms.append((CLOCK.monotonic() - at) * 1000)
    return _Stored(events, CLOCK.monotonic() - began, commits_ms)


@asynccontextmanager
async def _sweeping(sweeper: Retention) -> AsyncIterator[None]:
    """Forget for as long as there is something to forget, or the block lasts."""
    async with asyncio.TaskGroup() as group:
        sweeping = group.create_task(sweeper.tick())
        yield
        sweeping.cancel()


async def _hear(door: Door, first: int, count: int) -> None:
    events = [_event(number) for number in range(first, first + count)]
    await door.accept(STREAM, events, transport=Transport.WEBHOOK)


def _event(number: int) -> Event:
    payload = PAYLOAD % number
    return Event(f"id-{number}", "ORDER_MATCHED", "market-1", payload, digest_of(payload), number, None)


def _p99(stored: list[_Stored]) -> float:
    return quantile(sorted(ms for one in stored for ms in one.commits_ms), 0.99)
