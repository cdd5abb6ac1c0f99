"""One configured connection to the venue: its replay, its webhooks and its socket."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx

from bridge.clock import Clock
from bridge.core.budget import Left
from bridge.core.channel import Channel
from bridge.core.event import Event
from bridge.sources.base import LiveUpdate
from bridge.sources.loud import Loud
from bridge.sources.playbatman.channels import EVENTS, SOCKET, channels_of
from bridge.sources.playbatman.conversation import SocketConversation
from bridge.sources.playbatman.envelope import EnvelopeNames
from bridge.sources.playbatman.frames import EVENT_TYPES
from bridge.sources.playbatman.replay import EventReplay, Registered, register_webhook
from bridge.sources.playbatman.webhook import WebhookReader
from bridge.sources.rest import Rest, RestLimits
from bridge.sources.socket import LiveSocket, SocketLimits
from bridge.sources.wire import WebSocketWire, WireLimits

KEY_HEADER = "X-Api-Key"
KEY_PARAMETER = "apiKey"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayBatmanOptions:
    """Everything that can be said of a source. ``key_in_query`` is for proxies that drop unknown headers."""

    name: str
    rest_url: str
    api_key: str = field(repr=False)
    ws_url: str | None = None
    markets: tuple[str, ...] = ()
    key_in_query: bool = False
    close_unauthorized: int = 4001
    event_types: frozenset[str] = EVENT_TYPES
    names: EnvelopeNames = field(default_factory=EnvelopeNames)
    more_fields: tuple[str, ...] = ("hasMore",)
    rest: RestLimits = field(default_factory=RestLimits)
    socket: SocketLimits = field(default_factory=SocketLimits)
    wire: WireLimits = field(default_factory=WireLimits)


class PlayBatman:
    """The source. ``transport`` replaces the network of its REST side."""

    def __init__(
        self,
        options: PlayBatmanOptions,
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
        self._webhooks = WebhookReader(options.names)
        self._rest = Rest(
            options.rest_url,
            {KEY_HEADER: options.api_key},
            clock=clock,
            jitter=jitter,
            limits=options.rest,
            transport=transport,
        )
        self._replay = EventReplay(self._rest, more_fields=options.more_fields)

    @property
    def name(self) -> str:
        return self._options.name

    @property
    def replay(self) -> EventReplay:
        return self._replay

    @property
    def channels(self) -> tuple[Channel, ...]:
        return channels_of(socket=self._options.ws_url is not None)

    @property
    def numbered(self) -> Channel:
        """The channel whose events the venue numbers: the replay tells it."""
        return EVENTS

    @property
    def told(self) -> Channel | None:
        """The channel of what the socket says; None where there is nothing to listen to."""
        return SOCKET if SOCKET in self.channels else None

    def budgets(self) -> dict[str, Left]:
        """What is left of each quota of the venue, by name."""
        return {"rest": self._rest.left()}

    @property
    def oddities(self) -> dict[str, int]:
        """How often the socket said something that it should not, by name."""
        return self._loud.counts

    def parse_webhook(self, body: bytes, delivery_id: str | None) -> Event:
        return self._webhooks.event(body, delivery_id)

    async def register_webhook(self, url: str, events: Sequence[str] = (), description: str = "") -> Registered:
        """Register a receiver at the venue; the venue tells its secret this once. Raises VenueError."""
        return await register_webhook(self._rest, url, events, description)

    def live(self) -> AsyncGenerator[LiveUpdate, None]:
        return LiveSocket(
            self._dial,
            lambda: SocketConversation(self._options.markets, event_types=self._options.event_types),
            clock=self._clock,
            jitter=self._jitter,
            loud=self._loud,
            limits=self._options.socket,
        ).live()

    async def close(self) -> None:
        await self._rest.close()

    async def _dial(self) -> WebSocketWire:
        options = self._options
        url = options.ws_url or ""
        headers = {KEY_HEADER: options.api_key}
        if options.key_in_query:
            url += ("&" if "?" in url else "?") + urlencode({KEY_PARAMETER: options.api_key})
            headers = {}
        return await WebSocketWire.dial(url, headers, options.wire, refused_code=options.close_unauthorized)
