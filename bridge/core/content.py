"""Whether two tellings of one number say the same: compared as parsed values, not as bytes."""

import hashlib
import json
from decimal import Decimal
from typing import Any, NamedTuple


class Content(NamedTuple):
    """What a telling says. Empty ``type`` or ``key`` means that its transport did not carry the field."""

    type: str
    key: str
    payload: bytes


def same_content(one: Content, other: Content) -> bool:
    """True if nothing that both tellings carry differs; spacing and the notation of numbers do not count."""
    return (
        _agree(one.type, other.type)
        and _agree(one.key, other.key)
        and (one.payload == other.payload or _parsed(one.payload) == _parsed(other.payload))
    )


def content_digest(content: Content) -> bytes:
    """SHA-256 of the content as parsed values: equal for tellings that differ in spacing only."""
    canonical = json.dumps([content.type, content.key, _parsed(content.payload)], sort_keys=True)
    return hashlib.sha256(canonical.encode()).digest()


def _agree(one: str, other: str) -> bool:
    return not one or not other or one == other


def _parsed(payload: bytes) -> Any:
    """The payload as values that compare as JSON does: 1 equals 1.0, but neither equals true or "1"."""
    try:
        return _comparable(json.loads(payload, parse_float=Decimal))
    except (ValueError, RecursionError):
        return payload.decode("utf-8", "backslashreplace")


def _comparable(value: Any) -> Any:
    match value:
        case dict():
            return {name: _comparable(member) for name, member in value.items()}
        case list():
            return [_comparable(member) for member in value]
        case str():
            return f"text:{value}"
        case bool() | None:
            return value
        case _:
            return f"number:{_exact(Decimal(value))}"


def _exact(number: Decimal) -> str:
    """One spelling per value, whatever its precision (``normalize`` would round to the context's)."""
    sign, digits, exponent = number.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    significant = text.rstrip("0")
    if not significant or not isinstance(exponent, int):
        return "0" if not significant else str(number)
    return f"{'-' if sign else ''}{significant}e{exponent + len(text) - len(significant)}"
