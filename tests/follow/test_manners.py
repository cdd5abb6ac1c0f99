"""What a venue may do that its pages leave open, and what it refuses: each way of it ends in a log that is whole."""

from collections.abc import Mapping
from contextlib import AsyncExitStack

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.follow.test_faults import CUT, Fault, course, side_by_side
from tests.follow.venues import VENUES, followed

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

EXPIRED = Fault({"expired_rate": 1.0}, "met", 4, order="cut")
Options = Mapping[str, object]
WAYS: list[Mapping[str, Options]] = [
    {
        "bybit": {"raced_rate": 1.0},
        "cryptomus": {"resubscribe": "refuse"},
        "poloniex_v1": {"linked": False},
        "poloniex_v3": {"early_rate": 1.0},
    },
    {
        "bybit": {"restart_every": 20},
        "cryptomus": {"refusal": "close4001"},
        "poloniex_v1": {"bundled": False, "token_single_use": True},
        "poloniex_v3": {"repeat_rate": 1.0},
    },
    {
        "bybit": {"scan_s": 1.0, "idle_s": 0.15, "close_code": 1000},
        "cryptomus": {"requests_per_s": 10},
        "poloniex_v1": {"silence_s": 1.5, "cut_code": 1006, "token_ttl_s": 1.0},
        "poloniex_v3": {"silence_s": 1.0},
    },
]
UNKNOWN = {
    "bybit": "publicTrade.NOPEUSDT",
    "cryptomus": "trade:NOPE_USDT",
    "poloniex_v1": "/contractMarket/execution:NOPEUSDTPERP",
    "poloniex_v3": "trades:NOPE_USDT_PERP",
}
BLAMES_THE_CONNECTION: Mapping[str, Options] = {
    "cryptomus": {"names_the_bad": True},
    "poloniex_v1": {"error_names_connection": True},
}


@pytest.mark.parametrize("ways", WAYS, ids=["-".join(name for way in ways.values() for name in way) for ways in WAYS])
async def test_in_whatever_way_a_venue_behaves_its_log_is_whole(
    engine: AsyncEngine, ways: Mapping[str, Options]
) -> None:
    async with AsyncExitStack() as stack:
        plays = {one: await followed(stack, engine, VENUES[one], options=way) for one, way in ways.items()}
        await side_by_side(course(seen, VENUES[one], CUT, EXPIRED) for one, seen in plays.items())


@pytest.mark.parametrize("ways", [{}, BLAMES_THE_CONNECTION], ids=["unnamed", "named"])
async def test_a_refused_channel_is_told_as_refused_and_costs_no_other_its_events(
    engine: AsyncEngine, ways: Mapping[str, Options]
) -> None:
    async with AsyncExitStack() as stack:
        plays = {}
        for one, venue in VENUES.items():
            topics = (UNKNOWN[one], *venue.topics)
            plays[one] = await followed(stack, engine, venue, topics=topics, options=ways.get(one, {}))
        await side_by_side(course(seen, VENUES[one], CUT) for one, seen in plays.items())
        for seen in plays.values():
            refused, *others = [channel.series for channel in seen.source.channels]
            assert (await seen.state(refused))[0] == "refused"
            assert {(await seen.state(series))[0] for series in others} == {"subscribed"}
