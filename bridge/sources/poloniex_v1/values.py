"""What a single field of the venue may hold. Knows nothing of frames."""

import re
from datetime import UTC, datetime, timedelta

import msgspec

from bridge.core.event import SEQUENCE_MAX, digest_of
from bridge.sources.base import Malformed

IDENT_CHARS_MAX = 128
PAYLOAD_DEPTH_MAX = 128
"""Deeper nesting is refused, so that nothing behind the door can be made to recurse without bound."""

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for JSON it does not read."""

_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)
_MS_FIRST, _US_FIRST, _NS_FIRST = 10**11, 10**14, 10**17
_NS_END = 7 * 10**18  # in the year 2191
_NESTING = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)


def whole(value: object) -> int | None:
    """A whole number, given as one or as digits; None where there is none."""
    if type(value) is int:
        return value
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    return None


def stamp(value: object) -> datetime | None:
    """A time in milli-, micro- or nanoseconds since 1970, told apart by size; None where absent or absurd.

    Never through a float: a nanosecond stamp would not survive it. What is below a microsecond is cut off.
    """
    number = whole(value)
    if number is None or not _MS_FIRST <= number < _NS_END:
        return None
    if number >= _NS_FIRST:
        return _ORIGIN + timedelta(microseconds=number // 1000)
    return _ORIGIN + timedelta(microseconds=number if number >= _US_FIRST else number * 1000)


def first_stamp(*values: object) -> datetime | None:
    """The first of ``values`` that is a time."""
    for value in values:
        if value is not None and (at := stamp(value)) is not None:
            return at
    return None


def ident(value: object, name: str) -> str:
    """``value`` as an id: printable ASCII, bounded. Raises Malformed."""
    if type(value) is int:
        value = str(value)
    if type(value) is not str or not 0 < len(value) <= IDENT_CHARS_MAX:
        raise Malformed(f"{name} is no text of bounded length")
    if not value.isascii() or not value.isprintable():
        raise Malformed(f"{name} holds what no id holds")
    return value


def sequence(value: object) -> int:
    """A number of a chain. Raises Malformed: a number that is guessed at would be a number that is wrong."""
    number = whole(value)
    if number is None or not 0 <= number <= SEQUENCE_MAX:
        raise Malformed("the sequence is no whole number within bounds")
    return number


def owned(payload: bytes) -> bytes:
    """The payload as it came. Raises Malformed when it is no UTF-8 or nested too deep."""
    if not payload.isascii():
        try:
            payload.decode()
        except UnicodeDecodeError:
            raise Malformed("the payload is no UTF-8") from None
    if payload.count(b"{") + payload.count(b"[") > PAYLOAD_DEPTH_MAX and _depth(payload) > PAYLOAD_DEPTH_MAX:
        raise Malformed("the payload is nested too deep")
    return payload


def print_of(payload: bytes) -> str:
    """Sixteen hex digits that stand for the content, where the venue gives no id."""
    return digest_of(payload).hex()[:16]


def _depth(payload: bytes) -> int:
    depth = deepest = 0
    for token in _NESTING.finditer(payload):
        if token[0] in (b"{", b"["):
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in (b"}", b"]"):
            depth -= 1
    return deepest
