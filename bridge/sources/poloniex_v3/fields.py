"""What a single field of the venue may hold. Knows nothing of the rows the fields stand in."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bridge.core.event import SEQUENCE_MAX
from bridge.sources.base import Malformed

TEXT_CHARS_MAX = 128
DIGITS_MAX = 60
DEPTH_MAX = 64
"""Deeper nesting is refused here, so that nothing behind the door can be made to recurse without bound."""

_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]{0,40})(?:\.[0-9]{1,40})?", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,19}", re.ASCII)
_NESTING = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MS_FIRST = (datetime(2000, 1, 1, tzinfo=UTC) - _ORIGIN) // _MILLISECOND
_MS_LAST = (datetime(2200, 1, 1, tzinfo=UTC) - _ORIGIN) // _MILLISECOND

Number = int | str


def text_of(value: str, name: str) -> str:
    """``value`` as it is, where it is bounded text that a name may be made of. Raises Malformed."""
    if not value or len(value) > TEXT_CHARS_MAX or not value.isascii() or not value.isprintable():
        raise Malformed(f"{name} is no plain text")
    return value


def whole_of(value: Number, name: str) -> int:
    """The number in ``value``: an integer from 0 on, or text of its digits. Raises Malformed."""
    if type(value) is str and _WHOLE.fullmatch(value):
        value = int(value)
    if type(value) is int and 0 <= value <= SEQUENCE_MAX:
        return value
    raise Malformed(f"{name} is no whole number within bounds")


def ms_of(value: Number, name: str) -> int:
    """Milliseconds since 1970, within this age of the world. Raises Malformed."""
    ms = whole_of(value, name)
    if not _MS_FIRST <= ms < _MS_LAST:
        raise Malformed(f"{name} is no time of this age")
    return ms


def moment(ms: int) -> datetime:
    """Aware UTC."""
    return _ORIGIN + timedelta(milliseconds=ms)


def ms_at(time: datetime) -> int:
    """The whole milliseconds up to ``time``."""
    return (time - _ORIGIN) // _MILLISECOND


def normal(value: Decimal, name: str) -> str:
    """The one way to write a decimal: equal values are equal text. Raises Malformed."""
    text = str(value)
    if not _PLAIN.fullmatch(text):
        text = _plain(value, name)
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _plain(value: Decimal, name: str) -> str:
    """A decimal in another notation, without an exponent."""
    if not value.is_finite() or len(value.as_tuple().digits) > DIGITS_MAX or abs(value.adjusted()) > DIGITS_MAX:
        raise Malformed(f"{name} is no decimal within bounds")
    return f"{value:f}"


def sound(frame: bytes) -> bytes:
    """``frame`` as it came. Raises Malformed when it is no UTF-8 or nested too deep."""
    if not frame.isascii():
        try:
            frame.decode()
        except UnicodeDecodeError:
            raise Malformed("no UTF-8") from None
    if frame.count(b"{") + frame.count(b"[") > DEPTH_MAX and _depth(frame) > DEPTH_MAX:
        raise Malformed("nested too deep")
    return frame


def _depth(frame: bytes) -> int:
    depth = deepest = 0
    for token in _NESTING.finditer(frame):
        if token[0] in (b"{", b"["):
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in (b"}", b"]"):
            depth -= 1
    return deepest
