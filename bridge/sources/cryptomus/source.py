"""One configured connection to the venue: its lines, and its lists."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from bridge.clock import Clock
from bridge.core.budget import Left
from bridge.core.channel import Channel, Told
from bridge.sources.cryptomus.channels import channel_of, line_of
from bridge.sources.cryptomus.conversation import SocketConversation
from bridge.sources.cryptomus.dialing import Desk
from bridge.sources.cryptomus.history import History, HistoryOptions
from bridge.sources.cryptomus.signing import RequestSigner
from bridge.sources.cryptomus.stamps import VenueTime
from bridge.sources.cryptomus.verdict import verdict
from bridge.sources.loud import Loud
from bridge.sources.market import Recalled
from bridge.sources.rest import Rest, RestLimits
from bridge.sources.socket import LiveSocket, SocketLimits
from bridge.sources.wire import WebSocketWire, WireLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class CryptomusOptions:
    """Everything that can be said of a source. ``channels`` are the venue's words, ``trade:BTC_USDT``."""

    name: str
    rest_url: str
    ws_url: str
    channels: tuple[str, ...]
    user_id: str
    api_key: str = field(repr=False)
    hold_s: float = 2.0
    history: HistoryOptions = field(default_factory=HistoryOptions)
    rest: RestLimits = field(default_factory=lambda: RestLimits(requests_per_s=10.0, reserve=2.0))
    socket: SocketLimits = field(default_factory=lambda: SocketLimits(ping_interval_s=20.0, silence_s=45.0))
    wire: WireLimits = field(default_factory=WireLimits)


class Cryptomus:
    """The source. ``transport`` replaces the network of its REST side. Raises ValueError for an unknown channel."""

    def __init__(
        self,
        options: CryptomusOptions,
        *,
        clock: Clock,
        jitter: Callable[[], float],
        loud: Loud | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._options = options
        self._loud = loud or Loud(clock)
        self._channels = tuple(channel_of(topic, hold_s=options.hold_s) for topic in dict.fromkeys(options.channels))
        self._rest = Rest(
            options.rest_url,
            {},
            clock=clock,
            jitter=jitter,
            limits=options.rest,
            transport=transport,
            sign=RequestSigner(options.user_id, options.api_key),
            verdict=verdict,
        )
        self._time = VenueTime(clock.monotonic, clock.now)
        self._history = History(self._rest, options.history, time=self._time, loud=self._loud)
        desk = Desk(self._rest, options.ws_url, options.wire, clock)
        grouped: dict[str, list[Channel]] = {}
        for channel in self._channels:
            grouped.setdefault(line_of(channel), []).append(channel)
        self._lines = tuple(
            self._line(name, tuple(channels), desk, clock, jitter) for name, channels in grouped.items()
        )

    @property
    def name(self) -> str:
        return self._options.name

    @property
    def channels(self) -> tuple[Channel, ...]:
        return self._channels

    @property
    def lines(self) -> tuple[LiveSocket, ...]:
        return self._lines

    def budgets(self) -> dict[str, Left]:
        """What is left of each quota of the venue, by name."""
        return {"rest": self._rest.left()}

    @property
    def oddities(self) -> dict[str, int]:
        """How often the venue said something that it should not, by name."""
        return self._loud.counts

    async def recall(self, channel: Channel, since: datetime, until: datetime) -> Recalled:
        """See ``MarketSource.recall``."""
        recalled = await self._history.recall(channel, since, until)
        if recalled.venue_now is not None:
            self._time.note(recalled.venue_now)
        return recalled

    async def pull(self, channel: Channel, first: int, last: int) -> tuple[Told, ...]:
        """Nothing: this venue numbers nothing."""
        return ()

    async def snapshot(self, channel: Channel) -> Told | None:
        """None: a book comes whole on its line, after subscribing again."""
        return None

    async def close(self) -> None:
        await self._rest.close()

    def _line(
        self, name: str, channels: tuple[Channel, ...], desk: Desk, clock: Clock, jitter: Callable[[], float]
    ) -> LiveSocket:
        greeted: list[datetime | None] = [None]

        async def dial() -> WebSocketWire:
            wire, greeted[0] = await desk.dial()
            if greeted[0] is not None:
                self._time.note(greeted[0])
            return wire

        def begin() -> SocketConversation:
            return SocketConversation(channels, time=self._time, greeted_at=greeted[0], hold_s=self._options.hold_s)

        return LiveSocket(
            dial,
            begin,
            clock=clock,
            jitter=jitter,
            loud=self._loud,
            limits=self._options.socket,
            name=name,
            channels=channels,
        )
