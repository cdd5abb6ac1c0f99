"""What the log says of a loss, in the words of a report."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from bridge.core.timeline import micros
from bridge.report.shape import LostRange
from bridge.store.losses import Loss

EVIDENCE_CHARS_MAX = 300


class _Told(msgspec.Struct, frozen=True):
    """The data of a ``gap`` entry: numbers, or times of the venue's, and how it is known."""

    first: int | None = None
    last: int | None = None
    since: datetime | None = msgspec.field(name="from", default=None)
    until: datetime | None = msgspec.field(name="to", default=None)
    after: int | None = None
    before: int | None = None
    evidence: dict[str, Any] = {}


def range_of(loss: Loss) -> LostRange:
    """The loss that an entry of the log tells of."""
    told = msgspec.json.decode(loss.data, type=_Told)
    if told.first is not None and told.last is not None:
        axis, first, last, lost = "sequence", told.first, told.last, told.last - told.first + 1
    else:
        first, last = _ms(told.since or told.until), _ms(told.until or told.since)
        axis, lost = "time", last - first
    between = {"after": told.after, "before": told.before}
    said = {name: value for name, value in between.items() if value is not None} | told.evidence
    return LostRange(loss.epoch, first, last, axis, lost, loss.appended_at, loss.position, _words(said))


def _words(evidence: Mapping[str, Any]) -> str:
    words = "; ".join(f"{name.replace('_', ' ')}: {_plain(value)}" for name, value in evidence.items())
    return words if len(words) <= EVIDENCE_CHARS_MAX else f"{words[: EVIDENCE_CHARS_MAX - 3]}..."


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _ms(moment: datetime | None) -> int:
    return 0 if moment is None else micros(moment) // 1_000
