"""The source against the simulated venue on real sockets: flowing, cut, refused, swallowed, with a wrong clock."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from bridge.clock import SystemClock
from bridge.core.channel import Told
from bridge.sim.market import Faults
from bridge.sim.poloniex_v3 import API_KEY, API_SECRET, KIT
from bridge.sources.base import Alive, Connected, Disconnected, LiveUpdate, Subscribed, Unsubscribed
from bridge.sources.poloniex_v3.channels import channel_of
from bridge.sources.poloniex_v3.conversation import JUMPED
from bridge.sources.poloniex_v3.source import PoloniexV3, PoloniexV3Options
from bridge.sources.rest import RestLimits
from bridge.sources.socket import LiveSocket, SocketLimits
from tests.sim.market_dialect import Running, running
from tests.sources.poloniex_v3.recorded import SYMBOL

PATIENCE_S = 20
PUBLIC = ("book_lv2", "book", "trades", "tickers", "mark_price", "candles_minute_1")
PRIVATE = ("orders", "trade", "positions", "account")
TOPICS = (*(f"{word}:{SYMBOL}" for word in PUBLIC), *PRIVATE)
QUICK = SocketLimits(
    ping_interval_s=0.2, silence_s=15, acknowledge_timeout_s=5, backoff_first_s=0.02, backoff_max_s=0.1
)
BRISK = RestLimits(requests_per_s=500, backoff_first_s=0.01, backoff_max_s=0.05)
TRADES = f"trades.{SYMBOL}"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def source_at(venue: Running, *topics: str, secret: str = API_SECRET) -> PoloniexV3:
    options = PoloniexV3Options(
        name="p3",
        topics=topics,
        ws_url=f"ws://127.0.0.1:{venue.port}/ws/v3/public",
        private_ws_url=f"ws://127.0.0.1:{venue.port}/ws/v3/private",
        rest_url=f"http://127.0.0.1:{venue.port}",
        api_key=API_KEY,
        api_secret=secret,
        dials_per_s=50,
        socket=QUICK,
        rest=BRISK,
        private_rest=BRISK,
    )
    return PoloniexV3(options, clock=SystemClock(), jitter=lambda: 0.5)


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


def is_told(series: str) -> Callable[[LiveUpdate], bool]:
    return lambda update: isinstance(update, Told) and update.series == series


def proven() -> Callable[[LiveUpdate], bool]:
    """A pong that answers a ping sent from now on: everything said before it was heard."""
    from_s = SystemClock().monotonic()
    return lambda update: isinstance(update, Alive) and update.asked_s is not None and update.asked_s >= from_s


def ids(updates: list[LiveUpdate], series: str) -> list[str]:
    return [one.event.event_id for one in updates if isinstance(one, Told) and one.series == series]


async def assigned(venue: Running, series: str) -> list[str]:
    return [str(row["id"]) for row in await venue.truth(series) if not row["optional"]]


def line_of(source: PoloniexV3, name: str) -> LiveSocket:
    return next(line for line in source.lines if line.name == name)


@pytest.mark.parametrize("name, words", [("public", PUBLIC), ("private", PRIVATE)])
async def test_every_channel_is_heard_with_the_ids_that_the_venue_assigned(name: str, words: tuple[str, ...]) -> None:
    async with running(kit=KIT) as venue:
        source = source_at(venue, *TOPICS)
        series = [channel.series for channel in source.channels if channel.topic.partition(":")[0] in words]
        async with aclosing(line_of(source, name).live()) as updates:
            opening = await until(updates, connected)
            assert [one.series for one in opening if isinstance(one, Subscribed)] == [(one,) for one in series]
            if name == "public":
                await until(updates, is_told(f"book_lv2.{SYMBOL}"))
            before = {one: len(await assigned(venue, one)) for one in series}
            for _ in range(8):
                await venue.order("emit", count=50)
            truth = {one: (await assigned(venue, one))[before[one] :] for one in series}
            heard = await until(updates, proven())
        for one, expected in truth.items():
            told = ids(opening + heard, one)
            assert [event_id for event_id in told if event_id in set(expected)] == expected, one
            assert expected or one.startswith(("mark_price", "candles")), one
        await source.close()


@pytest.mark.parametrize("topic", [f"trades:{SYMBOL}", "trade", "orders"])
async def test_what_was_missed_while_cut_off_is_recalled_under_the_same_ids(topic: str) -> None:
    async with running(kit=KIT) as venue:
        source = source_at(venue, topic)
        (channel,) = source.channels
        async with aclosing(source.lines[0].live()) as updates:
            await until(updates, connected)
            await venue.order("emit", count=100)
            heard = await until(updates, proven())
            await venue.order("cut")
            heard += await until(updates, disconnected)
            await venue.order("emit", count=100)
            heard += await until(updates, connected)
            await venue.order("emit", count=100)
            heard += await until(updates, proven())
        recalled = await source.recall(channel, LONG_AGO, datetime.now(UTC) + timedelta(hours=1))  # noqa: TID251 - a bound
        await source.close()
        truth = await assigned(venue, channel.series)
        told = ids(heard, channel.series)
        listed = {one.event.event_id for one in recalled.told}
        assert not set(truth) <= set(told), "something was missed"
        assert listed <= set(truth)
        if topic != "orders":  # of an order, only its last state is listed
            assert set(truth) <= set(told) | listed
            assert recalled.complete_from is not None


async def test_a_symbol_that_the_venue_does_not_have_costs_the_others_nothing() -> None:
    async with running(kit=KIT) as venue:
        source = source_at(venue, "trades:NONE_USDT_PERP", f"trades:{SYMBOL}", "liquidation_orders:all", "symbol:all")
        async with aclosing(source.lines[0].live()) as updates:
            opening = await until(updates, connected)
            await venue.order("emit", count=100)
            await until(updates, is_told(TRADES))
        refused = [one for one in opening if isinstance(one, Unsubscribed)]
        assert [(one.series, one.reason) for one in refused] == [
            (("trades.NONE_USDT_PERP",), "no valid symbols"),
            (("symbol.all",), 'Invalid channel values ["symbol"]'),
        ]
        await source.close()


async def test_a_book_that_is_asked_for_anew_begins_with_a_snapshot() -> None:
    async with running(kit=KIT) as venue:
        source = source_at(venue, f"book_lv2:{SYMBOL}")
        (line,) = source.lines
        async with aclosing(line.live()) as updates:
            await until(updates, connected)
            for _ in range(2):
                heard = await until(updates, is_told(f"book_lv2.{SYMBOL}"))
                assert isinstance(heard[-1], Told)
                assert heard[-1].link is not None
                assert heard[-1].link.snapshot
                await line.resubscribe(f"book_lv2.{SYMBOL}")
        await source.close()


async def test_a_swallowed_trade_is_noticed_by_the_next_and_brought_by_the_list() -> None:
    async with running(kit=KIT) as venue:
        source = source_at(venue, f"trades:{SYMBOL}")
        async with aclosing(source.lines[0].live()) as updates:
            await until(updates, connected)
            await venue.order("emit", count=60)
            heard = await until(updates, is_told(TRADES))
            await venue.order("faults", drop_rate=1)
            await venue.order("emit", count=60)
            await venue.order("faults", drop_rate=0)
            await venue.order("emit", count=60)
            heard += await until(updates, lambda update: update == Unsubscribed((TRADES,), JUMPED))
            assert await anext(updates) == Subscribed((TRADES,))
            heard += await until(updates, proven())
        recalled = await source.recall(channel_of(f"trades:{SYMBOL}"), LONG_AGO, LONG_AGO)
        swallowed = {str(row["id"]) for row in await venue.truth(TRADES) if row["swallowed"]}
        assert swallowed
        assert not swallowed & set(ids(heard, TRADES))
        assert swallowed <= {one.event.event_id for one in recalled.told}
        await source.close()


async def test_a_wrong_key_is_refused_and_an_expired_signature_is_only_tried_again() -> None:
    async with running(kit=KIT) as venue, aclosing(source_at(venue, "orders", secret="x").lines[0].live()) as updates:
        (end,) = await until(updates, disconnected)
        assert end == Disconnected("the key is refused: Authentication failed!", misconfigured=True)
    async with (
        running(kit=KIT, faults=Faults(expired_rate=1)) as venue,
        aclosing(source_at(venue, "orders").lines[0].live()) as updates,
    ):
        (end,) = await until(updates, disconnected)
        assert end == Disconnected("the key is refused: Authentication failed!")
        await venue.order("faults", expired_rate=0)
        await until(updates, connected)


@pytest.mark.parametrize("skew_s", [-90.0, 90.0])
async def test_a_clock_that_is_wrong_is_set_right_by_what_the_venue_says(skew_s: float) -> None:
    async with running(kit=KIT, faults=Faults(skew_s=skew_s)) as venue:
        source = source_at(venue, "orders", "account")
        async with aclosing(source.lines[0].live()) as updates:
            heard = await until(updates, connected)
            assert [type(one) for one in heard] == [Disconnected, Subscribed, Subscribed, Connected]
        await venue.order("emit", count=100)
        assert (await source.recall(channel_of("account"), LONG_AGO, LONG_AGO)).superseding
        await source.close()


async def test_a_client_that_keeps_to_the_pings_is_not_cut_and_one_that_does_not_is() -> None:
    async with running(kit=KIT, options={"silence_s": 0.6}) as venue:
        source = source_at(venue, f"trades:{SYMBOL}")
        async with aclosing(source.lines[0].live()) as updates:
            await until(updates, connected)
            for _ in range(6):
                assert not any(disconnected(update) for update in await until(updates, proven()))
        await source.close()
