"""Bybit followed from socket to log: flowing, cut, restarted, and with everything broken at once."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.event import Kind
from bridge.sim.bybit import KIT
from bridge.sim.market import Faults
from tests.follow.playing import Playing, playing
from tests.sim.market_dialect import running
from tests.sources.bybit.test_live import BOOK, PRIVATE, PUBLIC, TRADES, source_at

CHANNELS = (*PUBLIC, *PRIVATE)


async def has_entries(seen: Playing, series: str, count: int) -> bool:
    return len(await seen.entries(series)) >= count


async def test_everything_that_happens_is_in_the_log_in_order(engine: AsyncEngine) -> None:
    async with running(kit=KIT, events_per_s=0) as venue, playing(venue, source_at(venue, *CHANNELS), engine) as seen:
        await seen.begun()
        await venue.order("rate", events_per_s=200)
        await seen.until(lambda: has_entries(seen, TRADES, 50))
        await venue.order("stop")
        await seen.whole()
        for series in (TRADES, "execution", "order", BOOK):
            entries = await seen.entries(series)
            assert {entry.kind for entry in entries} == {Kind.EVENT}, series
            assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))


async def test_what_happened_while_the_line_was_cut_is_healed_or_told_as_missing(engine: AsyncEngine) -> None:
    async with running(kit=KIT, events_per_s=0) as venue, playing(venue, source_at(venue, *CHANNELS), engine) as seen:
        await seen.begun()
        await venue.order("rate", events_per_s=200)
        await seen.until(lambda: has_entries(seen, TRADES, 20))
        await venue.order("down", seconds=2)
        await seen.until(lambda: has_entries(seen, TRADES, 150))
        await venue.order("stop")
        await seen.whole(*(series for series in CHANNELS if series != "order"))
        for series in (TRADES, "execution", "execution.fast"):
            healed = await seen.gaps(series)
            assert {gap.state for gap in healed} <= {"recovered", "void"}, series
            assert "replay" in {gap.healed_by for gap in healed}, series
        for series in (BOOK, "wallet", "position", f"allLiquidation.{BOOK.rpartition('.')[2]}"):
            assert Kind.GAP in {entry.kind for entry in await seen.entries(series)}, series


async def test_states_of_orders_that_nobody_lists_are_told_as_missing(engine: AsyncEngine) -> None:
    async with running(kit=KIT, events_per_s=0) as venue, playing(venue, source_at(venue, "order"), engine) as seen:
        await seen.begun()
        await venue.order("rate", events_per_s=200)
        await seen.until(lambda: has_entries(seen, "order", 20))
        await venue.order("down", seconds=1)
        await seen.until(lambda: has_entries(seen, "order", 150))
        await venue.order("stop")

        async def is_told() -> bool:
            verdict = await seen.verdict("order")
            return (verdict.missing, verdict.out_of_order, verdict.unknown, verdict.held_twice) == (0, 0, 0, 0)

        await seen.until(is_told)
        assert (await seen.verdict("order")).told_missing > 0


@pytest.mark.parametrize("series", [BOOK])
async def test_a_book_that_loses_changes_heals_by_a_snapshot_and_tells_what_it_skipped(
    engine: AsyncEngine, series: str
) -> None:
    faults = Faults(drop_rate=0.05, duplicate_rate=0.1, reorder_rate=0.05, corrupt_rate=0.02)
    async with (
        running(kit=KIT, events_per_s=0, faults=faults) as venue,
        playing(venue, source_at(venue, series), engine) as seen,
    ):
        await seen.begun()
        await venue.order("rate", events_per_s=200)
        await seen.until(lambda: has_entries(seen, series, 100))
        await venue.order("faults", drop_rate=0, duplicate_rate=0, reorder_rate=0, corrupt_rate=0)
        await seen.until(lambda: has_entries(seen, series, 150))
        await venue.order("stop")
        await seen.whole()
        assert Kind.GAP in {entry.kind for entry in await seen.entries(series)}
