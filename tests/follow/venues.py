"""The sources of all simulated venues as tests follow them: the demo's channels, with waits that are short."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import SystemClock
from bridge.core.budget import Left
from bridge.core.channel import Channel, Told
from bridge.sim import bybit, cryptomus, poloniex_v1, poloniex_v3
from bridge.sim.demo.followed import FOLLOWED
from bridge.sim.market import Kit
from bridge.sources.base import LiveUpdate
from bridge.sources.bybit.options import BybitOptions
from bridge.sources.bybit.reach import Reach
from bridge.sources.bybit.source import Bybit
from bridge.sources.cryptomus.history import HistoryOptions
from bridge.sources.cryptomus.source import Cryptomus, CryptomusOptions
from bridge.sources.market import Line, MarketSource, Recalled
from bridge.sources.poloniex_v1.options import PoloniexV1Options
from bridge.sources.poloniex_v1.signing import Keys
from bridge.sources.poloniex_v1.source import PoloniexV1
from bridge.sources.poloniex_v3.source import PoloniexV3, PoloniexV3Options
from bridge.sources.rest import RestLimits
from bridge.sources.socket import SocketLimits
from tests.follow.playing import BRISK, Playing, playing
from tests.sim.market_dialect import Running, running

CLOCK = SystemClock()
REST = RestLimits(requests_per_s=500, timeout_s=3, backoff_first_s=0.02, backoff_max_s=0.1, retry_after_max_s=0.1)
SOCKET = SocketLimits(
    ping_interval_s=0.2, silence_s=0.8, acknowledge_timeout_s=0.6, backoff_first_s=0.05, backoff_max_s=0.2,
    refused_retry_s=0.2,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hastened:
    """A source whose venue is known to be quick: no channel settles, and no list lags, for longer than told."""

    source: MarketSource
    settle_s: float
    lag_s: float

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def channels(self) -> tuple[Channel, ...]:
        return tuple(self.quick(channel) for channel in self.source.channels)

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(_HastenedLine(line, tuple(map(self.quick, line.channels))) for line in self.source.lines)

    def quick(self, channel: Channel) -> Channel:
        return replace(channel, settle_s=min(channel.settle_s, self.settle_s), lag_s=min(channel.lag_s, self.lag_s))

    def budgets(self) -> Mapping[str, Left]:
        return self.source.budgets()

    async def recall(self, channel: Channel, since: datetime, until: datetime) -> Recalled:
        return await self.source.recall(channel, since, until)

    async def pull(self, channel: Channel, first: int, last: int) -> tuple[Told, ...]:
        return await self.source.pull(channel, first, last)

    async def snapshot(self, channel: Channel) -> Told | None:
        return await self.source.snapshot(channel)

    async def close(self) -> None:
        await self.source.close()


@dataclass(frozen=True, slots=True)
class _HastenedLine:
    line: Line
    channels: tuple[Channel, ...]

    @property
    def name(self) -> str:
        return self.line.name

    def live(self) -> AsyncGenerator[LiveUpdate, None]:
        return self.line.live()

    async def resubscribe(self, series: str) -> None:
        await self.line.resubscribe(series)

    async def prove(self) -> None:
        await self.line.prove()


def _bybit(venue: Running, topics: tuple[str, ...]) -> MarketSource:
    here = f"127.0.0.1:{venue.port}"
    options = BybitOptions(
        name="by", channels=topics, rest_url=f"http://{here}", ws_url=f"ws://{here}/v5/public/linear",
        private_ws_url=f"ws://{here}/v5/private", api_key=bybit.API_KEY, api_secret=bybit.API_SECRET,
        banned_s=0.1, reach=Reach(category="linear", overlap_s=1.0), rest=REST, socket=SOCKET,
    )  # fmt: skip
    return Bybit(options, clock=CLOCK, jitter=lambda: 0.5)


def _cryptomus(venue: Running, topics: tuple[str, ...]) -> MarketSource:
    options = CryptomusOptions(
        name="cm", rest_url=f"http://127.0.0.1:{venue.port}", ws_url=f"ws://127.0.0.1:{venue.port}/ws",
        channels=topics, user_id=cryptomus.USER_ID, api_key=cryptomus.API_KEY, socket=SOCKET, rest=REST,
        history=HistoryOptions(patience_s=1.0),
    )  # fmt: skip
    return Cryptomus(options, clock=CLOCK, jitter=lambda: 0.5)


def _poloniex_v1(venue: Running, topics: tuple[str, ...]) -> MarketSource:
    options = PoloniexV1Options(
        name="po", topics=topics, rest_url=f"http://127.0.0.1:{venue.port}", currencies=("XBT", "USDT"),
        keys=Keys(
            api_key=poloniex_v1.API_KEY, api_secret=poloniex_v1.API_SECRET, passphrase=poloniex_v1.PASSPHRASE
        ),
        dials_max=600, frames_max=1_000, rest=REST, socket=SOCKET,
    )  # fmt: skip
    return PoloniexV1(options, clock=CLOCK, jitter=lambda: 0.5)


def _poloniex_v3(venue: Running, topics: tuple[str, ...]) -> MarketSource:
    options = PoloniexV3Options(
        name="p3", topics=topics, rest_url=f"http://127.0.0.1:{venue.port}",
        ws_url=f"ws://127.0.0.1:{venue.port}/ws/v3/public",
        private_ws_url=f"ws://127.0.0.1:{venue.port}/ws/v3/private",
        api_key=poloniex_v3.API_KEY, api_secret=poloniex_v3.API_SECRET,
        authenticate_timeout_s=0.6, dials_per_s=50, socket=SOCKET, rest=REST, private_rest=REST,
    )  # fmt: skip
    return PoloniexV3(options, clock=CLOCK, jitter=lambda: 0.5)


@dataclass(frozen=True, slots=True)
class Venue:
    """How a venue is simulated and followed. ``trades`` is the series in which most happens.

    ``telling``: the series in which the venue tells twice without anybody being able to tell that from two.
    """

    kit: Kit
    source: Callable[[Running, tuple[str, ...]], MarketSource]
    trades: str
    twice: tuple[str, ...] = ()
    settle_s: float = 0.5
    lag_s: float = 1.0
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def topics(self) -> tuple[str, ...]:
        return FOLLOWED[self.kit.venue].topics


VENUES: Mapping[str, Venue] = {
    "bybit": Venue(bybit.KIT, _bybit, "publicTrade.BTCUSDT"),
    # Stamps are whole seconds, rounded down: nothing can settle, and no list is complete, within one.
    "cryptomus": Venue(
        cryptomus.KIT, _cryptomus, "trade.BTC_USDT", twice=("trade", "depth", "balance"), settle_s=1.5, lag_s=1.5,
        options={"requests_per_s": 0},
    ),
    "poloniex_v1": Venue(
        poloniex_v1.KIT, _poloniex_v1, "execution.BTCUSDTPERP", options={"connects_per_min": 600}
    ),
    "poloniex_v3": Venue(poloniex_v3.KIT, _poloniex_v3, "trades.BTC_USDT_PERP"),
}  # fmt: skip


async def followed(
    stack: AsyncExitStack,
    engine: AsyncEngine,
    venue: Venue,
    *,
    topics: tuple[str, ...] = (),
    options: Mapping[str, object] | None = None,
    **changes: object,
) -> Playing:
    """Simulate the venue, quiet so far, and follow it until ``stack`` is closed."""
    simulated = running(
        kit=venue.kit, events_per_s=0, options={**venue.options, **(options or {})}, seed=7, **changes
    )
    at = await stack.enter_async_context(simulated)
    source = Hastened(venue.source(at, topics or venue.topics), venue.settle_s, venue.lag_s)
    return await stack.enter_async_context(playing(at, source, engine, limits=BRISK))
