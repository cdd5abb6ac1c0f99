"""How this venue signs a webhook: one profile out of those that the documentation leaves open."""

import base64
import hmac
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """HMAC-SHA256 over ``content``, where {body} and {timestamp} stand for what is sent."""

    header: str = "X-Webhook-Signature"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    content: Literal["{body}", "{timestamp}.{body}"] = "{body}"
    key: Literal["utf8", "hex"] = "utf8"

    def signature(self, body: bytes, *, secret: str, timestamp_s: int) -> str:
        """The header's value for one attempt at ``timestamp_s`` (Unix seconds)."""
        key = bytes.fromhex(secret) if self.key == "hex" else secret.encode()
        signed = body if self.content == "{body}" else b"%d.%b" % (timestamp_s, body)
        digest = hmac.digest(key, signed, "sha256")
        return self.prefix + (digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode())
