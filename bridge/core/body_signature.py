"""Deliveries whose signature is a member of the body itself, as payment callbacks in the PHP world have it. Pure.

What is signed is the body without that member. It is cut out of the bytes as they came: whoever reads the JSON and
writes it again would escape slashes and letters in another way, and hash something that nobody signed.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from bridge.core.signature import Headers

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},:]', re.DOTALL)
_SIGNATURE = re.compile(rb'\s*"([0-9a-fA-F]{32})"\s*')


class Cut(NamedTuple):
    """A member's value as its bytes, and the body without the member."""

    value: bytes
    rest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BodySignature:
    """MD5 over the rest of the body in base64, and one of ``keys``; written as hexadecimal digits in ``member``."""

    keys: tuple[str, ...] = field(repr=False)
    member: str = "sign"

    def verify(self, headers: Headers, body: bytes, now: datetime) -> bool:
        """True if ``body`` was signed with one of the keys, an empty one aside; headers and time are not signed.

        Takes the same time whichever key matches. A signature that is absent, unreadable or there twice is no match.
        """
        cut = cut_member(body, self.member)
        given = _SIGNATURE.fullmatch(cut.value) if cut is not None else None
        if cut is None or given is None:
            return False
        content = base64.b64encode(cut.rest)
        genuine = False
        for key in self.keys:
            expected = hashlib.md5(content + key.encode("utf-8", "replace"), usedforsecurity=False)
            genuine |= bool(key) & hmac.compare_digest(expected.hexdigest().encode(), given[1].lower())
        return genuine


def cut_member(body: bytes, name: str) -> Cut | None:
    """Member ``name`` of the outermost object, and the body as if it had never been there.

    None where the body is no object that ends, or does not hold the member exactly once.
    """
    tokens = _outermost(body)
    wanted = b'"%b"' % name.encode()
    found = [at for at in range(1, len(tokens) - 1) if tokens[at][0] == wanted and tokens[at - 1][0] in (b"{", b",")]
    if len(found) != 1 or tokens[found[0] + 1][0] != b":":
        return None
    at = found[0]
    before, colon = tokens[at - 1], tokens[at + 1]
    after = next(token for token in tokens[at + 2 :] if token[0] in (b",", b"}"))
    value = body[colon.end() : after.start()]
    if before[0] == b",":
        return Cut(value, body[: before.start()] + body[after.start() :])
    return Cut(value, body[: before.end()] + body[after.end() if after[0] == b"," else after.start() :])


def _outermost(body: bytes) -> list[re.Match[bytes]]:
    """The tokens of the one object that ``body`` is, without what is nested in it; none where it is no such thing."""
    found: list[re.Match[bytes]] = []
    depth = 0
    for token in _TOKEN.finditer(body):
        sign = token[0]
        depth -= sign in (b"}", b"]")
        if depth == 0 and found:
            return [*found, token] if sign == b"}" and not body[token.end() :].strip() else []
        if depth == 0 and (sign != b"{" or body[: token.start()].strip()):
            return []
        if depth <= 1 and sign not in (b"[", b"]"):
            found.append(token)
        depth += sign in (b"{", b"[")
    return []
