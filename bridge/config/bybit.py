"""What is configured of a Bybit source. What the venue leaves unsaid is a setting with a default here."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from bridge.config.shapes import (
    Count,
    Follow,
    HttpAddress,
    Seconds,
    SecondsOrNone,
    Secret,
    Shape,
    SocketAddress,
    Text,
    Whole,
)

Category = Literal["spot", "linear", "inverse", "option"]
CATEGORIES: tuple[Category, ...] = ("spot", "linear", "inverse", "option")
MAINNET = "wss://stream.bybit.com/v5"
CONNECTIONS_PER_WINDOW_MAX = 500  # the venue's own limit, for one address in five minutes
ARGS_CHARS_MAX = 21_000  # the venue's own limit


class Socket(Shape):
    """The table ``ws``. ``max_active_time_s``: after how long without traffic the venue may cut the private line."""

    ping_interval_s: Seconds = 20.0
    silence_s: Seconds = 60.0
    auth_expires_ms: Count = 10_000
    book_u_policy: Literal["strict", "lenient"] = "strict"
    max_active_time_s: Annotated[int, Field(ge=30, le=600)] | None = None
    unauthorized_retry_s: Seconds = 300.0
    connect_timeout_s: Seconds = 10.0
    acknowledge_timeout_s: Seconds = 10.0
    backoff_first_s: Seconds = 0.5
    backoff_max_s: Seconds = 30.0
    frame_bytes_max: Count = 4 * 1024 * 1024
    topics_per_request_max: Count = 100
    connections_per_window_max: Annotated[int, Field(ge=1, le=CONNECTIONS_PER_WINDOW_MAX)] = 250

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.ping_interval_s >= self.silence_s:
            raise ValueError("ping_interval_s must be smaller than silence_s, or a quiet socket looks dead")
        if self.max_active_time_s is not None and self.ping_interval_s >= self.max_active_time_s:
            raise ValueError("ping_interval_s must be smaller than max_active_time_s, or the venue hangs up")
        if self.backoff_first_s > self.backoff_max_s:
            raise ValueError("backoff_first_s is larger than backoff_max_s")
        return self


class Rest(Shape):
    """The table ``rest``. ``banned_s``: how long the venue bans an address that asked too often."""

    overlap_s: SecondsOrNone = 30.0
    order_lookback_s: SecondsOrNone = 3_600.0
    recv_window_ms: Whole = 5_000
    requests_per_s: Seconds = 20.0
    timeout_s: Seconds = 10.0
    retry_after_max_s: Seconds = 300.0
    banned_s: Seconds = 600.0
    backoff_first_s: Seconds = 0.5
    backoff_max_s: Seconds = 30.0
    page_bytes_max: Count = 32 * 1024 * 1024
    pages_max: Count = 1_000
    rows_max: Count = 50_000

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.backoff_first_s > self.backoff_max_s:
            raise ValueError("backoff_first_s is larger than backoff_max_s")
        return self


class Bybit(Shape):
    """The table ``[sources.NAME]`` with ``venue = "bybit"``.

    ``category`` is the product of the public channels; ``categories`` and ``settle_coins`` are what the lists of the
    private ones are asked for, where a channel is not restricted to one product.
    """

    name: Text
    venue: Literal["bybit"]
    channels: Annotated[tuple[Text, ...], Field(min_length=1)]
    category: Category = "linear"
    rest_url: HttpAddress = Field(default="https://api.bybit.com", repr=False)
    ws_url: SocketAddress | None = Field(default=None, repr=False)
    private_ws_url: SocketAddress = Field(default=f"{MAINNET}/private", repr=False)
    api_key: Secret | None = None
    api_secret: Secret | None = None
    categories: Annotated[tuple[Category, ...], Field(min_length=1)] = CATEGORIES
    settle_coins: Annotated[tuple[Text, ...], Field(min_length=1)] = ("USDT", "USDC")
    account_type: Text = "UNIFIED"
    ws: Socket = Socket()
    rest: Rest = Rest()
    follow: Follow = Follow()

    @property
    def public_ws_url(self) -> str:
        """Where the public channels are heard."""
        return self.ws_url or f"{MAINNET}/public/{self.category}"

    @model_validator(mode="after")
    def _agree(self) -> Self:
        last = urlsplit(self.public_ws_url).path.rstrip("/").rpartition("/")[2]
        if last in CATEGORIES and last != self.category:
            raise ValueError(f"ws_url is the address of {last}, and category says {self.category}")
        if (self.api_key is None) != (self.api_secret is None):
            raise ValueError("api_key and api_secret belong together")
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("a channel stands twice among channels")
        if sum(map(len, self.channels)) > ARGS_CHARS_MAX:
            raise ValueError(f"channels have more than {ARGS_CHARS_MAX} characters together")
        return self
