"""The one account of the simulated venue, and how it checks what is signed with its key."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from bridge.sim.market import Asked
from bridge.sim.market.ids import ms_of

API_KEY = "sim-po1-key"
API_SECRET = "sim-po1-secret"  # noqa: S105 - a simulated venue has no secrets
PASSPHRASE = "sim-po1-passphrase"  # noqa: S105 - a simulated venue has no secrets
PREFIX = "pf-api-"
SKEW_MS_MAX = 5_000


def signature(secret: str, timestamp: str, method: str, target: str, body: bytes) -> str:
    content = f"{timestamp}{method}{target}".encode() + body
    return base64.b64encode(hmac.new(secret.encode(), content, hashlib.sha256).digest()).decode()


def refusal(asked: Asked) -> tuple[str, str] | None:
    """The code and the words for a call that is not signed as it must be; None where it is."""
    headers: Mapping[str, str] = asked.headers
    names = ("key", "sign", "timestamp", "passphrase")
    given = {name: headers.get(PREFIX + name, "") for name in names}
    if not all(given.values()):
        return "400001", "Please check the header of your request"
    if not _fresh(given["timestamp"], asked.now):
        return "400002", "PF-API-TIMESTAMP Invalid"
    if given["key"] != API_KEY:
        return "400003", "PF-API-KEY not exists"
    if given["passphrase"] != PASSPHRASE:
        return "400004", "Invalid PF-API-PASSPHRASE"
    if given["sign"] != signature(API_SECRET, given["timestamp"], asked.method, asked.target, asked.body):
        return "400005", "Invalid PF-API-SIGN"
    return None


def _fresh(timestamp: str, now: datetime) -> bool:
    return timestamp.isdigit() and abs(int(timestamp) - ms_of(now)) <= SKEW_MS_MAX
