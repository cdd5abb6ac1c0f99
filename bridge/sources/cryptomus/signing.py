"""How a request to the venue is signed: MD5 over the body in base64, and the key. Pure.

The query is not signed, and a request without a body signs the empty text.
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime

USER_HEADER = "userId"
SIGN_HEADER = "sign"


def signature(body: bytes, api_key: str) -> str:
    """The venue's signature of exactly these bytes: 32 hexadecimal digits."""
    content = base64.b64encode(body) + api_key.encode()
    return hashlib.md5(content, usedforsecurity=False).hexdigest()  # the venue's choice, not ours


class RequestSigner:
    """Gives the headers of a user's requests."""

    def __init__(self, user_id: str, api_key: str) -> None:
        self._user_id = user_id
        self._api_key = api_key

    def __call__(self, method: str, target: str, body: bytes, now: datetime) -> Mapping[str, str]:
        return {USER_HEADER: self._user_id, SIGN_HEADER: signature(body, self._api_key)}
