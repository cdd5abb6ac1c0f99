"""What a reader keeps to go on with: where it is in a log, and which log that was. For readers it is opaque."""

import base64
import binascii
import struct
from typing import NamedTuple

_FORM = struct.Struct(">BIQ16s")
_VERSION = 1
_MARK_BYTES = 16
POSITION_MAX = 2**63 - 1


class Token(NamedTuple):
    """The stream, the last position that was read, and the beginning of the chain value there."""

    stream_id: int
    position: int
    mark: bytes

    @classmethod
    def of(cls, stream_id: int, position: int, chain: bytes) -> "Token":
        return cls(stream_id, position, chain[:_MARK_BYTES])

    @classmethod
    def read(cls, text: str) -> "Token | None":
        """The token that was written so; None for what was never given out."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            version, stream_id, position, mark = _FORM.unpack(raw)
        except (struct.error, binascii.Error, ValueError):
            return None
        token = cls(stream_id, position, mark)
        return token if version == _VERSION and position <= POSITION_MAX and token.text() == text else None

    def text(self) -> str:
        """The token as it is given out: letters, digits, ``-`` and ``_``."""
        raw = _FORM.pack(_VERSION, self.stream_id, self.position, self.mark)
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def is_at(self, chain: bytes | None) -> bool:
        """Whether ``chain`` is the value that the token was made with."""
        return chain is not None and chain[:_MARK_BYTES] == self.mark
