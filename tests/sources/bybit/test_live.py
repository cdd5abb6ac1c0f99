"""The source against the simulated venue on real sockets: flowing, cut, refused, swallowed, with a wrong clock."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import timedelta

import pytest

from bridge.clock import SystemClock
from bridge.core.channel import Channel, Told
from bridge.sim.bybit import API_KEY, API_SECRET, KIT
from bridge.sim.market import Faults
from bridge.sources.base import Alive, Connected, Disconnected, KeyRefused, LiveUpdate, Subscribed, Unsubscribed
from bridge.sources.bybit.options import BybitOptions
from bridge.sources.bybit.reach import Reach
from bridge.sources.bybit.source import Bybit
from bridge.sources.rest import RestLimits
from bridge.sources.socket import LiveSocket, SocketLimits
from tests.sim.market_dialect import Running, running

PATIENCE_S = 20
SYMBOL = "BTCUSDT"
BOOK, TRADES = f"orderbook.50.{SYMBOL}", f"publicTrade.{SYMBOL}"
PUBLIC = (BOOK, f"orderbook.1.{SYMBOL}", TRADES, f"tickers.{SYMBOL}", f"allLiquidation.{SYMBOL}")
PRIVATE = ("order", "execution", "execution.fast", "position", "wallet", "execution.linear")
QUICK = SocketLimits(
    ping_interval_s=0.2, silence_s=15, acknowledge_timeout_s=5, backoff_first_s=0.02, backoff_max_s=0.1
)
BRISK = RestLimits(requests_per_s=500, backoff_first_s=0.01, backoff_max_s=0.05)


def source_at(venue: Running, *channels: str, secret: str = API_SECRET, category: str = "linear") -> Bybit:
    here = f"127.0.0.1:{venue.port}"
    options = BybitOptions(
        name="by",
        channels=channels,
        category=category,
        rest_url=f"http://{here}",
        ws_url=f"ws://{here}/v5/public/{category}",
        private_ws_url=f"ws://{here}/v5/private",
        api_key=API_KEY,
        api_secret=secret,
        banned_s=0.1,
        reach=Reach(category=category, overlap_s=1.0),
        rest=BRISK,
        socket=QUICK,
    )
    return Bybit(options, clock=SystemClock(), jitter=lambda: 0.5)


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
    return [one.event.event_id for one in updates if isinstance(one, Told) and one.series == series]


async def assigned(venue: Running, series: str) -> list[str]:
    return [str(row["id"]) for row in await venue.truth(series) if not row["optional"]]


def channel_of(source: Bybit, series: str) -> Channel:
    return next(channel for channel in source.channels if channel.series == series)


def line_of(source: Bybit, name: str) -> LiveSocket:
    return next(line for line in source.lines if line.name == name)


@pytest.mark.parametrize("name, series", [("public", PUBLIC), ("private", PRIVATE)])
async def test_every_channel_is_heard_with_the_ids_that_the_venue_assigned(
    name: str, series: tuple[str, ...]
) -> None:
    async with running(kit=KIT) as venue:
        source = source_at(venue, *PUBLIC, *PRIVATE)
        async with aclosing(line_of(source, name).live()) as updates:
            opening = await until(updates, connected)
            taken = [topic for one in opening if isinstance(one, Subscribed) for topic in one.series]
            assert sorted(taken) == sorted(series)
            for _ in range(8):
                await venue.order("emit", count=50)
            heard = await until(updates, proven())
        for one in series:
            expected = await assigned(venue, one)
            told = ids(opening + heard, one)
            known = set(expected)
            assert expected, one
            assert [event_id for event_id in dict.fromkeys(told) if event_id in known] == list(
                dict.fromkeys(expected)
            )
        assert source.oddities == {}
        await source.close()


@pytest.mark.parametrize("series", [TRADES, "execution", "execution.fast"])
async def test_what_was_missed_while_cut_off_is_recalled_under_the_same_ids(series: str) -> None:
    async with running(kit=KIT) as venue:
        source = source_at(venue, series)
        async with aclosing(source.lines[0].live()) as updates:
            await until(updates, connected)
            began = SystemClock().now()
            await venue.order("emit", count=200)
            heard = ids(await until(updates, proven()), series)
            await venue.order("cut")
            await until(updates, disconnected)
            await venue.order("emit", count=200)
            await until(updates, connected)
            await venue.order("emit", count=50)
            heard += ids(await until(updates, proven()), series)
        recalled = await source.recall(
            channel_of(source, series), began - timedelta(seconds=5), SystemClock().now() + timedelta(seconds=1)
        )
        truth = set(await assigned(venue, series))
        listed = {told.event.event_id for told in recalled.told}
        assert truth - set(heard), "something must have been missed"
        assert set(heard) | listed == truth
        assert recalled.complete_from is not None
        missed = truth - set(heard)
        at = [told.event.occurred_at for told in recalled.told if told.event.event_id in missed]
        assert all(one is not None and one >= recalled.complete_from for one in at)
        await source.close()


async def test_the_last_state_of_every_order_is_recalled_and_nothing_is_claimed_of_those_before() -> None:
    async with running(kit=KIT) as venue:
        source = source_at(venue, "order", "position", "wallet")
        began = SystemClock().now()
        for _ in range(5):
            await venue.order("emit", count=60)
        until_now = SystemClock().now() + timedelta(seconds=1)
        orders = await source.recall(channel_of(source, "order"), began, until_now)
        truth = await assigned(venue, "order")
        last = {event_id.partition(":")[0]: event_id for event_id in truth}
        assert {told.event.event_id for told in orders.told} == set(last.values())
        assert len(truth) > len(last)
        assert orders.complete_from is not None
        assert orders.complete_from > began
        positions = await source.recall(channel_of(source, "position"), began, until_now)
        assert positions.superseding
        latest = {event_id.split(":")[1]: event_id for event_id in await assigned(venue, "position")}
        assert {told.event.event_id for told in positions.told} == set(latest.values())
        wallet = await source.recall(channel_of(source, "wallet"), began, until_now)
        optional = [row["id"] for row in await venue.truth("wallet") if row["optional"]]
        assert [told.event.event_id for told in wallet.told] == optional
        await source.close()


async def test_a_refused_topic_costs_its_neighbours_nothing() -> None:
    async with running(kit=KIT) as venue:
        source = source_at(venue, "publicTrade.NONEUSDT", TRADES, "tickers.NONEUSDT")
        async with aclosing(source.lines[0].live()) as updates:
            opening = await until(updates, connected)
        refused = [one.series for one in opening if isinstance(one, Unsubscribed)]
        assert refused == [("publicTrade.NONEUSDT",), ("tickers.NONEUSDT",)]
        assert [one.series for one in opening if isinstance(one, Subscribed)] == [(TRADES,)]
        await source.close()


@pytest.mark.parametrize("category", ["spot", "option", "inverse"])
async def test_every_product_is_understood(category: str) -> None:
    async with running(kit=KIT) as venue:
        source = source_at(venue, *(f"publicTrade.{name}" for name in ("BTCUSDT", "ETHUSDT")), category=category)
        async with aclosing(source.lines[0].live()) as updates:
            opening = await until(updates, connected)
            await venue.order("emit", count=50)
            heard = await until(updates, proven())
        assert [one.series for one in opening if isinstance(one, Subscribed)] == [(TRADES, "publicTrade.ETHUSDT")]
        assert ids(heard, TRADES) == await assigned(venue, TRADES)
        await source.close()


async def test_a_book_begins_with_a_snapshot_and_has_another_for_the_asking() -> None:
    async with running(kit=KIT) as venue:
        source = source_at(venue, BOOK)
        (line,) = source.lines

        def whole(update: LiveUpdate) -> bool:
            return isinstance(update, Told) and update.link is not None and update.link.snapshot

        async with aclosing(line.live()) as updates:
            first = (await until(updates, whole))[-1]
            await venue.order("emit", count=100)
            await until(updates, proven())
            await line.resubscribe(BOOK)
            second = (await until(updates, whole))[-1]
            await venue.order("emit", count=100)
            after = await until(updates, proven())
        assert isinstance(first, Told)
        assert isinstance(second, Told)
        assert first.link is not None
        assert second.link is not None
        assert first.link.number is not None
        assert second.link.number is not None
        assert second.link.number > first.link.number
        numbers = [one.link.number for one in after if isinstance(one, Told) and one.link is not None]
        assert numbers == list(range(second.link.number + 1, second.link.number + 1 + len(numbers)))
        await source.close()


async def test_the_full_book_is_fetched_and_its_changes_follow_it() -> None:
    series = f"orderbook.full.{SYMBOL}"
    async with running(kit=KIT) as venue:
        source = source_at(venue, series)
        async with aclosing(source.lines[0].live()) as updates:
            await until(updates, connected)
            told = await source.snapshot(channel_of(source, series))
            await venue.order("emit", count=60)
            heard = await until(updates, proven())
        assert told is not None
        assert told.link is not None
        assert told.link.number is not None
        first = next(one for one in heard if isinstance(one, Told))
        assert first.link is not None
        assert first.link.number == told.link.number + 1
        await source.close()


async def test_a_wrong_key_is_told_as_such_on_both_ways() -> None:
    async with running(kit=KIT) as venue:
        source = source_at(venue, "execution", secret="else")
        async with aclosing(source.lines[0].live()) as updates:
            end = (await until(updates, disconnected))[-1]
        assert isinstance(end, Disconnected)
        assert end.misconfigured
        now = SystemClock().now()
        with pytest.raises(KeyRefused):
            await source.recall(source.channels[0], now - timedelta(seconds=1), now)
        await source.close()


@pytest.mark.parametrize("skew_s", [-3600.0, 3600.0])
async def test_a_clock_that_is_far_off_signs_by_the_venues(skew_s: float) -> None:
    async with running(kit=KIT, faults=Faults(skew_s=skew_s)) as venue:
        source = source_at(venue, "execution")
        async with aclosing(source.lines[0].live()) as updates:
            opening = await until(updates, connected)
        assert not any(map(disconnected, opening))
        now = SystemClock().now()
        assert (await source.recall(source.channels[0], now - timedelta(hours=2), now)).complete_from is not None
        await source.close()


async def test_a_key_that_came_too_late_is_shown_again_on_a_new_connection() -> None:
    async with running(kit=KIT, faults=Faults(expired_rate=1)) as venue:
        source = source_at(venue, "execution")
        async with aclosing(source.lines[0].live()) as updates:
            end = (await until(updates, disconnected))[-1]
            assert isinstance(end, Disconnected)
            assert not end.misconfigured
            await venue.order("faults", expired_rate=0)
            await until(updates, connected)
        await source.close()


async def test_lists_that_fail_throttle_and_come_short_are_read_to_their_end() -> None:
    faults = Faults(throttle_rate=0.2, broken_rate=0.2, short_page_rate=0.8)
    async with running(kit=KIT, faults=faults) as venue:
        source = source_at(venue, "execution")
        began = SystemClock().now() - timedelta(seconds=1)
        await venue.order("emit", count=400)
        recalled = await source.recall(source.channels[0], began, SystemClock().now() + timedelta(seconds=1))
        assert {told.event.event_id for told in recalled.told} == set(await assigned(venue, "execution"))
        assert recalled.complete_from is not None
        await source.close()
