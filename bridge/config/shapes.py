"""What every part of the configuration is made of: frozen, nothing unknown, and no secret in its ``repr``."""

import base64
import binascii
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

SIGNING_PREFIX = "whsec_"
SIGNING_BYTES_MIN = 24
SIGNING_BYTES_MAX = 64
SEALING_BYTES = 32
DAY_S = 86_400


class Shape(BaseModel):
    """A table of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


def url_with(*schemes: str) -> AfterValidator:
    """A check that text is a URL of one of ``schemes``, with a host and without a name or password in it."""
    return AfterValidator(lambda url: check_url(url, schemes))


def check_url(url: str, schemes: tuple[str, ...]) -> str:
    """``url``, if it is one. Raises ValueError, with a text that quotes nothing of it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        _ = host is not None and ":" in host and ip_address(host)
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in schemes:
        raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if not host or port == 0:
        raise ValueError("names no host and port that can be reached")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or password")
    if parts.fragment:
        raise ValueError("must not hold a fragment")
    return url


def _as_many(value: object) -> object:
    """One secret, or a list of them while rotating."""
    return (value,) if isinstance(value, str) else value


def _not_empty(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("must not be empty")
    return secret


def _signing_key(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    try:
        if not text.startswith(SIGNING_PREFIX):
            raise ValueError
        key = base64.b64decode(text.removeprefix(SIGNING_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        raise ValueError(f"must be {SIGNING_PREFIX} followed by base64") from None
    if not SIGNING_BYTES_MIN <= len(key) <= SIGNING_BYTES_MAX:
        raise ValueError(f"must hold {SIGNING_BYTES_MIN} to {SIGNING_BYTES_MAX} bytes, this one {len(key)}")
    return secret


def _split(value: object) -> object:
    """Keys as an environment holds them: the newest first, with commas between."""
    return tuple(one.strip() for one in value.split(",")) if isinstance(value, str) else value


def _sealing_key(secret: SecretStr) -> SecretStr:
    try:
        key = base64.b64decode(secret.get_secret_value(), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != SEALING_BYTES:
        raise ValueError(f"must be {SEALING_BYTES} bytes in URL-safe base64: 'bridge secrets new-key' makes one")
    return secret


HttpAddress = Annotated[str, url_with("http", "https")]
SocketAddress = Annotated[str, url_with("ws", "wss")]
Secret = Annotated[SecretStr, AfterValidator(_not_empty)]
Secrets = Annotated[tuple[Secret, ...], BeforeValidator(_as_many), Field(min_length=1)]
SigningKey = Annotated[SecretStr, AfterValidator(_signing_key)]
SigningKeys = Annotated[tuple[SigningKey, ...], BeforeValidator(_as_many), Field(min_length=1)]
SealingKeys = Annotated[tuple[Annotated[SecretStr, AfterValidator(_sealing_key)], ...], BeforeValidator(_split)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0)]
SecondsOrNone = Annotated[float, Field(ge=0)]


class Limits(Shape):
    """The table ``[bridge]``: what this bridge allows itself, whoever the venue is."""

    pool_max: Count = 10
    events_waiting_max: Count = 20_000
    batch_events_max: Count = 1_000
    requests_waiting_max: Count = 4_096
    log_read_max: Count = 200
    log_page_max: Count = 1_000
    metrics_streams_max: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    gap_sweep_every_s: Seconds = 0.5
    poll_every_s: Seconds = 1.0
    drain_s: Seconds = 25.0

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.batch_events_max > self.events_waiting_max:
            raise ValueError("batch_events_max is larger than events_waiting_max")
        return self


class Retention(Shape):
    """The table ``[retention]``: how long entries, and the attempts to deliver them, are kept.

    The newest ``entries_min`` of each stream stay however old they are. ``rows_max`` go in one transaction.
    ``reports_days`` is for reports, and for the hours that they are made of.
    """

    enabled: bool = True
    keep_days: Annotated[float, Field(ge=1, le=36_500)] = 30.0
    attempts_days: Annotated[float, Field(ge=1, le=36_500)] = 30.0
    reports_days: Annotated[float, Field(ge=1, le=36_500)] = 400.0
    entries_min: Count = 1_000
    rows_max: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    every_s: Annotated[float, Field(ge=1, le=DAY_S)] = 600.0


class Reports(Shape):
    """The table ``[reports]``: the report of each day, in UTC, made ``after_s`` it ended, and kept."""

    enabled: bool = True
    after_s: Annotated[float, Field(ge=0, le=DAY_S)] = 900.0
    every_s: Annotated[float, Field(ge=1, le=DAY_S)] = 60.0


class Traces(Shape):
    """The table ``[traces]``: whether traces are recorded, and which share of them, from 0 to 1.

    Where they go is said by the OTEL_* variables of OpenTelemetry, which its own library reads.
    """

    enabled: bool = False
    sample: Annotated[float, Field(ge=0, le=1)] = 0.01

    @model_validator(mode="after")
    def _installed(self) -> Self:
        if self.enabled and not _is_installed("opentelemetry.exporter.otlp.proto.http"):
            raise ValueError("what they need is not installed: pip install 'bridge[traces]'")
        return self


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor is what it stands in
        return False


class Follow(Shape):
    """The table ``follow`` of a source whose events the bridge numbers: patience, bounds and cadence.

    ``pad_s`` is how long after an acknowledged subscription its connection counts as proof, ``overlap_s`` what the
    venue's lists are asked for beyond both ends of a hole, ``prove_every_s`` how often a quiet connection is pinged
    for an event that waits.
    """

    pad_s: SecondsOrNone = 1.0
    overlap_s: SecondsOrNone = 2.0
    prove_every_s: Seconds = 1.0
    poll_every_s: Seconds = 5.0
    events_waiting_max: Count = 50_000
    remembered_max: Count = 20_000
    snapshot_wait_s: Seconds = 5.0
    retry_max_s: Seconds = 60.0
    repairs_side_by_side_max: Annotated[int, Field(ge=1, le=64)] = 4
    audit_every_s: Seconds = 300.0
    audit_window_s: Seconds = 900.0


class Policy(Shape):
    """How a destination is delivered to: the same whether the file or the API says it.

    Where ``batch_max`` is more than 1, every POST is a batch of up to that many entries. ``attempts_max`` counts
    only where what is not taken is parked.
    """

    streams: Texts = ("*",)
    types: Texts = ("*",)
    keys: Texts = ("*",)
    timeout_s: Annotated[float, Field(gt=0, le=3_600)] = 15.0
    retry_first_s: Annotated[float, Field(gt=0, le=DAY_S)] = 1.0
    retry_max_s: Annotated[float, Field(gt=0, le=DAY_S)] = 300.0
    batch_max: Annotated[int, Field(ge=1, le=1_000)] = 1
    order: Literal["stream", "key"] = "stream"
    in_flight_max: Annotated[int, Field(ge=1, le=256)] = 1
    rate_per_s: Annotated[float, Field(ge=0.001, le=1_000_000)] | None = None
    on_exhausted: Literal["halt", "park"] = "halt"
    attempts_max: Annotated[int, Field(ge=1, le=1_000)] = 10
    stop_after_s: Annotated[float, Field(gt=0, le=366 * DAY_S)] | None = None
    checkpoint_every: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    checkpoint_every_s: Annotated[float, Field(ge=1, le=366 * DAY_S)] | None = None
    reports: bool = False

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.retry_first_s > self.retry_max_s:
            raise ValueError("retry_first_s is larger than retry_max_s")
        if self.in_flight_max > 1 and self.order == "stream":
            raise ValueError('in_flight_max is more than 1, but the order of a stream allows one: see order = "key"')
        return self


class Destination(Policy):
    """The table ``[destinations.NAME]``: who takes the log. ``secrets`` holds whsec_ keys, the newest first."""

    name: Text
    url: HttpAddress = Field(repr=False)
    secrets: SigningKeys = Field(alias="secret")
    allow_private: bool = False
