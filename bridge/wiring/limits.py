"""What is configured alike of every venue: how its lists are asked, and how its sockets are kept."""

from typing import Protocol

from bridge.sources.rest import RestLimits
from bridge.sources.socket import SocketLimits
from bridge.sources.wire import WireLimits

RESERVE_SHARE = 0.2
"""The share of a second's quota that is kept back for urgent reads, and for what opens a connection."""


class Asking(Protocol):
    """The part of a table ``rest`` or ``replay`` that all of them have."""

    @property
    def timeout_s(self) -> float: ...

    @property
    def backoff_first_s(self) -> float: ...

    @property
    def backoff_max_s(self) -> float: ...

    @property
    def retry_after_max_s(self) -> float: ...


class Listening(Protocol):
    """The part of a table ``ws`` that all of them have."""

    @property
    def ping_interval_s(self) -> float: ...

    @property
    def acknowledge_timeout_s(self) -> float: ...

    @property
    def connect_timeout_s(self) -> float: ...

    @property
    def backoff_first_s(self) -> float: ...

    @property
    def backoff_max_s(self) -> float: ...

    @property
    def frame_bytes_max(self) -> int: ...


def rest_limits(
    asking: Asking, *, requests_per_s: float, body_bytes_max: int, reserve_share: float = RESERVE_SHARE
) -> RestLimits:
    """How a venue's lists are asked."""
    return RestLimits(
        requests_per_s=requests_per_s,
        reserve=requests_per_s * reserve_share,
        timeout_s=asking.timeout_s,
        backoff_first_s=asking.backoff_first_s,
        backoff_max_s=asking.backoff_max_s,
        retry_after_max_s=asking.retry_after_max_s,
        body_bytes_max=body_bytes_max,
    )


def socket_limits(listening: Listening, *, silence_s: float, refused_retry_s: float) -> SocketLimits:
    """How a venue's sockets are kept. ``refused_retry_s``: when a refused key is tried again."""
    return SocketLimits(
        ping_interval_s=listening.ping_interval_s,
        silence_s=silence_s,
        acknowledge_timeout_s=listening.acknowledge_timeout_s,
        backoff_first_s=listening.backoff_first_s,
        backoff_max_s=listening.backoff_max_s,
        refused_retry_s=refused_retry_s,
    )


def wire_limits(listening: Listening) -> WireLimits:
    """What one connection of a venue may take."""
    return WireLimits(connect_timeout_s=listening.connect_timeout_s, frame_bytes_max=listening.frame_bytes_max)
