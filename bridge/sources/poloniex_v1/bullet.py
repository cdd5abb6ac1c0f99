"""The token that opens a connection, and what its answer says of where and how. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from bridge.sources.base import Malformed
from bridge.sources.poloniex_v1.values import UNREADABLE, whole
from bridge.sources.socket import SocketLimits

PUBLIC_PATH = "/api/v1/bullet-public"
PRIVATE_PATH = "/api/v1/bullet-private"
PING_INTERVAL_MIN_S = 1.0
TOKEN_CHARS_MAX = 4096


class _Server(msgspec.Struct):
    endpoint: str
    protocol: str = "websocket"
    pingInterval: Any = None  # noqa: N815 (the venue's name)
    pingTimeout: Any = None  # noqa: N815 (the venue's name)


class _Data(msgspec.Struct):
    token: str
    instanceServers: list[_Server]  # noqa: N815 (the venue's name)


class _Body(msgspec.Struct):
    data: _Data


@dataclass(frozen=True, slots=True, kw_only=True)
class Bullet:
    """One permission to connect. ``told_at``: what the venue's clock showed at least when it was given."""

    endpoint: str
    token: str = field(repr=False)
    ping_interval_s: float | None = None
    ping_timeout_s: float | None = None
    told_at: datetime | None = None

    def url(self, connect_id: str, *, private: bool) -> str:
        """Where to connect. The token holds signs that would mean something else in a URL."""
        query = {"token": self.token, "connectId": connect_id}
        if private:
            query["acceptUserMessage"] = "true"
        joint = "&" if "?" in self.endpoint else "?"
        return f"{self.endpoint}{joint}{urlencode(query, quote_via=quote)}"

    def bounded(self, limits: SocketLimits) -> SocketLimits:
        """``limits``, with the venue's own wishes for pings where they are stricter, within reason.

        A ping is sent at each interval, and whoever does not answer it within its timeout is dead.
        """
        interval_s, patience_s = limits.ping_interval_s, limits.pong_timeout_s
        if self.ping_interval_s is not None:
            interval_s = min(interval_s, max(self.ping_interval_s, min(interval_s, PING_INTERVAL_MIN_S)))
        if self.ping_timeout_s is not None:
            patience_s = min(patience_s, max(self.ping_timeout_s, min(patience_s, PING_INTERVAL_MIN_S)))
        return SocketLimits(
            ping_interval_s=interval_s,
            silence_s=interval_s + patience_s,
            acknowledge_timeout_s=limits.acknowledge_timeout_s,
            steady_s=limits.steady_s,
            backoff_first_s=limits.backoff_first_s,
            backoff_max_s=limits.backoff_max_s,
            refused_retry_s=limits.refused_retry_s,
        )


def read_bullet(
    body: bytes, *, told_at: datetime | None = None, encrypted: bool, endpoint: str | None = None
) -> Bullet:
    """The permission in the venue's answer. ``endpoint`` replaces the venue's. Raises Malformed.

    ``encrypted``: the answer came over TLS, and the token must not leave it.
    """
    try:
        data = msgspec.json.decode(body, type=_Body).data
    except UNREADABLE:
        raise Malformed("the answer holds no token") from None
    servers = [server for server in data.instanceServers if server.protocol == "websocket"]
    if not servers or not 0 < len(data.token) <= TOKEN_CHARS_MAX:
        raise Malformed("the answer holds no token and server")
    chosen = servers[0]
    where = endpoint or chosen.endpoint
    try:
        parts = urlsplit(where)
        usable = parts.scheme in (("wss",) if encrypted else ("ws", "wss")) and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise Malformed("the answer names no server that may be connected to")
    return Bullet(
        endpoint=where,
        token=data.token,
        ping_interval_s=_seconds(chosen.pingInterval),
        ping_timeout_s=_seconds(chosen.pingTimeout),
        told_at=told_at,
    )


def _seconds(milliseconds: object) -> float | None:
    number = whole(milliseconds)
    return None if number is None or number <= 0 else min(number, 86_400_000) / 1000
