"""The source's connections: each is opened with a token of its own, which also says how to ping it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from bridge.clock import Clock
from bridge.core.channel import Channel
from bridge.core.errors import VenueError
from bridge.sources.base import KeyRefused, Malformed
from bridge.sources.loud import Loud
from bridge.sources.poloniex_v1.bullet import PRIVATE_PATH, PUBLIC_PATH, Bullet, read_bullet
from bridge.sources.poloniex_v1.conversation import SocketConversation
from bridge.sources.poloniex_v1.options import PoloniexV1Options
from bridge.sources.poloniex_v1.paced import PacedWire, within
from bridge.sources.poloniex_v1.quota import Quota
from bridge.sources.poloniex_v1.suspicion import Suspicion
from bridge.sources.rest import Rest
from bridge.sources.socket import LiveSocket, SocketLimits
from bridge.sources.wire import Closed, WebSocketWire, Wire

NO_CLOSE_CODE = 0
"""The venue refuses a key when a token is asked for, never with a close code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the connections of one source have in common. ``dials`` is the venue's quota of new connections."""

    options: PoloniexV1Options
    rest: Rest
    clock: Clock
    jitter: Callable[[], float]
    loud: Loud
    suspicion: Suspicion | None
    dials: Quota
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def connect_id(self) -> str:
        """A name for a connection that no other of ours has."""
        return f"{int(self.jitter() * 2**48):012x}-{next(self.numbers)}"

    async def bullet(self, *, private: bool) -> Bullet:
        """A fresh token, when the quota allows another connection. Raises Closed."""
        await within(self.dials, self.clock)
        try:
            answer = await self.rest.post(PRIVATE_PATH if private else PUBLIC_PATH, b"")
            return read_bullet(
                answer.body,
                told_at=answer.venue_now,
                encrypted=self.options.rest_url.startswith("https:"),
                endpoint=self.options.endpoint,
            )
        except KeyRefused as error:
            raise Closed(str(error), refused=True) from None
        except (VenueError, Malformed) as error:
            raise Closed(f"no token: {error}") from None


class _Line:
    """One connection, again and again."""

    def __init__(self, shared: Shared, channels: tuple[Channel, ...], *, private: bool) -> None:
        self._shared = shared
        self._channels = channels
        self._private = private
        self._bullet: Bullet | None = None
        self._connect_id = ""

    async def dial(self) -> Wire:
        shared, options = self._shared, self._shared.options
        self._bullet = await shared.bullet(private=self._private)
        self._connect_id = shared.connect_id()
        url = self._bullet.url(self._connect_id, private=self._private)
        wire = await WebSocketWire.dial(url, {}, options.wire, refused_code=NO_CLOSE_CODE)
        return PacedWire(wire, Quota(options.frames_max, options.frames_period_s), shared.clock)

    def begin(self) -> SocketConversation:
        assert self._bullet is not None, "a conversation begins on a connection"
        return SocketConversation(
            self._channels,
            connect_id=self._connect_id,
            manners=self._shared.options.manners,
            told_at=self._bullet.told_at,
            suspicion=self._shared.suspicion,
        )

    def pace(self, limits: SocketLimits) -> SocketLimits:
        return limits if self._bullet is None else self._bullet.bounded(limits)


def lines_of(shared: Shared, channels: Sequence[Channel]) -> tuple[LiveSocket, ...]:
    """The connections that ``channels`` need: public and private ones apart, none with too many topics."""
    step = shared.options.topics_per_connection_max
    lines = []
    for private in (False, True):
        wanted = tuple(channel for channel in channels if channel.private is private)
        for number, at in enumerate(range(0, len(wanted), step), 1):
            word = "private" if private else "public"
            some = wanted[at : at + step]
            lines.append(_socket(shared, word if number == 1 else f"{word}-{number}", some, private=private))
    return tuple(lines)


def _socket(shared: Shared, name: str, channels: tuple[Channel, ...], *, private: bool) -> LiveSocket:
    line = _Line(shared, channels, private=private)
    return LiveSocket(
        line.dial,
        line.begin,
        clock=shared.clock,
        jitter=shared.jitter,
        loud=shared.loud,
        limits=shared.options.socket,
        pace=line.pace,
        name=name,
        channels=channels,
    )
