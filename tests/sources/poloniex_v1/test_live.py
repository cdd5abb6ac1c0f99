"""The source against the simulated venue, over real sockets: what is heard, and what brings back what was not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import httpx

from bridge.clock import SystemClock
from bridge.core.channel import Channel, Link, Told
from bridge.sim.market import SimConfig, serve
from bridge.sim.poloniex_v1 import API_KEY, API_SECRET, KIT, PASSPHRASE
from bridge.sources.base import Alive, Connected, Disconnected, LiveUpdate, Subscribed, Unsubscribed
from bridge.sources.poloniex_v1.conversation import Manners
from bridge.sources.poloniex_v1.options import PoloniexV1Options
from bridge.sources.poloniex_v1.signing import Keys
from bridge.sources.poloniex_v1.source import PoloniexV1
from bridge.sources.rest import RestLimits
from bridge.sources.socket import LiveSocket, SocketLimits

PATIENCE_S = 20
CLOCK = SystemClock()
SYMBOL = "BTCUSDTPERP"
BOOK, TRADES = f"/contractMarket/level2:{SYMBOL}", f"/contractMarket/execution:{SYMBOL}"
ORDERS = "/contractMarket/tradeOrders"
TOPICS = (BOOK, TRADES, f"/contractMarket/ticker:{SYMBOL}", ORDERS, f"/contract/position:{SYMBOL}")
KEYS = Keys(api_key=API_KEY, api_secret=API_SECRET, passphrase=PASSPHRASE)
QUICK = SocketLimits(
    ping_interval_s=0.2, silence_s=1.2, acknowledge_timeout_s=2, backoff_first_s=0.02, backoff_max_s=0.1
)


@dataclass(slots=True)
class Venue:
    """The simulated venue on its port."""

    port: int
    http: httpx.AsyncClient

    async def order(self, name: str, **body: object) -> None:
        answer = await self.http.post(f"/_sim/{name}", json=body)
        assert answer.status_code == 200, answer.text

    async def truth(self, series: str) -> list[str]:
        answer = await self.http.get("/_sim/truth", params={"series": series})
        return [row["id"] for row in answer.json()["rows"] if not row["optional"]]

    def source(self, *topics: str, keys: Keys | None = KEYS, **changes: object) -> PoloniexV1:
        options = PoloniexV1Options(
            name="po",
            topics=topics or TOPICS,
            rest_url=f"http://127.0.0.1:{self.port}",
            keys=keys,
            rest=RestLimits(requests_per_s=500, attempts_max=2, backoff_first_s=0.01),
            socket=QUICK,
        )
        return PoloniexV1(
            replace(options, **changes),  # type: ignore[arg-type]  # tests give what fits
            clock=CLOCK,
            jitter=lambda: 0.5,
        )


@asynccontextmanager
async def venue(events_per_s: float = 200, **options: object) -> AsyncIterator[Venue]:
    config = SimConfig(kit=KIT, events_per_s=events_per_s, options=options)
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as parts:
        running = parts.create_task(serve(config, clock=CLOCK, ready=ready.set_result))
        async with asyncio.timeout(PATIENCE_S):
            port = await ready
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            yield Venue(port, http)
        running.cancel()


async def until(updates: AsyncIterator[LiveUpdate], wanted: Callable[[LiveUpdate], bool]) -> list[LiveUpdate]:
    heard: list[LiveUpdate] = []
    async with asyncio.timeout(PATIENCE_S):
        async for update in updates:
            heard.append(update)
            if wanted(update):
                break
    return heard


def of(series: str, count: int) -> Callable[[LiveUpdate], bool]:
    """Whether that many events of the series have come."""
    left = [count]

    def counted(update: LiveUpdate) -> bool:
        left[0] -= isinstance(update, Told) and update.series == series
        return left[0] <= 0

    return counted


def ids(updates: list[LiveUpdate], series: str) -> list[str]:
    return [update.event.event_id for update in updates if isinstance(update, Told) and update.series == series]


def line_of(source: PoloniexV1, name: str) -> LiveSocket:
    (line,) = (line for line in source.lines if line.name == name)
    return line


def channel(source: PoloniexV1, topic: str) -> Channel:
    (found,) = (channel for channel in source.channels if channel.topic == topic)
    return found


def is_down(update: LiveUpdate) -> bool:
    return isinstance(update, Disconnected)


async def test_public_and_private_channels_are_heard_on_lines_of_their_own() -> None:
    async with venue() as sim:
        source = sim.source()
        assert [(line.name, len(line.channels)) for line in source.lines] == [("public", 3), ("private", 2)]
        async with aclosing(line_of(source, "public").live()) as updates:
            heard = await until(updates, of(f"ticker.{SYMBOL}", 3))
        assert isinstance(heard[0], Alive)  # the welcome, with the time at which the token was given
        assert {name for update in heard if isinstance(update, Subscribed) for name in update.series} == {
            f"level2.{SYMBOL}",
            f"execution.{SYMBOL}",
            f"ticker.{SYMBOL}",
        }
        assert Connected() in heard
        async with aclosing(line_of(source, "private").live()) as updates:
            mine = await until(updates, of("tradeOrders", 5))
        assert set(ids(mine, "tradeOrders")) <= set(await sim.truth("tradeOrders"))
        await source.close()


async def test_what_a_cut_has_swallowed_of_the_trades_is_recalled() -> None:
    async with venue(events_per_s=60) as sim:
        source = sim.source(TRADES)
        since = CLOCK.now()
        async with aclosing(source.lines[0].live()) as updates:
            heard = await until(updates, of(f"execution.{SYMBOL}", 3))
            await sim.order("cut")
            heard += await until(updates, is_down)
            heard += await until(updates, of(f"execution.{SYMBOL}", 3))
        await sim.order("stop")
        recalled = await source.recall(channel(source, TRADES), since, since + timedelta(seconds=PATIENCE_S))
        listed = {told.event.event_id for told in recalled.told}
        assert listed | set(ids(heard, f"execution.{SYMBOL}")) == set(await sim.truth(f"execution.{SYMBOL}"))
        assert [told.event.digest for told in recalled.told if told.event.event_id in ids(heard, told.series)]
        await source.close()


async def test_what_a_cut_has_swallowed_of_a_book_is_pulled_number_by_number() -> None:
    async with venue() as sim:
        source = sim.source(BOOK)
        async with aclosing(source.lines[0].live()) as updates:
            before = await until(updates, of(f"level2.{SYMBOL}", 3))
            await sim.order("cut")
            await until(updates, is_down)
            await sim.order("emit", count=20)
            after = await until(updates, of(f"level2.{SYMBOL}", 1))
        last, first = before[-1], after[-1]
        assert isinstance(last, Told)
        assert isinstance(first, Told)
        assert last.link is not None
        assert first.link is not None
        assert last.link.number is not None
        assert first.link.previous is not None
        assert last.link.number < first.link.previous
        rows = await source.pull(channel(source, BOOK), last.link.number + 1, first.link.previous)
        assert [row.link for row in rows] == [Link(n) for n in range(last.link.number + 1, first.link.previous + 1)]
        assert await source.pull(channel(source, BOOK), 1, 501) == ()
        snapshot = await source.snapshot(channel(source, BOOK))
        assert snapshot is not None
        assert snapshot.link is not None
        assert snapshot.link.snapshot
        assert snapshot.link.number is not None
        assert snapshot.link.number >= first.link.previous
        await source.close()


async def test_the_fills_that_nobody_heard_are_recalled_and_the_rest_is_not_claimed() -> None:
    async with venue(events_per_s=0) as sim:
        source = sim.source(ORDERS, f"/contract/position:{SYMBOL}")
        since = CLOCK.now() - timedelta(seconds=1)
        await sim.order("emit", count=300)
        fills = {one for one in await sim.truth("tradeOrders") if ":match:" in one}
        recalled = await source.recall(channel(source, ORDERS), since, CLOCK.now())
        assert {told.event.event_id for told in recalled.told} == fills
        assert recalled.complete_from is not None
        assert recalled.complete_from > since + timedelta(seconds=0.9)
        quiet = CLOCK.now() + timedelta(seconds=1)
        later = await source.recall(channel(source, ORDERS), quiet, quiet + timedelta(seconds=1))
        assert later.complete_from == quiet
        position = await source.snapshot(source.channels[1])
        assert position is not None
        assert position.link == Link(None, snapshot=True)
        await source.close()


async def test_a_refused_topic_costs_the_others_nothing() -> None:
    async with venue() as sim:
        bad = "/contractMarket/execution:NOSUCHPERP"
        source = sim.source(bad, TRADES)
        async with aclosing(source.lines[0].live()) as updates:
            heard = await until(updates, of(f"execution.{SYMBOL}", 2))
        (refused,) = (update for update in heard if isinstance(update, Unsubscribed))
        assert refused.series == ("execution.NOSUCHPERP",)
        assert "404" in refused.reason
        await source.close()


async def test_tunnels_carry_the_same_events() -> None:
    async with venue() as sim:
        source = sim.source(ORDERS, f"/contract/position:{SYMBOL}", manners=Manners(tunnels=2))
        async with aclosing(source.lines[0].live()) as updates:
            heard = await until(updates, of("tradeOrders", 2))
        assert source.oddities == {}
        assert not any(isinstance(update, Unsubscribed) for update in heard)
        await source.close()


async def test_the_venues_wish_for_pings_is_kept() -> None:
    async with venue(events_per_s=0, silence_s=0.5, ping_interval_ms=1000, ping_timeout_ms=1000) as sim:
        patient = SocketLimits(ping_interval_s=20, silence_s=30, backoff_first_s=0.02, backoff_max_s=0.1)
        source = sim.source(TRADES, socket=patient)
        async with aclosing(source.lines[0].live()) as updates:
            heard = await until(updates, is_down)
            assert heard[-1] == Disconnected("closed with code 1000")
        await source.close()
    async with venue(events_per_s=0, silence_s=1.8, ping_interval_ms=1000, ping_timeout_ms=1000) as sim:
        source = sim.source(TRADES, socket=patient)
        async with aclosing(source.lines[0].live()) as updates:
            pongs = 0

            def second_pong(update: LiveUpdate) -> bool:
                nonlocal pongs
                pongs += isinstance(update, Alive) and update.asked_s is not None
                return pongs == 2 or is_down(update)

            assert isinstance((await until(updates, second_pong))[-1], Alive)
        await source.close()


async def test_a_refused_key_is_a_matter_for_people_and_no_secret_is_told() -> None:
    async with venue() as sim:
        wrong = Keys(api_key=API_KEY, api_secret="wr0ng", passphrase=PASSPHRASE)
        source = sim.source(keys=wrong)
        async with aclosing(line_of(source, "private").live()) as updates:
            assert await until(updates, is_down) == [
                Disconnected("the venue refuses the key (code 400005)", misconfigured=True)
            ]
        async with aclosing(line_of(source, "public").live()) as updates:
            await until(updates, of(f"execution.{SYMBOL}", 1))
        await source.close()


async def test_a_bad_token_ends_the_connection_and_the_next_one_brings_a_fresh_one() -> None:
    async with venue(token_single_use=True) as sim:
        source = sim.source(TRADES)
        await sim.order("faults", expired_rate=1.0)
        async with aclosing(source.lines[0].live()) as updates:
            assert await until(updates, is_down) == [Disconnected("closed with code 1000")]
            await sim.order("faults", expired_rate=0.0)
            await until(updates, of(f"execution.{SYMBOL}", 1))
        assert source.oddities["frame.refused"] >= 1
        await source.close()


async def test_a_silent_venue_is_left() -> None:
    async with venue() as sim:
        source = sim.source(TRADES)
        async with aclosing(source.lines[0].live()) as updates:
            await until(updates, of(f"execution.{SYMBOL}", 1))
            await sim.order("silence", seconds=3)
            heard = await until(updates, is_down)
            assert heard[-1] == Disconnected("silent: no pong")
        await source.close()
