"""A database that keeps a follower waiting while the venue goes on: bounded, counted, and healed when it is back."""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.event import Event, Kind
from bridge.follow.follower import Follower
from bridge.ingest.followed import Appended, Chapter
from bridge.sim.poloniex_v3 import KIT
from bridge.sources.loud import Loud
from bridge.store import stance
from tests.follow.playing import BRISK, CLOCK, Playing
from tests.sim.market_dialect import Running, running
from tests.sources.poloniex_v3.recorded import SYMBOL
from tests.sources.poloniex_v3.test_live import source_at

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

TRADES, BOOK = f"trades.{SYMBOL}", f"book_lv2.{SYMBOL}"
TOPICS = (f"trades:{SYMBOL}", f"book_lv2:{SYMBOL}")
LIMITS = replace(BRISK, events_waiting_max=100, commit_events_max=50)
HELD_MAX = len(TOPICS) * (LIMITS.events_waiting_max + 2 * LIMITS.commit_events_max)
"""What may be in memory at any time: what waits, what is being written, and what is being read."""
RATE_PER_S = 300.0


@dataclass(slots=True)
class Slow:
    """A venue that is followed, and what the follower said of what found no room."""

    seen: Playing
    loud: Loud
    dropped: Counter[str]

    @property
    def venue(self) -> Running:
        return self.seen.venue

    async def has_entries(self, count: int) -> bool:
        return len(await self.seen.entries(TRADES)) >= count

    async def has_assigned(self, count: int) -> bool:
        return len(await self.venue.truth(TRADES, limit=10_000)) >= count

    async def is_overflowing(self) -> bool:
        return self.loud.counts.get("frame.dropped", 0) > 0


@asynccontextmanager
async def following(engine: AsyncEngine) -> AsyncIterator[Slow]:
    dropped: Counter[str] = Counter()

    def count(appended: Appended, chapter: Chapter) -> None:
        dropped[appended.stream.name] += chapter.dropped

    async with running(kit=KIT, events_per_s=0) as venue:
        source, loud = source_at(venue, *TOPICS), Loud(CLOCK)
        follower = Follower(source, engine, CLOCK, limits=LIMITS, loud=loud, on_append=count)
        try:
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(follower.run())
                seen = Playing(venue, source, follower, engine)
                await seen.begun()
                await venue.order("rate", events_per_s=RATE_PER_S)
                yield Slow(seen, loud, dropped)
                task.cancel()
        finally:
            await source.close()


def held() -> int:
    """How many events are in memory, wherever they are kept."""
    return sum(type(one) is Event for one in gc.get_objects())


async def test_what_finds_no_room_while_the_log_is_locked_is_counted_and_healed_afterwards(
    engine: AsyncEngine,
) -> None:
    async with following(engine) as slow:
        gc.collect()
        before = held()
        await slow.seen.until(lambda: slow.has_entries(30))
        async with engine.begin() as somebody:
            await somebody.execute(text("SELECT FROM streams FOR UPDATE"))
            await slow.seen.until(slow.is_overflowing)
            assigned = len(await slow.venue.truth(TRADES, limit=10_000))
            for more in range(100, 600, 100):
                await slow.seen.until(lambda more=more: slow.has_assigned(assigned + more))  # type: ignore[misc]  # bound on purpose
                assert held() - before <= HELD_MAX
        await slow.venue.order("rate", events_per_s=20)
        await slow.seen.until(lambda: is_past_its_gap(slow))
        await slow.venue.order("stop")
        await slow.seen.whole()
        trades = await slow.seen.entries(TRADES)
        assert [entry.payload for entry in trades if entry.kind is not Kind.EVENT] == []
        assert len(trades) > 600
        assert "replay" in {gap.healed_by for gap in await slow.seen.gaps(TRADES)}
        assert Kind.GAP in {entry.kind for entry in await slow.seen.entries(BOOK)}
        await check_counts(slow, engine)


async def is_past_its_gap(slow: Slow) -> bool:
    stream = await slow.seen.stream(TRADES)
    return (
        stream is not None
        and stream.gaps_open == 0
        and "recovered" in {g.state for g in await slow.seen.gaps(TRADES)}
    )


async def check_counts(slow: Slow, engine: AsyncEngine) -> None:
    """What was dropped is said in the log of the bridge and on record, the same number of times."""
    async with engine.connect() as connection:
        on_record = {one.stream.id: one.follow.dropped for one in await stance.listing(connection) if one.follow}
    stream = await slow.seen.stream(TRADES)
    assert stream is not None
    assert on_record[stream.id] == slow.dropped[stream.name] > 0
    assert slow.loud.counts["frame.dropped"] > 0
