"""The simulated venue's idea of a signature, written from the venue's words alone."""

import hashlib
import hmac

API_KEY = "sim-bybit-key"
API_SECRET = "sim-bybit-secret"  # noqa: S105 - the simulated venue gives it to everybody


def sign(secret: str, content: str) -> str:
    return hmac.new(secret.encode(), content.encode(), hashlib.sha256).hexdigest()


def socket_signature(secret: str, expires_ms: int) -> str:
    """What opens a private socket until ``expires_ms``."""
    return sign(secret, f"GET/realtime{expires_ms}")


def rest_signature(secret: str, key: str, stamp: str, window: str, query: str) -> str:
    """What the header of a question must hold."""
    return sign(secret, stamp + key + window + query)
