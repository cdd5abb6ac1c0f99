"""How a request and a socket's first frame are signed. Pure."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

import msgspec

from bridge.sources.poloniex_v3.fields import TEXT_CHARS_MAX

SOCKET_PATH = "/ws"
"""Signed for the socket whatever its address is."""


def authentication(key: str, secret: str, at_ms: int) -> str:
    """The frame that opens a private socket."""
    params = {
        "key": key,
        "signTimestamp": at_ms,
        "signature": _signature(secret, f"GET\n{SOCKET_PATH}\nsignTimestamp={at_ms}"),
        "signatureMethod": "HmacSHA256",
        "signatureVersion": "2",
    }
    return msgspec.json.encode({"event": "subscribe", "channel": ["auth"], "params": params}).decode()


def headers(
    key: str, secret: str, method: str, target: str, body: bytes, at_ms: int, *, window_ms: int | None = None
) -> Mapping[str, str]:
    """The headers that sign a request for ``target``, which is path and query exactly as they are sent."""
    path, _, query = target.partition("?")
    if body:
        params = f"requestBody={body.decode()}&signTimestamp={at_ms}"
    else:
        pairs = [pair for pair in query.split("&") if pair]
        params = "&".join(sorted([*pairs, f"signTimestamp={at_ms}"], key=_name_of))
    signed = {
        "key": key,
        "signTimestamp": str(at_ms),
        "signatureMethod": "hmacSHA256",
        "signatureVersion": "2",
        "signature": _signature(secret, f"{method}\n{path}\n{params}"),
    }
    return signed if window_ms is None else {**signed, "recvWindow": str(window_ms)}


def _name_of(pair: str) -> str:
    return pair.partition("=")[0][:TEXT_CHARS_MAX]


def _signature(secret: str, content: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), content.encode(), hashlib.sha256).digest()).decode()
