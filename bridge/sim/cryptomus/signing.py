"""How the venue checks who asks: an MD5 over the body in base64 and the key. And how it signs payments."""

import base64
import hashlib
import json
from collections.abc import Mapping

from bridge.sim.market import Asked

USER_ID = "3f1d7c52-0000-4000-8000-0000000000c1"
API_KEY = "sim-cryptomus-key-not-a-secret"
PAYMENT_KEY = "sim-cryptomus-payments-not-a-secret"


def sign(body: bytes, key: str) -> str:
    return hashlib.md5(base64.b64encode(body) + key.encode(), usedforsecurity=False).hexdigest()


def is_ours(asked: Asked) -> bool:
    """Whether the request bears our user and the signature of its body."""
    return asked.headers.get("userid") == USER_ID and asked.headers.get("sign") == sign(asked.body, API_KEY)


def callback(content: Mapping[str, object], key: str = PAYMENT_KEY) -> bytes:
    """A payment's callback as a PHP venue writes and signs it: slashes escaped, letters as they are."""

    def written(values: Mapping[str, object]) -> bytes:
        return json.dumps(values, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/").encode()

    return written({**content, "sign": sign(written(content), key)})
