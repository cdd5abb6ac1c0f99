"""What is configured of a PlayBatman source. What the venue leaves unsaid is a setting with a default here."""

from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, model_validator

from bridge.config.shapes import (
    Count,
    HttpAddress,
    Seconds,
    SecondsOrNone,
    Secret,
    Secrets,
    Shape,
    SocketAddress,
    Text,
    Texts,
    Whole,
)

REPLAY_PAGE_MAX = 1000  # the venue's own limit
SETTLE_CEILING_S = 60.0
CloseCode = Annotated[int, Field(ge=1000, le=4999)]


def _start(given: object) -> object:
    if isinstance(given, str) and given.isascii() and given.isdigit():
        return int(given)
    if given in ("oldest", "now") or (isinstance(given, int) and not isinstance(given, bool) and given >= 0):
        return given
    raise ValueError("must be 'oldest', 'now' or a sequence from 0 on")


Start = Annotated[Literal["oldest", "now"] | int, PlainValidator(_start)]


class Socket(Shape):
    """The table ``ws``. ``idle_timeout_s`` is the venue's patience, ``silence_s`` ours with the venue."""

    ping_interval_s: Seconds = 25.0
    idle_timeout_s: Seconds = 60.0
    silence_s: Seconds = 60.0
    close_unauthorized: CloseCode = 4001
    unauthorized_retry_s: Seconds = 300.0
    connect_timeout_s: Seconds = 10.0
    acknowledge_timeout_s: Seconds = 10.0
    backoff_first_s: Seconds = 0.5
    backoff_max_s: Seconds = 30.0
    frame_bytes_max: Count = 1024 * 1024
    events_waiting_max: Count = 10_000
    markets_max: Count = 500
    snapshot_on_subscribe: bool = False

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.ping_interval_s >= self.idle_timeout_s:
            raise ValueError("ping_interval_s must be smaller than idle_timeout_s, or the venue hangs up")
        if self.ping_interval_s >= self.silence_s:
            raise ValueError("ping_interval_s must be smaller than silence_s, or a quiet socket looks dead")
        if self.backoff_first_s > self.backoff_max_s:
            raise ValueError("backoff_first_s is larger than backoff_max_s")
        return self


class Signature(Shape):
    """How a delivery is signed: exactly one way. ``content`` is a template over ``{timestamp}`` and ``{body}``."""

    header: Text = "X-Webhook-Signature"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    content: Text = "{body}"
    key: Literal["utf8", "hex"] = "utf8"
    timestamp_header: Text = "X-Webhook-Timestamp"
    tolerance_s: Seconds = 300.0

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.content.count("{body}") != 1:
            raise ValueError("content must hold {body} once: what is not signed can be forged")
        rest = self.content.replace("{body}", "").replace("{timestamp}", "")
        if "{" in rest or "}" in rest:
            raise ValueError("content knows {timestamp} and {body} only")
        return self


class Envelope(Shape):
    """Under which names a delivery carries what; the first one present wins, a dot goes one level down."""

    type: Texts = ("eventType", "event", "type")
    data: Texts = ("payload", "data")
    id: Texts = ("id", "eventId")
    sequence: Texts = ("sequence", "payload.sequence")


class Webhook(Shape):
    """The table ``webhook``. Without it the source takes no deliveries."""

    secrets: Secrets = Field(alias="secret")
    body_bytes_max: Count = 1024 * 1024
    signature: Signature = Signature()
    envelope: Envelope = Envelope()
    event_type_header: Text = "X-Webhook-Event"
    delivery_id_header: Texts = ("X-Webhook-Delivery", "X-Webhook-Id")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.signature.key == "hex":
            for secret in self.secrets:
                try:
                    bytes.fromhex(secret.get_secret_value())
                except ValueError:
                    raise ValueError("secret is not hexadecimal, as signature.key = 'hex' says") from None
        return self


class Replay(Shape):
    """The table ``replay``. ``overlap`` counts numbers, ``start`` is where a new stream begins."""

    every_s: Seconds = 60.0
    audit_every_s: Seconds = 3600.0
    page_max: Annotated[int, Field(ge=1, le=REPLAY_PAGE_MAX)] = REPLAY_PAGE_MAX
    default_limit: Count = 100
    pages_per_read_max: Count = 10_000
    page_bytes_max: Count = 32 * 1024 * 1024
    overlap: Whole = 200
    overlap_s: SecondsOrNone = 5.0
    settle_s: SecondsOrNone = 2.0
    settle_max_s: Annotated[float, Field(gt=0, le=SETTLE_CEILING_S)] = SETTLE_CEILING_S
    grace_s: SecondsOrNone = 0.5
    start: Start = "oldest"
    retention_h: Annotated[float, Field(gt=0)] = 24.0
    margin_s: SecondsOrNone = 600.0
    requests_per_s: Seconds = 20.0
    timeout_s: Seconds = 10.0
    retry_after_max_s: Seconds = 300.0
    side_by_side_max: Annotated[int, Field(ge=1, le=64)] = 4
    backoff_first_s: Seconds = 0.5
    backoff_max_s: Seconds = 30.0
    gaps_open_max: Count = 1_000
    suspect_after: Count = 5
    contiguous: bool = False
    lagging_copies: bool = False
    more_fields: tuple[Text, ...] = ("hasMore",)
    next_fields: tuple[Text, ...] = ("nextSequence", "lastSequence")
    head_fields: tuple[Text, ...] = ("latestSequence",)

    @property
    def retention_s(self) -> float:
        """The retention in seconds."""
        return self.retention_h * 3600

    @model_validator(mode="after")
    def _agree(self) -> Self:
        retention_s = self.retention_s
        if self.overlap >= self.page_max:
            raise ValueError("overlap must be smaller than page_max, or a page brings nothing new")
        if self.settle_s > self.settle_max_s:
            raise ValueError("settle_s is larger than settle_max_s")
        if self.backoff_first_s > self.backoff_max_s:
            raise ValueError("backoff_first_s is larger than backoff_max_s")
        if self.margin_s + self.settle_max_s + self.every_s >= retention_s:
            raise ValueError("retention_h must be longer than margin_s, settle_max_s and every_s together")
        return self


class Correlation(Shape):
    """How long, and how loosely in time, a sighting without a number waits for its numbered row."""

    ttl_s: Seconds = 900.0
    ts_tolerance_ms: Whole = 2_000


class Routes(Shape):
    """The venue's routes for managing webhooks that its documentation does not show."""

    list: Text = "GET /api/v1/webhooks"
    update: Text = "PUT /api/v1/webhooks/{id}"
    delete: Text = "DELETE /api/v1/webhooks/{id}"
    test: Text = "POST /api/v1/webhooks/{id}/test"


class PlayBatman(Shape):
    """The table ``[sources.NAME]`` with ``venue = "playbatman"``."""

    name: Text
    venue: Literal["playbatman"]
    rest_url: HttpAddress = Field(repr=False)
    ws_url: SocketAddress | None = Field(default=None, repr=False)
    api_key: Secret
    markets: tuple[Text, ...] = ()
    ws: Socket = Socket()
    webhook: Webhook | None = None
    replay: Replay = Replay()
    correlation: Correlation = Correlation()
    routes: Routes = Routes()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.markets and self.ws_url is None:
            raise ValueError("markets are subscribed to on the socket: ws_url is missing")
        if len(self.markets) > self.ws.markets_max:
            raise ValueError("markets are more than ws.markets_max")
        return self
