"""Poloniex v3 followed from socket to log: flowing, cut, and beyond repair."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.event import Kind
from bridge.sim.poloniex_v3 import KIT
from tests.follow.playing import playing
from tests.sim.market_dialect import running
from tests.sources.poloniex_v3.recorded import SYMBOL
from tests.sources.poloniex_v3.test_live import TOPICS, source_at

pytestmark = pytest.mark.anyio


async def test_everything_that_happens_is_in_the_log_in_order(engine: AsyncEngine) -> None:
    async with running(kit=KIT, events_per_s=0) as venue, playing(venue, source_at(venue, *TOPICS), engine) as seen:
        await seen.begun()
        await venue.order("rate", events_per_s=200)
        await seen.until(lambda: has_entries(seen, f"trades.{SYMBOL}", 50))
        await venue.order("stop")
        await seen.whole()
        trades = await seen.entries(f"trades.{SYMBOL}")
        assert {entry.kind for entry in trades} == {Kind.EVENT}
        assert [entry.position for entry in trades] == list(range(1, len(trades) + 1))


async def test_what_happened_while_the_line_was_cut_is_healed_or_told_as_missing(engine: AsyncEngine) -> None:
    async with running(kit=KIT, events_per_s=0) as venue, playing(venue, source_at(venue, *TOPICS), engine) as seen:
        await seen.begun()
        await venue.order("rate", events_per_s=200)
        await seen.until(lambda: has_entries(seen, f"trades.{SYMBOL}", 20))
        await venue.order("down", seconds=2)
        await seen.until(lambda: has_entries(seen, f"trades.{SYMBOL}", 150))
        await venue.order("stop")
        await seen.whole()
        ended = {(gap.state, gap.healed_by) for gap in await seen.gaps(f"trades.{SYMBOL}")}
        assert ("recovered", "replay") in ended
        assert ended <= {("recovered", "replay"), ("void", None)}  # a line that hesitates may miss what never was
        book = await seen.entries(f"book_lv2.{SYMBOL}")
        assert Kind.GAP in {entry.kind for entry in book}


async def has_entries(seen: object, series: str, count: int) -> bool:
    return len(await seen.entries(series)) >= count  # type: ignore[attr-defined]  # a Playing
