"""The table ``[alerts]``: what a person is told of unasked, from when on, and on which channels."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from bridge.config.shapes import DAY_S, Count, Seconds, Secret, Shape, Text, check_url

_ADDRESS = re.compile(r"[^\s@<>,;:\"\\()\[\]]{1,64}@[A-Za-z0-9.-]{1,253}")
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
RESERVED = "log"
"""The channel that is always there."""

RuleName = Literal[
    "gap_open",
    "gap_deadline",
    "loss",
    "late",
    "conflict",
    "audit",
    "unmatched",
    "frozen",
    "silent",
    "stopped",
    "lagging",
    "expiring",
    "database",
]
SeverityName = Literal["warning", "critical"]
Percent = Annotated[float, Field(gt=0, le=100)]


def _address(address: str) -> str:
    if not address.isascii() or not _ADDRESS.fullmatch(address):
        raise ValueError("is not a plain e-mail address")
    return address


def _as_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _webhook(url: SecretStr) -> SecretStr:
    check_url(url.get_secret_value(), ("http", "https"))
    return url


Address = Annotated[str, AfterValidator(_address)]
Addresses = Annotated[tuple[Address, ...], BeforeValidator(_as_many), Field(min_length=1, max_length=50)]
WebhookAddress = Annotated[SecretStr, AfterValidator(_webhook)]


class Slack(Shape):
    """The table ``[alerts.channels.NAME]`` of a webhook as Slack takes it. Whoever knows the URL may write there."""

    type: Literal["slack"] = "slack"
    name: Text
    severity: SeverityName = "warning"
    url: WebhookAddress
    allow_private: bool = False
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if not self.allow_private and not self.url.get_secret_value().lower().startswith("https://"):
            raise ValueError("url must start with https:// where allow_private is not set")
        return self


class Email(Shape):
    """The table ``[alerts.channels.NAME]`` of e-mail. ``tls`` from the first byte, ``starttls``, or none at all."""

    type: Literal["email"] = "email"
    name: Text
    severity: SeverityName = "warning"
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: Text | None = Field(default=None, repr=False)
    password: Secret | None = None
    sender: Address = Field(alias="from", repr=False)
    to: Addresses = Field(repr=False)
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 30.0

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.password is not None and self.tls == "none":
            raise ValueError('a password is not sent in the clear: tls must not be "none"')
        return self

    @property
    def port_used(self) -> int:
        """The port, or the usual one for the way of ``tls``."""
        return self.port or _PORTS[self.tls]


Channel = Slack | Email
CHANNELS: Mapping[str, type[Channel]] = MappingProxyType({"slack": Slack, "email": Email})


class Alerts(Shape):
    """The table ``[alerts]``. Times say from when on something needs a person; docs/alerts.md has the rules."""

    enabled: bool = True
    every_s: Annotated[float, Field(ge=1, le=3_600)] = 15.0
    send_every_s: Annotated[float, Field(ge=0.5, le=60)] = 2.0
    gap_open_s: Seconds = 300.0
    gap_warning_percent: Percent = 50.0
    gap_critical_percent: Percent = 80.0
    unmatched_s: Seconds = 1_800.0
    silent_s: Seconds = 900.0
    silent_sources_s: Annotated[Mapping[str, Seconds], AfterValidator(MappingProxyType)] = Field(
        default_factory=dict, validate_default=True
    )
    lagging_s: Seconds = 300.0
    expiring_percent: Percent = 80.0
    database_bytes_max: Count | None = None
    resolve_s: Annotated[float, Field(ge=0, le=DAY_S)] = 60.0
    quiet_s: Annotated[float, Field(gt=0, le=DAY_S)] = 900.0
    repeat_s: Annotated[float, Field(ge=0, le=DAY_S)] = 300.0
    notices_per_minute_max: Annotated[int, Field(ge=1, le=1_000)] = 20
    give_up_s: Annotated[float, Field(ge=60, le=30 * DAY_S)] = 86_400.0
    off: tuple[RuleName, ...] = ()
    channels: Annotated[Mapping[str, Channel], AfterValidator(MappingProxyType)] = Field(
        default_factory=dict, validate_default=True
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.gap_warning_percent > self.gap_critical_percent:
            raise ValueError("gap_warning_percent is larger than gap_critical_percent")
        return self
