"""Poloniex v1 followed from socket to log: flowing, cut, and where nothing can be repaired."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import SystemClock
from bridge.core.event import Kind, Transport
from bridge.sim.poloniex_v1 import API_KEY, API_SECRET, KIT, PASSPHRASE
from bridge.sources.poloniex_v1.options import PoloniexV1Options
from bridge.sources.poloniex_v1.signing import Keys
from bridge.sources.poloniex_v1.source import PoloniexV1
from bridge.sources.rest import RestLimits
from bridge.sources.socket import SocketLimits
from tests.follow.playing import Playing, playing
from tests.sim.market_dialect import Running, running

pytestmark = pytest.mark.anyio
SYMBOL = "BTCUSDTPERP"
TRADES, BOOK, ORDERS = f"execution.{SYMBOL}", f"level2.{SYMBOL}", "tradeOrders"
TOPICS = (
    *(f"/contractMarket/{word}:{SYMBOL}" for word in ("level2", "execution", "ticker", "level2Depth5")),
    f"/contract/instrument:{SYMBOL}",
    "/contractMarket/tradeOrders",
    "/contractAccount/wallet",
    f"/contract/position:{SYMBOL}",
)
QUICK = SocketLimits(ping_interval_s=1, silence_s=2, backoff_first_s=0.05, backoff_max_s=0.2)


def source_at(venue: Running) -> PoloniexV1:
    options = PoloniexV1Options(
        name="po",
        topics=TOPICS,
        rest_url=f"http://127.0.0.1:{venue.port}",
        keys=Keys(api_key=API_KEY, api_secret=API_SECRET, passphrase=PASSPHRASE),
        currencies=("XBT", "USDT"),
        rest=RestLimits(requests_per_s=200, backoff_first_s=0.05, backoff_max_s=0.2),
        socket=QUICK,
    )
    return PoloniexV1(options, clock=SystemClock(), jitter=lambda: 0.5)


async def test_everything_that_happens_is_in_the_log_in_order(engine: AsyncEngine) -> None:
    async with running(kit=KIT, events_per_s=0) as venue, playing(venue, source_at(venue), engine) as seen:
        await seen.begun()
        await venue.order("rate", events_per_s=100)
        await seen.until(lambda: has_entries(seen, TRADES, 50))
        await venue.order("stop")
        await seen.whole()
        for series in (TRADES, ORDERS):
            assert {entry.kind for entry in await seen.entries(series)} == {Kind.EVENT}


async def test_what_happened_while_the_line_was_cut_is_healed_or_told_as_missing(engine: AsyncEngine) -> None:
    async with running(kit=KIT, events_per_s=0) as venue, playing(venue, source_at(venue), engine) as seen:
        await seen.begun()
        await venue.order("rate", events_per_s=60)
        await seen.until(lambda: has_entries(seen, TRADES, 20))
        await venue.order("down", seconds=1)
        await seen.until(lambda: has_entries(seen, TRADES, 60))
        await venue.order("stop")
        await seen.whole()
        for series in (TRADES, BOOK):
            kinds = [entry.kind for entry in await seen.entries(series)]
            assert Kind.GAP not in kinds, series
        orders = await seen.entries(ORDERS)
        assert Kind.GAP in [entry.kind for entry in orders]
        listed = {entry.event_id.split(":")[1] for entry in orders if entry.transport is Transport.REPLAY}
        assert listed == {"match"}


async def has_entries(seen: Playing, series: str, count: int) -> bool:
    return len(await seen.entries(series)) >= count
