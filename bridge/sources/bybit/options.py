"""Everything that can be said of a source of this venue, checked."""

from dataclasses import dataclass, field

from bridge.sources.bybit.channels import BookPolicy, Topic, topic_of
from bridge.sources.bybit.kinds import CATEGORIES
from bridge.sources.bybit.reach import Reach
from bridge.sources.rest import RestLimits
from bridge.sources.socket import SocketLimits
from bridge.sources.wire import WireLimits

ARGS_CHARS_MAX = 21_000
"""Of all topics on one connection together."""
OPTION_TOPICS_MAX = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BybitOptions:
    """Everything that can be said of a source. ``ws_url`` names the category, too.

    Raises ValueError for a channel nobody knows, for too many of them, and for private ones without keys.
    """

    name: str
    channels: tuple[str, ...]
    rest_url: str = field(repr=False)
    ws_url: str = field(repr=False)
    private_ws_url: str = field(repr=False)
    category: str = "linear"
    api_key: str = field(default="", repr=False)
    api_secret: str = field(default="", repr=False)
    book_policy: BookPolicy = "strict"
    auth_expires_ms: int = 10_000
    recv_window_ms: int = 5_000
    max_active_time_s: int | None = None
    args_max: int = 100
    connections_per_window_max: int = 250
    banned_s: float = 600.0
    pages_max: int = 1_000
    reach: Reach = field(default_factory=lambda: Reach(category="linear"))
    rest: RestLimits = field(default_factory=RestLimits)
    socket: SocketLimits = field(default_factory=lambda: SocketLimits(ping_interval_s=20.0))
    wire: WireLimits = field(default_factory=WireLimits)

    def __post_init__(self) -> None:
        if self.category not in CATEGORIES or self.reach.category != self.category:
            raise ValueError(f"the category must be one of {', '.join(CATEGORIES)}")
        topics = self.topics
        if not topics:
            raise ValueError("a source listens to at least one channel")
        if any(topic.kind.private for topic in topics) and not (self.api_key and self.api_secret):
            raise ValueError("private channels need api_key and api_secret")
        public = [topic.name for topic in topics if not topic.kind.private]
        if sum(map(len, public)) > ARGS_CHARS_MAX:
            raise ValueError(f"the public channels have more than {ARGS_CHARS_MAX} characters together")
        if self.category == "option" and len(public) > OPTION_TOPICS_MAX:
            raise ValueError(f"an option socket takes no more than {OPTION_TOPICS_MAX} channels")

    @property
    def topics(self) -> tuple[Topic, ...]:
        """What is listened to, each once."""
        names = dict.fromkeys(self.channels)
        return tuple(topic_of(name, category=self.category, book_policy=self.book_policy) for name in names)
