"""How the venue wants its requests and its private socket signed: HMAC-SHA256, in lower-case hexadecimal. Pure."""

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

_REALTIME = "GET/realtime"


def auth_frame(key: str, secret: str, *, expires_ms: int) -> str:
    """What opens the private socket; the venue refuses it from ``expires_ms`` of its own clock on."""
    args = [key, expires_ms, _signature(secret, f"{_REALTIME}{expires_ms}")]
    return msgspec.json.encode({"op": "auth", "args": args}).decode()


def request_headers(
    key: str, secret: str, *, method: str, target: str, body: bytes, timestamp_ms: int, recv_window_ms: int
) -> Mapping[str, str]:
    """The headers that sign one request. ``target`` is path and query exactly as they are sent."""
    content = urlsplit(target).query if method == "GET" else body.decode()
    return {
        "X-BAPI-API-KEY": key,
        "X-BAPI-TIMESTAMP": str(timestamp_ms),
        "X-BAPI-RECV-WINDOW": str(recv_window_ms),
        "X-BAPI-SIGN": _signature(secret, f"{timestamp_ms}{key}{recv_window_ms}{content}"),
    }


def _signature(secret: str, content: str) -> str:
    return hmac.digest(secret.encode(), content.encode(), "sha256").hex()
