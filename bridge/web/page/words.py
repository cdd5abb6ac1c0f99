"""How values are written on a page. All of it is text: the template escapes it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from bridge.core.duration import ago, seconds, until

DASH = "–"
BRIEF_CHARS_MAX = 500


def number(value: int | None) -> str:
    """A whole number in groups of three."""
    return DASH if value is None else f"{value:,}"


def moment(at: datetime | None) -> str:
    """A time in UTC, to the second."""
    return DASH if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def stamp(at: datetime) -> str:
    """A time for a machine."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def segment(name: object) -> str:
    """A name as one segment of a path, whatever it holds."""
    return quote(str(name), safe="")


def plain(text: object) -> str:
    """Somebody else's text with what cannot be seen made visible: nothing in it turns or hides its neighbours."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in str(text))


def brief(value: object) -> str:
    """Some structure on one line, cut where it becomes too long to read."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= BRIEF_CHARS_MAX else f"{text[: BRIEF_CHARS_MAX - 1]}…"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "ago": ago,
    "brief": brief,
    "moment": moment,
    "number": number,
    "plain": plain,
    "seconds": seconds,
    "segment": segment,
    "stamp": stamp,
    "until": until,
}
