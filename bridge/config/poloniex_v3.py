"""What is configured of a Poloniex Futures v3 source. What the venue leaves unsaid is a setting with a default."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bridge.config.shapes import Count, Follow, HttpAddress, Seconds, Secret, Shape, SocketAddress, Text, Texts

CLIENT_SILENCE_S = 30.0
"""After so long without a frame of ours the venue cuts the connection."""


class PoloniexV3Socket(Shape):
    """The table ``ws``. ``silence_s`` is our patience with the venue; the venue's with us is fixed."""

    ping_interval_s: Annotated[float, Field(gt=0, lt=CLIENT_SILENCE_S)] = 15.0
    silence_s: Seconds = 30.0
    connect_timeout_s: Seconds = 10.0
    acknowledge_timeout_s: Seconds = 10.0
    authenticate_timeout_s: Seconds = 10.0
    key_refused_retry_s: Seconds = 300.0
    backoff_first_s: Seconds = 0.5
    backoff_max_s: Seconds = 30.0
    dials_per_s: Seconds = 2.0
    frame_bytes_max: Count = 1024 * 1024
    symbols_per_request_max: Count = 50

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.ping_interval_s >= self.silence_s:
            raise ValueError("ping_interval_s must be smaller than silence_s, or a quiet socket looks dead")
        if self.backoff_first_s > self.backoff_max_s:
            raise ValueError("backoff_first_s is larger than backoff_max_s")
        return self


class PoloniexV3Lists(Shape):
    """The table ``rest``. ``direction`` is the venue's word for going on behind the last row of a page."""

    public_per_s: Seconds = 50.0
    private_per_s: Seconds = 20.0
    timeout_s: Seconds = 10.0
    backoff_first_s: Seconds = 0.5
    backoff_max_s: Seconds = 30.0
    retry_after_max_s: Seconds = 300.0
    page_bytes_max: Count = 32 * 1024 * 1024
    receive_window_ms: Count = 5_000
    page_max: Annotated[int, Field(ge=10, le=100)] = 100
    trades_max: Annotated[int, Field(ge=1, le=1_000)] = 1_000
    rows_max: Count = 20_000
    direction: Literal["NEXT", "PREV"] = "NEXT"
    order_lookback_h: Annotated[float, Field(ge=0, le=90 * 24)] = 7 * 24.0
    retention_days: Annotated[float, Field(gt=0)] = 90.0

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.backoff_first_s > self.backoff_max_s:
            raise ValueError("backoff_first_s is larger than backoff_max_s")
        return self


class PoloniexV3(Shape):
    """The table ``[sources.NAME]`` with ``venue = "poloniex_v3"``.

    ``trades_gap``: whether a jump of the trades' ids, which nobody promises to be dense, is looked into.
    ``cancelled_visible_h``: how long the venue's lists show an order that was cancelled before anything was filled.
    """

    name: Text
    venue: Literal["poloniex_v3"]
    ws_url: SocketAddress = Field(default="wss://ws.poloniex.com/ws/v3/public", repr=False)
    private_ws_url: SocketAddress = Field(default="wss://ws.poloniex.com/ws/v3/private", repr=False)
    rest_url: HttpAddress = Field(default="https://api.poloniex.com", repr=False)
    channels: Texts
    api_key: Secret | None = None
    api_secret: Secret | None = None
    trades_gap: Literal["suspect", "ignore"] = "suspect"
    cancelled_visible_h: Annotated[float, Field(ge=0)] = 4.0
    book_depth: Literal[5, 10, 20] | None = None
    ws: PoloniexV3Socket = PoloniexV3Socket()
    rest: PoloniexV3Lists = PoloniexV3Lists()
    follow: Follow = Follow()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.api_key is None) != (self.api_secret is None):
            raise ValueError("api_key and api_secret go together")
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("channels names one of them twice")
        return self
