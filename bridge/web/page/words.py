"""How values are written on a page. All of it is text: the template escapes it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from bridge.core.duration import ago, seconds, until
from bridge.core.timeline import moment as micros_moment

DASH = "–"
BRIEF_CHARS_MAX = 500
DAY = timedelta(days=1)
UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0").union(
    chr(code) for codes in (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)) for code in codes
)
"""What counts as printable and shows nothing: fillers, joiners and variation selectors."""
URGENT_FROM = 0.8
"""The share of a gap's time from which on it is urgent; the alert of it says so too."""


def number(value: int | None) -> str:
    """A whole number in groups of three."""
    return DASH if value is None else f"{value:,}"


def moment(at: datetime | None) -> str:
    """A time in UTC, to the second."""
    return DASH if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def block(text: object) -> str:
    """Somebody else's text of several lines, likewise."""
    return "\n".join(plain(line) for line in str(text).split("\n"))


def short(at: datetime | None, now: datetime) -> str:
    """A time in UTC; with its day where it is not of the last one."""
    form = "%H:%M:%S" if at is not None and abs(now - at) < DAY else "%Y-%m-%d %H:%M:%S"
    return DASH if at is None else at.astimezone(UTC).strftime(form)


def stamp(at: datetime) -> str:
    """A time for a machine."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def segment(name: object) -> str:
    """A name as one segment of a path, whatever it holds."""
    return quote(str(name), safe="")


def plain(text: object) -> str:
    """Somebody else's text with what cannot be seen made visible: nothing in it turns or hides its neighbours."""
    return "".join(sign if sign.isprintable() and sign not in UNSEEN else _escaped(sign) for sign in str(text))


def _escaped(sign: str) -> str:
    code = ord(sign)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def brief(value: object) -> str:
    """Some structure on one line, cut where it becomes too long to read."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= BRIEF_CHARS_MAX else f"{text[: BRIEF_CHARS_MAX - 1]}…"


class Gap(Protocol):
    """What is said of a gap."""

    @property
    def axis(self) -> str: ...
    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def opened_at(self) -> datetime: ...
    @property
    def deadline_at(self) -> datetime | None: ...
    @property
    def withheld(self) -> str | None: ...
    @property
    def found(self) -> int: ...
    @property
    def lost(self) -> int: ...
    @property
    def healed_by(self) -> str | None: ...


def place(at: int, axis: str) -> str:
    """Where a gap begins or ends: a number, or a time."""
    return f"{at:,}" if axis == "sequence" else of_ms(at).strftime("%m-%d %H:%M:%S.%f")[:-3]


def of_ms(at: int) -> datetime:
    """The time that so many milliseconds since 1970 are."""
    return micros_moment(at * 1000)


def gap_size(gap: Gap) -> str:
    """How many numbers, or how long."""
    return f"{gap.last - gap.first + 1:,}" if gap.axis == "sequence" else seconds((gap.last - gap.first) / 1000)


def gap_level(gap: Gap, now: datetime) -> str:
    """How much it matters: an open gap the more, the more of its time is spent."""
    if gap.state != "open":
        return "bad" if gap.state == "lost" else "good"
    if gap.deadline_at is None or gap.deadline_at <= gap.opened_at:
        return "warn"
    spent = (now - gap.opened_at) / (gap.deadline_at - gap.opened_at)
    return "bad" if spent >= URGENT_FROM else "warn"


def gap_says(gap: Gap) -> str:
    """What is known of it beside its place."""
    if gap.state == "open":
        return "" if gap.withheld is None else f"not proven: {gap.withheld}"
    if gap.state == "superseded":
        return "a snapshot stands for it"
    unit = "lost" if gap.axis == "sequence" else "s lost"
    amount = gap.lost if gap.axis == "sequence" else gap.lost / 1000
    parts = [f"{gap.found:,} found" + (f" by {gap.healed_by}" if gap.healed_by else "")] if gap.found else []
    parts += [f"{amount:,g} {unit}"] if gap.lost else []
    return ", ".join(parts) or "nothing was missing"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "ago": ago,
    "block": block,
    "brief": brief,
    "gap_level": gap_level,
    "gap_says": gap_says,
    "gap_size": gap_size,
    "moment": moment,
    "number": number,
    "place": place,
    "plain": plain,
    "seconds": seconds,
    "segment": segment,
    "short": short,
    "stamp": stamp,
    "until": until,
}
