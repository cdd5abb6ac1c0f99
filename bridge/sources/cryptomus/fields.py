"""What a single field of the venue may hold: bounded text, normal forms of decimals, and stamps of whole seconds.

Knows nothing of the frames and rows the fields stand in.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from bridge.sources.base import Malformed

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for what it does not read."""

TEXT_CHARS_MAX = 128
PAYLOAD_DEPTH_MAX = 128
"""Deeper nesting is refused here, so that nothing behind the door can be made to recurse without bound."""

_DIGITS_MAX = 60
_TEXT = re.compile(r"[!-~]{1,128}", re.ASCII)
_NESTING = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_FIRST_S = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
_LAST_S = int(datetime(2199, 12, 31, tzinfo=UTC).timestamp())
_WRITTEN = "%Y-%m-%d %H:%M:%S"


def text_of(value: str, name: str) -> str:
    """``value`` as visible ASCII of bounded length, as ids, symbols and words of the venue are. Raises Malformed."""
    if not _TEXT.fullmatch(value):
        raise Malformed(f"{name} is no short visible text")
    return value


def decimal_of(value: Decimal) -> str:
    """The normal form of a decimal: equal values are equal text, without exponent. Raises Malformed."""
    if not value.is_finite() or len(value.as_tuple().digits) > _DIGITS_MAX or abs(value.adjusted()) > _DIGITS_MAX:
        raise Malformed("a number is not finite, or out of bounds")
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def seconds_of(value: int) -> datetime:
    """The time of a stamp in whole seconds since 1970. Raises Malformed."""
    if not _FIRST_S <= value <= _LAST_S:
        raise Malformed("a stamp is no time in seconds")
    return datetime.fromtimestamp(value, UTC)


def written_of(value: int | str, zone: ZoneInfo) -> datetime:
    """The time that a list names: seconds since 1970, or text that means the time of ``zone``. Raises Malformed."""
    if isinstance(value, int):
        return seconds_of(value)
    try:
        moment = datetime.strptime(value, _WRITTEN).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Malformed("a time is not written as the venue writes it") from None
    return seconds_of(int(moment.timestamp()))


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
