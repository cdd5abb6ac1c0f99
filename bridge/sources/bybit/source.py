"""One configured connection to the venue: at most a public and a private line, and the lists behind both."""

from collections.abc import Callable, Mapping
from datetime import datetime

import httpx

from bridge.clock import Clock
from bridge.core.budget import Left
from bridge.core.channel import Channel, Model, Repair, Told
from bridge.sources.bybit.history import History
from bridge.sources.bybit.kinds import Form
from bridge.sources.bybit.lines import Lines
from bridge.sources.bybit.lists import Lists
from bridge.sources.bybit.options import BybitOptions
from bridge.sources.bybit.present import Present
from bridge.sources.bybit.signing import request_headers
from bridge.sources.bybit.values import millis
from bridge.sources.bybit.venue_time import VenueTime
from bridge.sources.bybit.verdict import Verdict
from bridge.sources.loud import Loud
from bridge.sources.market import Recalled
from bridge.sources.rest import Rest
from bridge.sources.socket import LiveSocket

_PUBLIC_ROUTES = "/v5/market/"


class Bybit:
    """The source. ``transport`` replaces the network of its REST side."""

    def __init__(
        self,
        options: BybitOptions,
        *,
        clock: Clock,
        jitter: Callable[[], float],
        loud: Loud | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._options = options
        self._clock = clock
        self._jitter = jitter
        self._loud = loud or Loud(clock)
        self._time = VenueTime()
        self._topics = {topic.name: topic for topic in options.topics}
        self._rest = Rest(
            options.rest_url,
            {},
            clock=clock,
            jitter=jitter,
            limits=options.rest,
            transport=transport,
            sign=self._sign,
            verdict=Verdict(self._time, banned_s=options.banned_s),
        )
        self._lists = Lists(self._rest, pages_max=options.pages_max)
        self._history = History(self._lists, options.reach)
        self._present = Present(self._lists, options.reach)
        lines = Lines(
            options, clock=clock, jitter=jitter, loud=self._loud, time=self._time, ask_time=self._lists.time
        )
        self._lines = lines.open()

    @property
    def name(self) -> str:
        return self._options.name

    @property
    def channels(self) -> tuple[Channel, ...]:
        return tuple(topic.channel for topic in self._topics.values())

    @property
    def lines(self) -> tuple[LiveSocket, ...]:
        return self._lines

    def budgets(self) -> dict[str, Left]:
        """What is left of each quota of the venue, by name."""
        return {"rest": self._rest.left()}

    @property
    def oddities(self) -> dict[str, int]:
        """How often the sockets said something that they should not, by name."""
        return self._loud.counts

    async def recall(self, channel: Channel, since: datetime, until: datetime) -> Recalled:
        """What the venue's lists say of the span; the present state where there is no list of past ones."""
        topic = self._topics[channel.series]
        match topic.form:
            case Form.TRADE:
                recalled = await self._history.trades(topic)
            case Form.EXECUTION:
                recalled = await self._history.executions(topic, since, until)
            case Form.ORDER:
                recalled = await self._history.orders(topic, since, until)
            case Form.KLINE:
                recalled = await self._history.candles(topic, since, until)
            case Form.POSITION:
                recalled = await self._present.positions(topic, since)
            case Form.TOP:
                recalled = await self._present.top(topic, since)
            case Form.TICKER if channel.model is Model.STATE:
                recalled = await self._present.ticker(topic, since)
            case Form.ACCOUNT if channel.repair is not Repair.NOTHING:
                recalled = await self._present.wallet(topic, since)
            case _:
                recalled = Recalled((), None)
        return recalled

    async def pull(self, channel: Channel, first: int, last: int) -> tuple[Told, ...]:
        """Nothing: the venue has no route for a range of numbers."""
        return ()

    async def snapshot(self, channel: Channel) -> Told | None:
        """The full book; every other book comes on the line after subscribing."""
        topic = self._topics[channel.series]
        return await self._present.book(topic) if topic.kind.word == "orderbook.full" else None

    async def close(self) -> None:
        await self._rest.close()

    def _sign(self, method: str, target: str, body: bytes, now: datetime) -> Mapping[str, str]:
        options = self._options
        if _PUBLIC_ROUTES in target or not options.api_key:
            return {}
        return request_headers(
            options.api_key,
            options.api_secret,
            method=method,
            target=target,
            body=body,
            timestamp_ms=millis(self._time.at(now)),
            recv_window_ms=options.recv_window_ms,
        )
