"""What is configured of a Poloniex v1 source. What the venue leaves unsaid is a setting with a default here."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bridge.config.shapes import Count, Follow, HttpAddress, Seconds, Secret, Shape, SocketAddress, Text, Texts

TUNNELS_MAX = 5  # the venue's own limit
CUT_AFTER_S = 60.0  # the venue hangs up on whoever does not ping for so long
Prefix = Annotated[str, Field(pattern=r"^[A-Z]{1,16}$")]


class Socket(Shape):
    """The table ``ws``. Each token's answer may ask for quicker pings, and less patience, than these."""

    ping_interval_s: Seconds = 20.0
    pong_timeout_s: Seconds = 10.0
    unauthorized_retry_s: Seconds = 300.0
    connect_timeout_s: Seconds = 10.0
    acknowledge_timeout_s: Seconds = 10.0
    backoff_first_s: Seconds = 0.5
    backoff_max_s: Seconds = 30.0
    frame_bytes_max: Count = 4 * 1024 * 1024
    batch_topics_max: Count = 20

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.ping_interval_s >= CUT_AFTER_S:
            raise ValueError(f"ping_interval_s must be smaller than {CUT_AFTER_S:g}, or the venue hangs up")
        if self.backoff_first_s > self.backoff_max_s:
            raise ValueError("backoff_first_s is larger than backoff_max_s")
        return self


class Rest(Shape):
    """The table ``rest``. ``slow_calls_max`` in ``slow_period_s`` is the venue's quota for its list of fills."""

    requests_per_s: Seconds = 9.0
    timeout_s: Seconds = 10.0
    backoff_first_s: Seconds = 0.5
    backoff_max_s: Seconds = 30.0
    retry_after_max_s: Seconds = 300.0
    answer_bytes_max: Count = 32 * 1024 * 1024
    page_rows_max: Annotated[int, Field(ge=1, le=1000)] = 1000
    pages_max: Count = 50
    trades_max: Count = 100
    recent_max: Count = 1000
    slow_calls_max: Count = 9
    slow_period_s: Seconds = 3.0

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.backoff_first_s > self.backoff_max_s:
            raise ValueError("backoff_first_s is larger than backoff_max_s")
        return self


class Limits(Shape):
    """The table ``limits``: what the venue allows one user, and one connection."""

    connections_per_user: Count = 50
    connects_per_min: Count = 30
    frames_per_10s: Count = 100
    topics: Count = 100


class PoloniexV1(Shape):
    """The table ``[sources.NAME]`` with ``venue = "poloniex_v1"``.

    ``ws_url`` replaces the address that comes with each token. ``header_prefix`` and ``passphrase_hmac`` are for
    others who speak this dialect. ``execution_gap = "suspect"``: where the numbers of executions jump, the venue's
    list is asked; ``"ignore"``: they may jump as they like.
    """

    name: Text
    venue: Literal["poloniex_v1"]
    rest_url: HttpAddress = Field(default="https://futures-api.poloniex.com", repr=False)
    ws_url: SocketAddress | None = Field(default=None, repr=False)
    channels: Texts
    api_key: Secret | None = None
    api_secret: Secret | None = None
    passphrase: Secret | None = None
    header_prefix: Prefix = "PF"
    passphrase_hmac: bool = False
    currencies: Texts = ("USDT",)
    tunnels: Annotated[int, Field(ge=0, le=TUNNELS_MAX)] = 0
    pull_max_range: Annotated[int, Field(ge=1, le=500)] = 500
    execution_gap: Literal["suspect", "ignore"] = "suspect"
    ws: Socket = Socket()
    rest: Rest = Rest()
    follow: Follow = Follow()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        given = [key is not None for key in (self.api_key, self.api_secret, self.passphrase)]
        if any(given) and not all(given):
            raise ValueError("api_key, api_secret and passphrase belong together")
        return self
