"""Signing what the bridge sends, after Standard Webhooks: HMAC-SHA256 over ``id.timestamp.body``.

What venues sign is another matter: each of them does it in a way of its own.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence

SECRET_PREFIX = "whsec_"  # noqa: S105 - the mark in front of every secret, not one itself
SECRET_BYTES_MIN = 24
SECRET_BYTES_MAX = 64
TOLERANCE_S = 300
_TIMESTAMP_DIGITS_MAX = 12
_VERSION = "v1"


def decode_secret(text: str) -> bytes:
    """The key in ``whsec_<base64>`` (the prefix may be absent).

    Raises:
        ValueError: not base64, or not 24 to 64 bytes. The text never quotes the secret.
    """
    try:
        key = base64.b64decode(text.strip().removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"the secret is not {SECRET_PREFIX} followed by base64") from None
    if not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise ValueError(f"the secret holds {len(key)} bytes, not {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX}")
    return key


def encode_secret(key: bytes) -> str:
    """``key`` as people write it into a configuration."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


def sign(keys: Sequence[bytes], *, webhook_id: str, timestamp_s: int, body: bytes) -> str:
    """The ``webhook-signature`` header: one signature per key, separated by spaces."""
    content = f"{webhook_id}.{timestamp_s}.".encode() + body
    return " ".join([_signature(key, content) for key in keys])


def verify(
    keys: Sequence[bytes], *, webhook_id: str, timestamp: str, signatures: str, body: bytes, now_s: float
) -> bool:
    """Whether one of ``signatures`` is ours and ``timestamp`` (Unix seconds) lies within 300 s of ``now_s``."""
    if not _in_time(timestamp, now_s):
        return False
    content = f"{webhook_id}.{timestamp}.".encode() + body
    wanted = [_signature(key, content) for key in keys]
    given = [one.encode() for one in signatures.split(" ")]
    return any(hmac.compare_digest(ours.encode(), theirs) for ours in wanted for theirs in given)


def _in_time(timestamp: str, now_s: float) -> bool:
    readable = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _TIMESTAMP_DIGITS_MAX
    return readable and abs(now_s - int(timestamp)) <= TOLERANCE_S


def _signature(key: bytes, content: bytes) -> str:
    mac = hmac.digest(key, content, "sha256")
    return f"{_VERSION},{binascii.b2a_base64(mac, newline=False).decode()}"
