"""One configured connection to the venue: its public socket, its private one, and its lists."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from bridge.clock import Clock
from bridge.core.budget import Budget, Left
from bridge.core.channel import Channel, Told
from bridge.core.errors import VenueError
from bridge.sources.base import KeyRefused
from bridge.sources.loud import Loud
from bridge.sources.market import Recalled
from bridge.sources.poloniex_v3.answers import VenueTime, Verdict
from bridge.sources.poloniex_v3.channels import channel_of
from bridge.sources.poloniex_v3.conversation import Manners, SocketConversation
from bridge.sources.poloniex_v3.fields import ms_at
from bridge.sources.poloniex_v3.frames import read_authentication
from bridge.sources.poloniex_v3.history import History, HistoryLimits
from bridge.sources.poloniex_v3.jumps import Jumps
from bridge.sources.poloniex_v3.signing import authentication, headers
from bridge.sources.rest import Rest, RestLimits
from bridge.sources.socket import LiveSocket, SocketLimits
from bridge.sources.wire import Closed, WebSocketWire, Wire, WireLimits

PUBLIC_URL = "wss://ws.poloniex.com/ws/v3/public"
PRIVATE_URL = "wss://ws.poloniex.com/ws/v3/private"
REST_URL = "https://api.poloniex.com"
NO_CLOSE_CODE = 0
"""The venue refuses a key in a frame, and no close code stands for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoloniexV3Options:
    """Everything that can be said of a source. ``receive_window_ms``: how old a signed request may arrive.

    ``dials_per_s`` holds for both sockets together. ``suspect_jumps``: a jump of the trades' ids is looked into.
    """

    name: str
    topics: tuple[str, ...]
    ws_url: str = PUBLIC_URL
    private_ws_url: str = PRIVATE_URL
    rest_url: str = REST_URL
    api_key: str = field(default="", repr=False)
    api_secret: str = field(default="", repr=False)
    receive_window_ms: int = 5_000
    authenticate_timeout_s: float = 10.0
    dials_per_s: float = 2.0
    suspect_jumps: bool = True
    manners: Manners = field(default_factory=Manners)
    history: HistoryLimits = field(default_factory=HistoryLimits)
    rest: RestLimits = field(default_factory=RestLimits)
    private_rest: RestLimits = field(default_factory=RestLimits)
    socket: SocketLimits = field(default_factory=lambda: SocketLimits(ping_interval_s=15.0, silence_s=30.0))
    wire: WireLimits = field(default_factory=WireLimits)


class PoloniexV3:
    """The source. ``transport`` replaces the network of its REST side.

    Raises ValueError for a topic that the venue does not have, and for a private one without a key.
    """

    def __init__(
        self,
        options: PoloniexV3Options,
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
        self._jumps = Jumps() if options.suspect_jumps else None
        self._dials = Budget(options.dials_per_s, burst=2.0, now=clock.monotonic())
        self._channels = tuple(channel_of(topic) for topic in dict.fromkeys(options.topics))
        self._has_key = bool(options.api_key and options.api_secret)
        private = [channel.topic for channel in self._channels if channel.private]
        if private and not self._has_key:
            raise ValueError(f"{private[0]} needs api_key and api_secret")
        self._public_rest = self._rest(options.rest, transport, signed=False)
        self._private_rest = self._rest(options.private_rest, transport, signed=True) if self._has_key else None
        self._history = History(
            self._public_rest, self._private_rest, now=clock.now, limits=options.history, jumps=self._jumps
        )
        lines = (
            self._line("public", self._dial_public, private=False),
            self._line("private", self._dial_private, private=True),
        )
        self._lines = tuple(line for line in lines if line.channels)

    @property
    def name(self) -> str:
        return self._options.name

    @property
    def channels(self) -> tuple[Channel, ...]:
        return self._channels

    @property
    def lines(self) -> tuple[LiveSocket, ...]:
        """The sockets that are needed for the channels."""
        return self._lines

    def budgets(self) -> dict[str, Left]:
        """What is left of each quota of the venue, by name."""
        clients = {"public": self._public_rest, "private": self._private_rest}
        return {name: client.left() for name, client in clients.items() if client is not None}

    @property
    def oddities(self) -> dict[str, int]:
        """How often the sockets said something that they should not, by name."""
        return self._loud.counts

    async def recall(self, channel: Channel, since: datetime, until: datetime) -> Recalled:
        """What the venue's lists say of the channel in that time. Raises KeyRefused, VenueError."""
        return await self._history.recall(channel, since, until)

    async def pull(self, channel: Channel, first: int, last: int) -> tuple[Told, ...]:
        """Nothing: this venue offers no range of numbers."""
        return ()

    async def snapshot(self, channel: Channel) -> Told | None:
        """None: the book of the lists has another count than the socket's, whose snapshot comes after subscribing."""
        return None

    async def close(self) -> None:
        await self._public_rest.close()
        if self._private_rest is not None:
            await self._private_rest.close()

    def _line(self, name: str, dial: Callable[[], Awaitable[Wire]], *, private: bool) -> LiveSocket:
        channels = tuple(channel for channel in self._channels if channel.private == private)
        topics = tuple(channel.topic for channel in channels)
        return LiveSocket(
            dial,
            lambda: SocketConversation(topics, self._options.manners, self._jumps),
            clock=self._clock,
            jitter=self._jitter,
            loud=self._loud,
            limits=self._options.socket,
            name=name,
            channels=channels,
        )

    async def _dial_public(self) -> Wire:
        return await self._dial(self._options.ws_url)

    async def _dial_private(self) -> Wire:
        """A connection that took our key. Raises Closed."""
        options = self._options
        wire = await self._dial(options.private_ws_url)
        try:
            at_ms = ms_at(self._time.at(self._clock.now()))
            await wire.send(authentication(options.api_key, options.api_secret, at_ms))
            await self._taken(wire)
        except BaseException:
            await wire.close()
            raise
        return wire

    async def _dial(self, url: str) -> WebSocketWire:
        while (wait_s := self._dials.take(self._clock.monotonic())) > 0:
            await self._clock.sleep(wait_s)
        return await WebSocketWire.dial(url, {}, self._options.wire, refused_code=NO_CLOSE_CODE)

    async def _taken(self, wire: Wire) -> None:
        """Wait for the venue's word on the key. Raises Closed."""
        until = self._clock.monotonic() + self._options.authenticate_timeout_s
        while (left_s := until - self._clock.monotonic()) > 0:
            frame = await wire.receive(left_s)
            answer = None if frame is None else read_authentication(frame)
            if answer is None:
                continue
            if not answer.taken:
                raise Closed(f"the key is refused: {answer.reason}", refused=await self._is_key_refused())
            return
        raise Closed("no answer to the key")

    async def _is_key_refused(self) -> bool:
        """What the venue's lists say of the key: a socket's no may mean our clock, which their answer sets right."""
        try:
            await self._history.try_key()
        except KeyRefused:
            return True
        except VenueError:
            return False
        return False

    def _rest(self, limits: RestLimits, transport: httpx.AsyncBaseTransport | None, *, signed: bool) -> Rest:
        return Rest(
            self._options.rest_url,
            {},
            clock=self._clock,
            jitter=self._jitter,
            limits=limits,
            transport=transport,
            sign=self._sign if signed else None,
            verdict=Verdict(self._time, signed=signed),
        )

    def _sign(self, method: str, target: str, body: bytes, now: datetime, /) -> Mapping[str, str]:
        options = self._options
        at_ms = ms_at(self._time.at(now))
        return headers(
            options.api_key, options.api_secret, method, target, body, at_ms, window_ms=options.receive_window_ms
        )
