"""What a venue's engineer writes on top of the market: the venue's routes, its socket's manners, its words for facts.

Everything here is decided without I/O. A dialect gets what was asked and heard, with the time, and returns what to
say; connections, faults, queues and the control plane are the server's. All times are the venue's own clock.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import NamedTuple, Protocol
from urllib.parse import parse_qs

from bridge.sim.market.facts import Fact
from bridge.sim.market.market import Market, Shape
from bridge.sim.market.truth import Assigned, Truth

# What is pushed.


class Push(NamedTuple):
    """One frame for every subscriber of ``topic``; ``items`` are the events in it, in the order of the frame.

    ``topic`` is whatever the dialect's sessions know subscriptions by. ``series`` is the stream's name without its
    source, as the adapter names it; the wire's faults are drawn for each series by itself. A frame that tells of
    nothing that the adapter makes events of has no items.
    """

    series: str
    topic: str
    frame: bytes
    items: tuple[Assigned, ...] = ()


# What a session says.


class Say(NamedTuple):
    """One frame to one client.

    ``told``: the events in it that this client alone is told, such as a snapshot; the adapter may or may not pass
    them on, so the truth keeps them as ``optional``, under the series.
    """

    frame: bytes
    series: str = ""
    told: tuple[Assigned, ...] = ()


class Close(NamedTuple):
    """End the connection with a close frame."""

    code: int = 1000
    reason: str = ""


class Cut(NamedTuple):
    """End the connection without a word."""


Said = Say | Close | Cut


class Handshake(NamedTuple):
    """A request to upgrade. Names in ``headers`` are lower case.

    ``expired``: the venue is to take whatever token or signature comes on this connection as expired, in its own
    way, be it here or in the conversation. ``connections`` are open already.
    """

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    connections: int = 0
    expired: bool = False


class Refuse(NamedTuple):
    """Do not upgrade: an HTTP answer instead."""

    status: int
    body: bytes = b""


class Session(Protocol):
    """One client's side of one connection."""

    def opened(self, now: datetime) -> Sequence[Said]:
        """What is said first, before the client says anything. A Close here is accepted first, then closed."""
        ...

    def heard(self, text: str | bytes, now: datetime) -> Sequence[Said]:
        """What a frame of the client brings about. Junk never raises."""
        ...

    def due(self, now: datetime) -> Sequence[Said]:
        """What the time brings about: closing after silence, a snapshot a moment after subscribing. Asked often."""
        ...

    def pushed(self, push: Push) -> Sequence[bytes]:
        """The frames by which this client is told of ``push``: none where it has not subscribed."""
        ...


# What REST answers.


class Answer(NamedTuple):
    """``told`` are present states that an adapter may make events of, by series: optional in the truth."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = {}
    told: tuple[tuple[str, Assigned], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One REST call. Names in ``headers`` are lower case; ``query`` is the text after ``?`` exactly as it came.

    The lists know facts up to ``as_of`` only (they may lag behind the socket): ask the history no further.
    ``shortened``: give this share of the rows that were asked for, at least one, with a cursor that goes on from
    there. ``looping``: answer with the cursor that was asked with as the next one.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    now: datetime
    as_of: datetime
    host: str = "127.0.0.1"
    places: Mapping[str, str] = field(default_factory=dict)
    shortened: float = 1.0
    looping: bool = False

    @property
    def target(self) -> str:
        """Path and query as they were sent, for signatures."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def params(self) -> Mapping[str, str]:
        """The query's first value of each name, decoded."""
        return {name: values[0] for name, values in parse_qs(self.query, keep_blank_values=True).items()}

    def limit(self, asked: int) -> int:
        """How many rows to give to one who asked for ``asked``."""
        return max(1, int(asked * self.shortened)) if asked > 0 else asked


class Way(NamedTuple):
    """A REST route, such as ``Way("GET", "/v5/execution/list", self.executions)``; {braces} become ``places``.

    ``answer`` may raise ValueError: the server answers 400 with its text. ``spared`` from faults where the test
    itself needs it to work; down is down all the same.
    """

    method: str
    path: str
    answer: Callable[[Asked], Answer]
    spared: bool = False


class Trouble(Enum):
    """Why the server answers in the dialect's stead."""

    THROTTLED = auto()
    BANNED = auto()
    BROKEN = auto()
    DOWN = auto()


class Dialect(Protocol):
    """A venue. Made once per server by a ``Kit``."""

    def ways(self) -> Sequence[Way]: ...

    def sockets(self) -> Sequence[str]:
        """The paths where sockets are accepted; {braces} are allowed."""
        ...

    def meet(self, handshake: Handshake, now: datetime) -> Session | Refuse:
        """A client wants a socket. Its limits and tokens are checked here."""
        ...

    def render(self, facts: Sequence[Fact], now: datetime) -> Sequence[Push]:
        """The frames that tell of ``facts``, which are new, in the venue's order.

        Asked with every step of time, also with no facts at all: what the venue repeats by itself is told then.
        Every event that an adapter can get of these facts must be in the items, once, with EXACTLY the id that the
        adapter gives it; an item of a repeated frame is ``optional``.
        """
        ...

    def trouble(self, trouble: Trouble) -> Answer:
        """The venue's words for a refusal that the faults ask for, with its status and headers."""
        ...


@dataclass(frozen=True, slots=True)
class Scene:
    """What a dialect is made of. ``options`` are its own switches, as given by ``--set NAME=VALUE``, read as JSON."""

    market: Market
    truth: Truth
    seed: int
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kit:
    """How a venue's dialect is made: the default shape of its market, and the maker.

    ``make`` raises ValueError for options it does not know.
    """

    venue: str
    shape: Shape
    make: Callable[[Scene], Dialect]
    port: int = 0
