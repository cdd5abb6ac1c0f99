"""Takes JSON apart that the fast decoder refuses, so that one bad row costs no neighbour.

It also reads what the grammar allows and the fast decoder does not: the escape of half a surrogate pair, which
a venue's encoder writes when it cuts a text in the middle of a sign. Slow, and only for that.
"""

import json
import re
from typing import NoReturn

from bridge.sources.base import Malformed

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]', re.DOTALL)
_KEY = re.compile(rb'\s*("(?:[^"\\]++|\\.)*+")\s*:', re.DOTALL)
_BLANK = b" \t\r\n"


def items(text: bytes) -> list[bytes]:
    """What stands between the commas of the outermost array or object. Raises Malformed when it never ends."""
    found: list[bytes] = []
    depth = start = 0
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign in (b"{", b"["):
            depth += 1
            if depth == 1:
                start = token.end()
        elif depth == 1 and sign in (b",", b"}", b"]"):
            found.append(text[start : token.start()].strip(_BLANK))
            start = token.end()
            if sign != b",":
                return [item for item in found if item]
        elif sign in (b"}", b"]"):
            depth -= 1
    raise Malformed("the JSON does not end")


def members(text: bytes) -> dict[str, bytes]:
    """The members of an object, each value as its bytes. Raises Malformed when it is no object."""
    if not text.lstrip(_BLANK).startswith(b"{"):
        raise Malformed("no JSON object")
    found: dict[str, bytes] = {}
    for item in items(text):
        key = _KEY.match(item)
        if key is None:
            raise Malformed("an object's member has no name")
        found[str(value_of(key[1]))] = item[key.end() :].strip(_BLANK)
    return found


def value_of(text: bytes) -> object:
    """The value of one JSON text; its numbers stay text unless the whole is an integer. Raises Malformed."""
    try:
        whole = json.loads(text.decode(), parse_constant=_refuse, parse_int=_Digits, parse_float=float)
        return int(whole) if type(whole) is _Digits and len(whole) <= 20 else whole
    except (ValueError, RecursionError):
        raise Malformed("malformed JSON") from None


class _Digits(str):
    """An integer not yet converted: text of any length costs nothing until it is wanted."""

    __slots__ = ()


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("no JSON number")
