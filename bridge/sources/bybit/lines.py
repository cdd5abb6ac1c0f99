"""The connections of one source: a public and a private one, each only where a channel needs it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from urllib.parse import urlencode

from bridge.clock import Clock
from bridge.core.errors import VenueError
from bridge.sources.bybit.channels import Topic
from bridge.sources.bybit.conversation import BybitConversation
from bridge.sources.bybit.options import BybitOptions
from bridge.sources.bybit.signing import auth_frame
from bridge.sources.bybit.values import millis
from bridge.sources.bybit.venue_time import VenueTime
from bridge.sources.loud import Loud
from bridge.sources.socket import LiveSocket
from bridge.sources.wire import Closed, WebSocketWire

SPOT_ARGS_MAX = 10
"""Of one request on the public socket of the spot market."""
CONNECTIONS_WINDOW_S = 300.0
TIME_TIMEOUT_S = 3.0
_NO_CLOSE_CODE = 0


class Lines:
    """Opens lines that share one quota of connections. ``ask_time`` asks the venue for its clock."""

    def __init__(
        self,
        options: BybitOptions,
        *,
        clock: Clock,
        jitter: Callable[[], float],
        loud: Loud,
        time: VenueTime,
        ask_time: Callable[[], Awaitable[None]],
    ) -> None:
        self._options = options
        self._clock = clock
        self._jitter = jitter
        self._loud = loud
        self._time = time
        self._ask_time = ask_time
        self._dialled_s: deque[float] = deque(maxlen=options.connections_per_window_max)

    def open(self) -> tuple[LiveSocket, ...]:
        """At most two lines, none of them connected yet."""
        topics = self._options.topics
        public = [topic for topic in topics if not topic.kind.private]
        private = [topic for topic in topics if topic.kind.private]
        lines = []
        if public:
            lines.append(self._line("public", public, self._dial_public, self._begin_public))
        if private:
            lines.append(self._line("private", private, self._dial_private, self._begin_private))
        return tuple(lines)

    def _line(
        self,
        name: str,
        topics: Sequence[Topic],
        dial: Callable[[], Awaitable[WebSocketWire]],
        begin: Callable[[Sequence[Topic]], BybitConversation],
    ) -> LiveSocket:
        return LiveSocket(
            dial,
            partial(begin, topics),
            clock=self._clock,
            jitter=self._jitter,
            loud=self._loud,
            limits=self._options.socket,
            name=name,
            channels=tuple(topic.channel for topic in topics),
        )

    def _begin_public(self, topics: Sequence[Topic]) -> BybitConversation:
        args_max = self._options.args_max
        return BybitConversation(
            topics, args_max=min(args_max, SPOT_ARGS_MAX) if self._options.category == "spot" else args_max
        )

    def _begin_private(self, topics: Sequence[Topic]) -> BybitConversation:
        return BybitConversation(
            topics, args_max=self._options.args_max, auth=self._auth, clock_is_wrong=self._time.doubt
        )

    def _auth(self) -> str:
        options = self._options
        expires = self._time.at(self._clock.now()) + timedelta(milliseconds=options.auth_expires_ms)
        return auth_frame(options.api_key, options.api_secret, expires_ms=millis(expires))

    async def _dial_public(self) -> WebSocketWire:
        return await self._dial(self._options.ws_url)

    async def _dial_private(self) -> WebSocketWire:
        if not self._time.known:
            try:
                async with asyncio.timeout(TIME_TIMEOUT_S):
                    await self._ask_time()
            except (VenueError, TimeoutError):
                self._loud.say("time.unknown")  # our own clock must do; it mostly does
        url = self._options.private_ws_url
        if self._options.max_active_time_s is not None:
            asked = urlencode({"max_active_time": f"{self._options.max_active_time_s}s"})
            url += ("&" if "?" in url else "?") + asked
        return await self._dial(url)

    def _wait_s(self, now_s: float) -> float:
        """How long until the window has room for one connection more."""
        full = len(self._dialled_s) == self._options.connections_per_window_max
        return max(0.0, self._dialled_s[0] + CONNECTIONS_WINDOW_S - now_s) if full else 0.0

    async def _dial(self, url: str) -> WebSocketWire:
        while (wait_s := self._wait_s(self._clock.monotonic())) > 0:
            await self._clock.sleep(wait_s)
        self._dialled_s.append(self._clock.monotonic())
        try:
            return await WebSocketWire.dial(url, {}, self._options.wire, refused_code=_NO_CLOSE_CODE)
        except Closed as end:
            # No key travels with the upgrade: a 403 is a limit on our address, and no fault of the key's.
            raise Closed(end.reason) from None
