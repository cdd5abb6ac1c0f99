"""What a single field of the venue may hold: bounded text, milliseconds, exact decimals, payloads of sane depth.

Knows nothing of the frames and rows the fields stand in.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

import msgspec

from bridge.sources.base import Malformed

TEXT_CHARS_MAX = 128
PAYLOAD_DEPTH_MAX = 64
"""Deeper nesting is refused here, so that nothing behind the door can be made to recurse without bound."""

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for bytes it does not read."""

_AMOUNT_DIGITS_MAX = 60
_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MS_FIRST = (datetime(2000, 1, 1, tzinfo=UTC) - _ORIGIN) // _MILLISECOND
_MS_LAST = (datetime(2200, 1, 1, tzinfo=UTC) - _ORIGIN) // _MILLISECOND
_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)


def text_of(value: object, name: str) -> str:
    """``value`` as bounded text, not empty, that a database can hold. Raises Malformed."""
    if type(value) is int:
        value = str(value)
    if type(value) is not str or not value:
        raise Malformed(f"{name} is no text")
    if len(value) > TEXT_CHARS_MAX or "\0" in value:
        raise Malformed(f"{name} is too long, or holds a NUL")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Malformed(f"{name} is no Unicode text") from None
    return value


def ms_of(value: object, name: str) -> int:
    """Milliseconds since 1970 in ``value``, an integer or text of digits. Raises Malformed."""
    if type(value) is str and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is int and _MS_FIRST <= value < _MS_LAST:
        return value
    raise Malformed(f"{name} is no time")


def moment(ms: int) -> datetime:
    """The aware UTC time of ``ms``, exactly."""
    return _ORIGIN + timedelta(milliseconds=ms)


def millis(time: datetime) -> int:
    """Whole milliseconds since 1970, rounded down."""
    return (time - _ORIGIN) // _MILLISECOND


def time_of(value: object, name: str) -> datetime:
    """The venue's time in ``value``. Raises Malformed."""
    return moment(ms_of(value, name))


def maybe_time(value: object) -> datetime | None:
    """The venue's time in ``value``, None where it is absent or absurd."""
    try:
        return time_of(value, "a time")
    except Malformed:
        return None


def amount_of(value: object, name: str) -> str:
    """One spelling for equal amounts, whatever their zeros: "1.50" and 1.5 are "1.5". Raises Malformed."""
    if value is None or value == "":
        return "0"
    if type(value) not in (str, int, float) or len(str(value)) > _AMOUNT_DIGITS_MAX:
        raise Malformed(f"{name} is no amount")
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise Malformed(f"{name} is no amount") from None
    if not amount.is_finite() or (amount and abs(amount.adjusted()) > _AMOUNT_DIGITS_MAX):
        raise Malformed(f"{name} is no amount")
    if not amount:
        return "0"
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def payload_of(payload: bytes) -> bytes:
    """The payload as it came. Raises Malformed when it is no UTF-8 or nested too deep."""
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
    for byte in _STRING.sub(b"", payload):
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest
