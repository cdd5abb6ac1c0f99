"""What a single field of the venue may hold: numbers are strict, text is bounded, absurd times are no times.

Knows nothing of the envelopes the fields stand in.
"""

import re
from datetime import UTC, datetime

from bridge.core.event import SEQUENCE_MAX
from bridge.sources.base import Malformed

TEXT_CHARS_MAX = 256
PAYLOAD_DEPTH_MAX = 128
"""Deeper nesting is refused here, so that nothing behind the door can be made to recurse without bound."""

_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
_NESTING = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_YEAR_FIRST, _YEAR_LAST = 2000, 2199
_MS_FIRST = datetime(_YEAR_FIRST, 1, 1, tzinfo=UTC).timestamp() * 1000
_MS_LAST = datetime(_YEAR_LAST, 12, 31, tzinfo=UTC).timestamp() * 1000


def sequence_of(value: object) -> int | None:
    """The number in ``value``: an integer, or text of digits only. None where there is none.

    Raises Malformed for everything else: a number that is guessed at would be a number that is wrong.
    """
    if value is None:
        return None
    if type(value) is str and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is int and 1 <= value <= SEQUENCE_MAX:
        return value
    raise Malformed("the sequence is no positive integer within bounds")


def text_of(value: object, name: str) -> str:
    """``value`` as bounded text that Postgres can hold; "" where there is none. Raises Malformed."""
    if value is None:
        return ""
    if type(value) is int:
        if abs(value) > SEQUENCE_MAX:
            raise Malformed(f"{name} is too long")
        return str(value)
    if type(value) is not str:
        raise Malformed(f"{name} is no text")
    if len(value) > TEXT_CHARS_MAX:
        raise Malformed(f"{name} is too long")
    if not value.isascii():
        _refuse_surrogates(value, name)
    if "\0" in value:
        raise Malformed(f"{name} holds a NUL")
    return value


def _refuse_surrogates(value: str, name: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Malformed(f"{name} is no Unicode text") from None


def time_of(value: object) -> datetime | None:
    """The venue's time in ``value``: ISO text, or milliseconds since 1970. None where it is absent or absurd."""
    if type(value) is str:
        try:
            moment = datetime.fromisoformat(value)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            return None
        return moment if _YEAR_FIRST <= moment.year <= _YEAR_LAST else None
    if (type(value) is int or type(value) is float) and _MS_FIRST <= value <= _MS_LAST:
        return datetime.fromtimestamp(value / 1000, UTC)
    return None


def payload_of(payload: bytes) -> bytes:
    """The payload's bytes as they came. Raises Malformed when they are no UTF-8 or nested too deep."""
    if not payload.isascii():
        try:
            payload.decode()
        except UnicodeDecodeError:
            raise Malformed("the payload is no UTF-8") from None
    if payload.count(b"{") + payload.count(b"[") > PAYLOAD_DEPTH_MAX and _depth(payload) > PAYLOAD_DEPTH_MAX:
        raise Malformed("the payload is nested too deep")
    return payload


def _depth(payload: bytes) -> int:
    depth = deepest = 0
    for token in _NESTING.finditer(payload):
        if token[0] in (b"{", b"["):
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in (b"}", b"]"):
            depth -= 1
    return deepest
