"""The source against the simulated venue on real sockets: flowing, cut, refused, tokens that are spent, junk."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bridge.clock import SystemClock
from bridge.core.channel import Told
from bridge.sim.cryptomus import API_KEY, KIT, USER_ID
from bridge.sim.market import Faults
from bridge.sources.base import Alive, Connected, Disconnected, LiveUpdate, Subscribed, Unsubscribed
from bridge.sources.cryptomus.channels import channel_of
from bridge.sources.cryptomus.history import HistoryOptions
from bridge.sources.cryptomus.source import Cryptomus, CryptomusOptions
from bridge.sources.rest import RestLimits
from bridge.sources.socket import LiveSocket, SocketLimits
from tests.sim.market_dialect import Running, running

PATIENCE_S = 20
SYMBOL = "BTC_USDT"
TRADES = f"trade.{SYMBOL}"
TOPICS = (
    f"trade:{SYMBOL}",
    f"lastprice:{SYMBOL}",
    f"ticker:{SYMBOL}",
    f"depth:{SYMBOL}:0",
    "order:all",
    "deal:all",
    "balance:all",
)
QUICK = SocketLimits(
    ping_interval_s=0.2, silence_s=15, acknowledge_timeout_s=5, backoff_first_s=0.02, backoff_max_s=0.1
)
BRISK = RestLimits(requests_per_s=500, backoff_first_s=0.01, backoff_max_s=0.05)
FREE = {"requests_per_s": 0}
LONG_AGO, FAR_OFF = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def source_at(venue: Running, *topics: str, key: str = API_KEY) -> Cryptomus:
    options = CryptomusOptions(
        name="cm",
        rest_url=f"http://127.0.0.1:{venue.port}",
        ws_url=f"ws://127.0.0.1:{venue.port}/ws",
        channels=topics,
        user_id=USER_ID,
        api_key=key,
        socket=QUICK,
        rest=BRISK,
    )
    return Cryptomus(options, clock=SystemClock(), jitter=lambda: 0.5)


async def until(updates: AsyncIterator[LiveUpdate], wanted: Callable[[LiveUpdate], bool]) -> list[LiveUpdate]:
    heard: list[LiveUpdate] = []
    async with asyncio.timeout(PATIENCE_S):
        async for update in updates:
            heard.append(update)
            if wanted(update):
                break
    return heard


def connected(update: LiveUpdate) -> bool:
    return update == Connected()


def disconnected(update: LiveUpdate) -> bool:
    return isinstance(update, Disconnected)


def proven() -> Callable[[LiveUpdate], bool]:
    """A pong that answers a ping sent from now on: everything said before it was heard."""
    from_s = SystemClock().monotonic()
    return lambda update: isinstance(update, Alive) and update.asked_s is not None and update.asked_s >= from_s


def ids(updates: list[LiveUpdate], series: str) -> list[str]:
    """Natural ids; the time that a balance's bears is ours."""
    told = [one for one in updates if isinstance(one, Told) and one.series == series]
    return [one.event.event_id.partition("#")[0] for one in told]


async def assigned(venue: Running, series: str, *, optional: bool = False) -> list[str]:
    return [str(row["id"]) for row in await venue.truth(series) if optional or not row["optional"]]


def line_of(source: Cryptomus, name: str) -> LiveSocket:
    return next(line for line in source.lines if line.name == name)


@pytest.mark.parametrize("name", ["public", "depth", "private"])
async def test_every_channel_is_heard_with_the_ids_that_the_venue_assigned(name: str) -> None:
    async with running(kit=KIT, options=FREE) as venue:
        source = source_at(venue, *TOPICS)
        line = line_of(source, name)
        async with aclosing(line.live()) as updates:
            opening = await until(updates, connected)
            assert sorted(
                one for update in opening if isinstance(update, Subscribed) for one in update.series
            ) == sorted(channel.series for channel in line.channels)
            assert any(isinstance(update, Alive) and update.sent_at is not None for update in opening)
            for _ in range(8):
                await venue.order("emit", count=50)
            heard = await until(updates, proven())
        for channel in line.channels:
            told = ids(opening + heard, channel.series)
            truth = await assigned(venue, channel.series)
            assert len(truth) > 5, channel.series
            assert not Counter(truth) - Counter(told), channel.series
            assert set(told) <= set(await assigned(venue, channel.series, optional=True)), channel.series
        await source.close()


@pytest.mark.parametrize("topic", [f"trade:{SYMBOL}", "deal:all", "order:all"])
async def test_what_was_missed_while_cut_off_is_recalled_under_the_same_ids(topic: str) -> None:
    shape = replace(KIT.shape, orders=40.0)
    async with running(kit=KIT, options=FREE, shape=shape) as venue:
        source = source_at(venue, topic)
        (channel,) = source.channels
        async with aclosing(source.lines[0].live()) as updates:
            await until(updates, connected)
            await venue.order("emit", count=40)
            heard = await until(updates, proven())
            await venue.order("cut")
            heard += await until(updates, disconnected)
            await venue.order("emit", count=40)
            heard += await until(updates, connected)
            await venue.order("emit", count=40)
            heard += await until(updates, proven())
        recalled = await source.recall(channel, LONG_AGO, datetime.now(UTC) - timedelta(hours=1))  # noqa: TID251 - a bound
        await source.close()
        truth = await assigned(venue, channel.series)
        told, listed = ids(heard, channel.series), [one.event.event_id for one in recalled.told]
        missed = set(truth) - set(told)
        assert missed, "something was missed"
        assert set(listed) <= set(await assigned(venue, channel.series, optional=True))
        if topic == "deal:all":  # fills of orders that are open still are in no list
            assert len(missed & set(listed)) > len(missed) / 3
        else:
            assert missed <= set(listed)
            assert recalled.complete_from is not None
            assert Counter(listed) == Counter(truth) or topic == "order:all"


