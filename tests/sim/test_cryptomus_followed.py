"""Cryptomus followed from socket to log: flowing, cut, and where the venue offers no repair."""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.event import Kind
from bridge.sim.cryptomus import KIT
from bridge.sim.market import Faults
from tests.follow.playing import Playing, playing
from tests.sim.market_dialect import running
from tests.sim.test_cryptomus_live import FREE, TOPICS, TRADES, source_at

SHAPE = replace(KIT.shape, orders=8.0)
STATES = ("lastprice.BTC_USDT", "ticker.BTC_USDT", "order")


async def has_entries(seen: Playing, series: str, count: int) -> bool:
    return len(await seen.entries(series)) >= count


async def test_everything_that_happens_is_in_the_log_in_order(engine: AsyncEngine) -> None:
    async with (
        running(kit=KIT, events_per_s=0, options=FREE) as venue,
        playing(venue, source_at(venue, *TOPICS), engine) as seen,
    ):
        await seen.begun()
        await venue.order("rate", events_per_s=200)
        await seen.until(lambda: has_entries(seen, TRADES, 50))
        await venue.order("stop")
        await seen.whole(TRADES, *STATES, "deal", "depth.BTC_USDT.0")
        trades = await seen.entries(TRADES)
        assert {entry.kind for entry in trades} == {Kind.EVENT}
        assert [entry.position for entry in trades] == list(range(1, len(trades) + 1))
        # A balance's time is that of its hearing: its chain of values says whether it is whole.
        assert {entry.kind for entry in await seen.entries("balance")} == {Kind.EVENT}


async def test_what_happened_while_the_line_was_cut_is_healed_or_told_as_missing(engine: AsyncEngine) -> None:
    async with (
        running(kit=KIT, events_per_s=0, options=FREE, shape=SHAPE) as venue,
        playing(venue, source_at(venue, *TOPICS), engine) as seen,
    ):
        await seen.begun()
        await venue.order("rate", events_per_s=60)
        await seen.until(lambda: has_entries(seen, TRADES, 20))
        await venue.order("down", seconds=2)
        await seen.until(lambda: has_entries(seen, TRADES, 60))
        await venue.order("stop")
        await seen.whole(TRADES, *STATES)
        states = {gap.state for gap in await seen.gaps(TRADES)}
        assert "recovered" in states
        assert "lost" not in states
        for series in ("balance", "depth.BTC_USDT.0"):
            assert Kind.GAP in {entry.kind for entry in await seen.entries(series)}, series
        # The fills of an order that is open still are in no list: the hole is told at last, and names them.
        await seen.until(lambda: is_told_at_least(seen, "deal"))


async def is_told_at_least(seen: Playing, series: str) -> bool:
    return all("told as missing" in problem for problem in (await seen.verdict(series)).problems)


async def test_what_is_told_twice_or_out_of_order_is_in_the_log_once_and_in_order(engine: AsyncEngine) -> None:
    faults = Faults(duplicate_rate=0.2, reorder_rate=0.2, only=("order", "deal", "lastprice"))
    async with (
        running(kit=KIT, events_per_s=0, options=FREE, shape=SHAPE, faults=faults) as venue,
        playing(venue, source_at(venue, *TOPICS), engine) as seen,
    ):
        await seen.begun()
        await venue.order("rate", events_per_s=100)
        await seen.until(lambda: has_entries(seen, "order", 60))
        await venue.order("stop")
        await seen.whole("deal", *STATES)
