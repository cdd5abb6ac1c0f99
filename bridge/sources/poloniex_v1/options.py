"""Everything that can be said of a source."""

from dataclasses import dataclass, field

from bridge.sources.poloniex_v1.conversation import Manners
from bridge.sources.poloniex_v1.lists import ListLimits
from bridge.sources.poloniex_v1.signing import Keys
from bridge.sources.rest import RestLimits
from bridge.sources.socket import SocketLimits
from bridge.sources.wire import WireLimits

REST_URL = "https://futures-api.poloniex.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoloniexV1Options:
    """One source. ``endpoint`` replaces the one that comes with each token.

    ``dials_max`` and ``frames_max`` are what the venue allows in ``dials_period_s`` and ``frames_period_s``: of new
    connections of the whole source, and of frames of one. ``suspect_jumps``: a jump of the executions' numbers is
    looked into.
    """

    name: str
    topics: tuple[str, ...]
    rest_url: str = REST_URL
    endpoint: str | None = None
    keys: Keys | None = None
    currencies: tuple[str, ...] = ("USDT",)
    topics_per_connection_max: int = 100
    connections_max: int = 50
    dials_max: int = 30
    dials_period_s: float = 60.0
    frames_max: int = 100
    frames_period_s: float = 10.0
    suspect_jumps: bool = True
    manners: Manners = field(default_factory=Manners)
    lists: ListLimits = field(default_factory=ListLimits)
    rest: RestLimits = field(default_factory=lambda: RestLimits(requests_per_s=9.0, reserve=3.0))
    socket: SocketLimits = field(default_factory=lambda: SocketLimits(ping_interval_s=20.0, silence_s=30.0))
    wire: WireLimits = field(default_factory=lambda: WireLimits(frame_bytes_max=4 * 1024 * 1024))