async def test_a_market_that_the_venue_does_not_have_costs_the_others_nothing() -> None:
    for manners in ({"resubscribe": "replace"}, {"resubscribe": "refuse"}, {"names_the_bad": True}):
        async with running(kit=KIT, options={**FREE, **manners}) as venue:
            source = source_at(venue, "trade:NONE_X", f"trade:{SYMBOL}", "trade:ETH_USDT", f"lastprice:{SYMBOL}")
            async with aclosing(source.lines[0].live()) as updates:
                opening = await until(updates, connected)
                await venue.order("emit", count=100)
                heard = await until(updates, proven())
            refused = [one.series for one in opening if isinstance(one, Unsubscribed)]
            assert refused == [("trade.NONE_X",)]
            assert ids(heard, TRADES) == await assigned(venue, TRADES)
            assert ids(heard, "trade.ETH_USDT") == await assigned(venue, "trade.ETH_USDT")
            await source.close()


@pytest.mark.parametrize("way", ["replace", "refuse"])
async def test_a_book_is_told_anew_when_it_is_asked_for(way: str) -> None:
    async with running(kit=KIT, options={**FREE, "resubscribe": way}) as venue:
        source = source_at(venue, f"depth:{SYMBOL}:0", "depth:ETH_USDT:0")
        line = source.lines[0]
        async with aclosing(line.live()) as updates:
            opening = await until(updates, connected)
            opening += await until(updates, proven())
            await line.resubscribe(f"depth.{SYMBOL}.0")
            heard = await until(updates, proven())
        for part in (opening, heard):
            whole = [one.series for one in part if isinstance(one, Told) and one.link and one.link.snapshot]
            assert sorted(whole) == [f"depth.{SYMBOL}.0", "depth.ETH_USDT.0"]
        await source.close()


async def test_a_spent_token_is_tried_again_with_a_new_one_and_a_refused_key_is_not() -> None:
    for options in (FREE, {**FREE, "refusal": "close4001"}):
        async with running(kit=KIT, options=options, faults=Faults(expired_rate=0.5), seed=3) as venue:
            source = source_at(venue, f"trade:{SYMBOL}")
            async with aclosing(source.lines[0].live()) as updates:
                ends = [
                    one for _ in range(6) for one in await self_cut(venue, updates) if isinstance(one, Disconnected)
                ]
            assert any(end.reason in ("HTTP 401", "closed with code 4001") for end in ends)
            assert not any(end.misconfigured for end in ends)
            await source.close()
            refused = source_at(venue, f"trade:{SYMBOL}", key="wrong")
            async with aclosing(refused.lines[0].live()) as updates:
                (end,) = await until(updates, disconnected)
            assert isinstance(end, Disconnected)
            assert end.misconfigured
            await refused.close()


async def self_cut(venue: Running, updates: AsyncIterator[LiveUpdate]) -> list[LiveUpdate]:
    """Everything until a connection is up, which is then cut."""
    heard = await until(updates, connected)
    await venue.order("cut")
    return heard + await until(updates, disconnected)


async def test_spoilt_frames_are_counted_and_cost_no_neighbour() -> None:
    async with running(kit=KIT, options=FREE, faults=Faults(corrupt_rate=0.2)) as venue:
        source = source_at(venue, "balance:all", "deal:all", "order:all")
        async with aclosing(source.lines[0].live()) as updates:
            opening = await until(updates, connected)
            await venue.order("emit", count=300)
            heard = opening + await until(updates, proven())
        rows = await venue.truth("deal")
        assert any(row["swallowed"] for row in rows)
        assert ids(heard, "deal") == [str(row["id"]) for row in rows if not row["swallowed"]]
        assert source.oddities["frame.malformed"] > 0
        await source.close()


async def test_a_doubled_or_overtaken_balance_bears_the_time_of_its_place() -> None:
    faults = Faults(duplicate_rate=0.3, reorder_rate=0.3)
    async with running(kit=KIT, options=FREE, faults=faults) as venue:
        source = source_at(venue, "balance:USDT")
        async with aclosing(source.lines[0].live()) as updates:
            await until(updates, connected)
            for _ in range(10):
                await venue.order("emit", count=5)
            await venue.order("drain")
            heard = await until(updates, proven())
        told = {one.event.event_id: one for one in heard if isinstance(one, Told)}
        in_order = sorted(told.values(), key=lambda one: (str(one.event.occurred_at), one.event.event_id))
        truth = await assigned(venue, "balance")
        wallet = in_order[0].event.event_id.partition(":")[0]
        expected = [one for one in truth if one.startswith(wallet)]
        assert [one.event.event_id.partition("#")[0] for one in in_order] == expected
        await source.close()


async def test_lists_with_every_fault_lose_nothing_or_say_so() -> None:
    faults = Faults(short_page_rate=0.5, throttle_rate=0.1, broken_rate=0.1)
    shape = replace(KIT.shape, orders=40.0)
    async with running(kit=KIT, options=FREE, shape=shape, faults=faults) as venue:
        await venue.order("emit", count=600)
        source = source_at(venue, "order:all")
        recalled = await source.recall(channel_of("order:all"), LONG_AGO, FAR_OFF)
        truth = set(await assigned(venue, "order"))
        assert len(truth) > 100
        assert truth <= {one.event.event_id for one in recalled.told}
        assert recalled.complete_from == LONG_AGO
        await source.close()
    assert HistoryOptions().patience_s > 0
