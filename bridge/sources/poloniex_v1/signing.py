"""How a request is signed. Pure: the time comes in as milliseconds."""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """An account's key. ``prefix`` begins the headers' names: ``PF`` here, ``KC`` at KuCoin.

    ``passphrase_hmac``: keys of version 2 and later send the passphrase as its HMAC.
    """

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    passphrase: str = field(repr=False)
    prefix: str = "PF"
    passphrase_hmac: bool = False


def signature(secret: str, timestamp_ms: int, method: str, target: str, body: bytes) -> str:
    """base64(HMAC-SHA256) over time, method, path with query, and body, exactly as they are sent."""
    return _hmac(secret, f"{timestamp_ms}{method}{target}".encode() + body)


def headers(keys: Keys, timestamp_ms: int, method: str, target: str, body: bytes) -> dict[str, str]:
    """The headers that sign one request."""
    signed = {
        f"{keys.prefix}-API-KEY": keys.api_key,
        f"{keys.prefix}-API-SIGN": signature(keys.api_secret, timestamp_ms, method, target, body),
        f"{keys.prefix}-API-TIMESTAMP": str(timestamp_ms),
        f"{keys.prefix}-API-PASSPHRASE": keys.passphrase,
    }
    if keys.passphrase_hmac:
        signed[f"{keys.prefix}-API-PASSPHRASE"] = _hmac(keys.api_secret, keys.passphrase.encode())
        signed[f"{keys.prefix}-API-KEY-VERSION"] = "2"
    return signed


def _hmac(secret: str, content: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), content, hashlib.sha256).digest()).decode()
