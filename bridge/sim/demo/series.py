"""What a verdict on a stream that the bridge numbers is made of: the truth's rows, a gap's words, what to expect."""

from dataclasses import dataclass
from datetime import datetime

import msgspec


class SeriesRow(msgspec.Struct, frozen=True):
    """One event of the truth, as ``GET /_sim/truth?series=`` tells it.

    ``previous`` and ``number`` stand where events are a chain. ``parts`` are the (id, number) of the pieces that a
    pull may bring in its stead. ``optional`` ones need not be held; ``swallowed`` ones were told to nobody.
    """

    id: str
    at_ms: float
    previous: int | None = None
    number: int | None = None
    parts: tuple[tuple[str, int], ...] = ()
    optional: bool = False
    swallowed: bool = False


class SeriesPage(msgspec.Struct, frozen=True):
    rows: list[SeriesRow]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What may be expected of a series, from its line of the channel table.

    ``in_session``: ordered by its connection, else by (venue time, id). ``twins``: equal events have one natural
    id, and the n-th is held as id#n. ``unnoticed``: some losses cannot be noticed by anybody. ``repairs``: the
    venue still has everything, so that nothing should be told as missing, or where ``repaired`` is not empty,
    nothing whose id holds that. ``untimed``: the venue tells no time.
    """

    in_session: bool = False
    twins: bool = False
    unnoticed: bool = False
    repairs: bool = False
    repaired: str = ""
    untimed: bool = False


class Gap(msgspec.Struct, frozen=True):
    """The data of a ``gap`` entry: between two times, and where there are numbers strictly between two of those.

    Times are told in whole milliseconds, rounded down, so that the last one still belongs to the gap.
    """

    reason: str
    from_: str | None = msgspec.field(default=None, name="from")
    to: str | None = None
    after: int | None = None
    before: int | None = None

    def names(self, row: SeriesRow, numbers: frozenset[int]) -> bool:
        """Whether ``row`` is said to be missing. ``numbers`` are those of what is held."""
        if row.number is not None and self._is_numbered:
            stood_for = row.number == self.before and row.number in numbers
            below = self.before is None or row.number < self.before or stood_for
            return below and (self.after is None or row.number > self.after)
        return self._spans(row)

    @property
    def _is_numbered(self) -> bool:
        """Whether its numbers are of one count. Where the venue counts anew, only the times say what is missing."""
        if self.after is None or self.before is None:
            return self.after is not None or self.before is not None
        return self.after <= self.before

    def _spans(self, row: SeriesRow) -> bool:
        begin = None if self.from_ is None else ms_of(self.from_)
        end = None if self.to is None else ms_of(self.to)
        at_ms = int(row.at_ms)
        return (begin is None or begin <= at_ms) and (end is None or at_ms <= end)


@dataclass(frozen=True, slots=True)
class SeriesVerdict:
    """``missing`` events are neither held nor named by a gap; ``told_missing`` ones are named; ``unnoticed`` ones
    were swallowed where nobody can notice. ``delivered`` counts what is held of the venue's.
    """

    stream: str
    assigned: int
    delivered: int
    gaps: int
    missing: int
    told_missing: int
    unnoticed: int
    held_twice: int
    unknown: int
    wrong_time: int
    out_of_order: int
    examples: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def good(self) -> bool:
        return not self.problems


def ms_of(text: str) -> int:
    """Milliseconds since 1970 of an ISO time with Z."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
