"""What is configured of a Cryptomus source. What the venue leaves unsaid is a setting with a default here."""

from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from bridge.config.shapes import (
    Count,
    Follow,
    HttpAddress,
    Seconds,
    SecondsOrNone,
    Secret,
    Secrets,
    Shape,
    SocketAddress,
    Text,
    Whole,
)

PAGE_MAX = 100  # the venue's own limit
IDLE_S = 60.0  # so long the venue bears a client that asks for nothing
HOLD_MIN_S = 1.0


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError):
        raise ValueError("is no time zone, such as UTC or Europe/Berlin") from None
    return name


class Socket(Shape):
    """The table ``ws``. ``idle_timeout_s`` is the venue's patience with us, ``silence_s`` ours with the venue."""

    ping_interval_s: Seconds = 20.0
    idle_timeout_s: Seconds = IDLE_S
    silence_s: Seconds = 45.0
    refused_retry_s: Seconds = 300.0
    connect_timeout_s: Seconds = 10.0
    acknowledge_timeout_s: Seconds = 10.0
    backoff_first_s: Seconds = 0.5
    backoff_max_s: Seconds = 30.0
    frame_bytes_max: Count = 1024 * 1024

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.ping_interval_s >= self.idle_timeout_s:
            raise ValueError("ping_interval_s must be smaller than idle_timeout_s, or the venue hangs up")
        if self.ping_interval_s >= self.silence_s:
            raise ValueError("ping_interval_s must be smaller than silence_s, or a quiet socket looks dead")
        if self.backoff_first_s > self.backoff_max_s:
            raise ValueError("backoff_first_s is larger than backoff_max_s")
        return self


class Lists(Shape):
    """The table ``rest``. ``history_sorted_by``: how the venue sorts completed orders, ``offset_max`` their reach.

    ``open_orders_patience_s``: how long a hole in the fills waits for open orders, whose fills are in no list.
    """

    requests_per_s: Seconds = 10.0
    timeout_s: Seconds = 10.0
    backoff_first_s: Seconds = 0.5
    backoff_max_s: Seconds = 30.0
    retry_after_max_s: Seconds = 300.0
    page_bytes_max: Count = 32 * 1024 * 1024
    page_max: Annotated[int, Field(ge=10, le=PAGE_MAX)] = PAGE_MAX
    offset_max: Whole = 10_000
    markets_max: Count = 200
    open_orders_patience_s: SecondsOrNone = 20.0
    history_timezone: Annotated[Text, AfterValidator(_zone)] = "UTC"
    history_sorted_by: Literal["finished", "created"] = "finished"

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.backoff_first_s > self.backoff_max_s:
            raise ValueError("backoff_first_s is larger than backoff_max_s")
        return self


class Payments(Shape):
    """The table ``webhook``: callbacks of payments. ``secret`` holds the keys, of payments and of payouts."""

    secrets: Secrets = Field(alias="secret")
    member: Text = "sign"
    body_bytes_max: Count = 1024 * 1024


class Cryptomus(Shape):
    """The table ``[sources.NAME]`` with ``venue = "cryptomus"``: channels of the exchange, payments, or both.

    The exchange's ``user_id`` and ``api_key`` are needed for its channels only: payments have keys of their own.
    """

    name: Text
    venue: Literal["cryptomus"]
    rest_url: HttpAddress = Field(default="https://api.cryptomus.com", repr=False)
    ws_url: SocketAddress = Field(default="wss://api-ws.cryptomus.com/ws", repr=False)
    channels: tuple[Text, ...] = ()
    user_id: Text | None = None
    api_key: Secret | None = None
    ws: Socket = Socket()
    rest: Lists = Lists()
    follow: Follow = Follow()
    balance_reorder_hold_s: Annotated[float, Field(ge=HOLD_MIN_S)] = 2.0
    webhook: Payments | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if not self.channels and self.webhook is None:
            raise ValueError("has neither channels to follow nor a webhook for payments")
        if self.channels and (self.user_id is None or self.api_key is None):
            raise ValueError("channels are followed with user_id and api_key: one of them is missing")
        return self
