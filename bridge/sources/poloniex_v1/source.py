"""One configured connection to the venue: its public sockets, its private one, and its lists."""

from collections.abc import Callable, Mapping
from datetime import datetime

import httpx

from bridge.clock import Clock
from bridge.core.budget import Left
from bridge.core.channel import Channel, Told
from bridge.sources.loud import Loud
from bridge.sources.market import Recalled
from bridge.sources.poloniex_v1 import signing
from bridge.sources.poloniex_v1.answers import VenueTime, Verdict
from bridge.sources.poloniex_v1.bullet import PRIVATE_PATH
from bridge.sources.poloniex_v1.channels import channels_of
from bridge.sources.poloniex_v1.history import PRIVATE_PATHS, History
from bridge.sources.poloniex_v1.lines import Shared, lines_of
from bridge.sources.poloniex_v1.lists import Lists
from bridge.sources.poloniex_v1.options import PoloniexV1Options
from bridge.sources.poloniex_v1.quota import Quota
from bridge.sources.poloniex_v1.suspicion import Suspicion
from bridge.sources.rest import Rest
from bridge.sources.socket import LiveSocket

SIGNED_PATHS = (PRIVATE_PATH, *PRIVATE_PATHS)


class PoloniexV1:
    """The source. ``transport`` replaces the network of its REST side.

    Raises ValueError for a topic that the venue does not have, and for a private one without keys.
    """

    def __init__(
        self,
        options: PoloniexV1Options,
        *,
        clock: Clock,
        jitter: Callable[[], float],
        loud: Loud | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._options = options
        self._channels = channels_of(options.topics)
        private = [channel.topic for channel in self._channels if channel.private]
        if private and options.keys is None:
            raise ValueError(f"{private[0]} needs api_key, api_secret and passphrase")
        self._loud = loud or Loud(clock)
        self._time = VenueTime()
        self._rest = Rest(
            options.rest_url,
            {},
            clock=clock,
            jitter=jitter,
            limits=options.rest,
            transport=transport,
            sign=self._sign,
            verdict=Verdict(self._time),
        )
        suspicion = Suspicion() if options.suspect_jumps else None
        lists = Lists(self._rest, clock, options.lists)
        self._history = History(lists=lists, currencies=options.currencies, suspicion=suspicion)
        shared = Shared(
            options=options,
            rest=self._rest,
            clock=clock,
            jitter=jitter,
            loud=self._loud,
            suspicion=suspicion,
            dials=Quota(options.dials_max, options.dials_period_s),
        )
        self._lines = lines_of(shared, self._channels)
        if len(self._lines) > options.connections_max:
            raise ValueError(f"the channels need {len(self._lines)} connections, more than the venue allows")

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
        return {"rest": self._rest.left()}

    @property
    def oddities(self) -> dict[str, int]:
        """How often the sockets said something that they should not, by name."""
        return self._loud.counts

    async def recall(self, channel: Channel, since: datetime, until: datetime) -> Recalled:
        """What the venue's lists say of the channel in that time. Raises KeyRefused, VenueError."""
        return await self._history.recall(channel, since, until)

    async def pull(self, channel: Channel, first: int, last: int) -> tuple[Told, ...]:
        """One change per number; empty where the venue does not give all of them. Raises KeyRefused, VenueError."""
        return await self._history.pull(channel, first, last)

    async def snapshot(self, channel: Channel) -> Told | None:
        """The whole present state, which this venue's socket never tells. Raises KeyRefused, VenueError."""
        return await self._history.snapshot(channel)

    async def close(self) -> None:
        await self._rest.close()

    def _sign(self, method: str, target: str, body: bytes, now: datetime) -> Mapping[str, str]:
        """Only what needs a key carries one: a key that is refused then costs nothing that is public."""
        keys = self._options.keys
        if keys is None or not target.partition("?")[0].endswith(SIGNED_PATHS):
            return {}
        timestamp_ms = int(self._time.at(now).timestamp() * 1000)
        return signing.headers(keys, timestamp_ms, method, target, body)
