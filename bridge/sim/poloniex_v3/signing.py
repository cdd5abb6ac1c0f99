"""The simulated venue's idea of a signature, written from the venue's words alone."""

import base64
import hashlib
import hmac
from urllib.parse import parse_qsl, urlencode

API_KEY = "sim-poloniex-v3-key"
API_SECRET = "sim-poloniex-v3-secret"  # noqa: S105 - the simulated venue gives it to everybody


def sign(secret: str, content: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), content.encode(), hashlib.sha256).digest()).decode()


def socket_signature(secret: str, stamp: str) -> str:
    """What the first frame of a private socket must hold."""
    return sign(secret, f"GET\n/ws\nsignTimestamp={stamp}")


def rest_signature(secret: str, method: str, path: str, query: str, stamp: str) -> str:
    """What the header of a question must hold."""
    params = {**dict(parse_qsl(query, keep_blank_values=True)), "signTimestamp": stamp}
    return sign(secret, f"{method}\n{path}\n{urlencode(sorted(params.items()))}")
