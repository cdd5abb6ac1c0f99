"""The verdict on a stream that the bridge numbers: its entries against what the venue assigned in the series.

Nothing here asks anybody anything. Every assigned event is held once, or lies in a ``gap`` entry that names it, or
was lost where nobody can notice; the order is that of the channel.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from bridge.core.event import Kind
from bridge.sim.consumer import Held
from bridge.sim.demo.series import Gap, SeriesRow, SeriesVerdict, Terms, ms_of

VENUE_KINDS = frozenset({Kind.EVENT, Kind.LATE, Kind.RECOVERED})

EXAMPLES_MAX = 3
WORDS: Mapping[str, str] = {
    "missing": "assigned by the venue, and neither delivered nor named by a gap",
    "told_missing": "told as missing although the venue still had them",
    "held_twice": "delivered more often than they were assigned",
    "unknown": "delivered and never assigned",
    "wrong_time": "delivered with another time than the venue's",
    "out_of_order": "delivered out of order",
}


def judge_series(
    stream: str, truth: Sequence[SeriesRow], held: Sequence[Held], terms: Terms, *, since_ms: float = 0.0
) -> SeriesVerdict:
    """Compare ``truth`` with what is ``held`` of ``stream``, both in their own order.

    A stream that is ordered by its connection is judged from the first thing that it holds, every other from
    ``since_ms`` (the venue's time) on.
    """
    known = _Known.of(truth)
    got = [entry for entry in held if entry.kind in VENUE_KINDS]
    contents = Counter(_content(entry, terms) for entry in got)
    gaps = [msgspec.json.decode(e.data, type=Gap) for e in held if e.kind is Kind.GAP and e.data is not None]
    absent = _absent(known, contents, _begun(known, got, terms, since_ms), gaps, terms)
    shifted = [] if terms.untimed else [entry for entry in got if _wrong_time(known, entry, terms)]
    named = {
        "missing": [row.id for row in absent.missing],
        "unknown": [content for content in contents if not known.knows(content)],
        "wrong_time": [f"{entry.id} at {entry.timestamp}" for entry in shifted],
    }
    found = {
        "missing": len(absent.missing),
        "told_missing": absent.unrepaired,
        "held_twice": _held_twice(known, contents, got),
        "unknown": sum(count for content, count in contents.items() if not known.knows(content)),
        "wrong_time": len(shifted),
        "out_of_order": _steps_back(known, got, terms),
    }
    return SeriesVerdict(
        stream=stream,
        assigned=sum(len(rows) for rows in known.assigned.values()),
        delivered=len(got),
        gaps=len(gaps),
        unnoticed=absent.unnoticed,
        examples=tuple(named["missing"][:EXAMPLES_MAX]),
        problems=tuple(_problem(stream, name, count, named.get(name, ())) for name, count in found.items() if count),
        **{**found, "told_missing": absent.told},
    )


def _problem(stream: str, name: str, count: int, examples: Sequence[str]) -> str:
    such = f", such as {', '.join(examples[:EXAMPLES_MAX])}" if examples else ""
    return f"{stream}: {count} {WORDS[name]}{such}"


@dataclass(slots=True)
class _Known:
    """The truth by id. ``assigned`` holds as many rows as an id was assigned for, ``optional`` what else was told.

    ``whole`` is the row that a piece belongs to.
    """

    assigned: dict[str, list[SeriesRow]] = field(default_factory=dict)
    optional: dict[str, SeriesRow] = field(default_factory=dict)
    whole: dict[str, SeriesRow] = field(default_factory=dict)
    number: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, truth: Iterable[SeriesRow]) -> "_Known":
        known = cls()
        for row in truth:
            if row.number is not None:
                known.number[row.id] = row.number
            if row.optional:
                known.optional[row.id] = row
            else:
                known.assigned.setdefault(row.id, []).append(row)
            for part_id, number in row.parts:
                known.whole[part_id] = row
                known.number[part_id] = number
        return known

    def rows(self, content: str) -> list[SeriesRow]:
        """What was assigned under the id, or else was told under it."""
        extra = self.optional.get(content)
        return self.assigned.get(content) or ([extra] if extra is not None else [])

    def knows(self, content: str) -> bool:
        return content in self.assigned or content in self.optional or content in self.whole

    def is_snapshot(self, event_id: str) -> bool:
        return event_id in self.optional and event_id not in self.assigned


@dataclass(slots=True)
class _Absent:
    missing: list[SeriesRow] = field(default_factory=list)
    told: int = 0
    unrepaired: int = 0
    unnoticed: int = 0


def _absent(known: _Known, contents: Counter[str], begun: "_Begun", gaps: Sequence[Gap], terms: Terms) -> _Absent:
    """What is not held although it should be, and why. Of twins, those with an excuse count as the absent ones."""
    numbers = frozenset(known.number[content] for content in contents if content in known.number)
    absent = _Absent()
    for content, rows in known.assigned.items():
        short = len(rows) - contents[content]
        if short <= 0 or _in_pieces(rows[0], contents):
            continue
        bare = []
        for row in rows:
            if begun.before(row):
                short -= 1
            elif any(gap.names(row, numbers) for gap in gaps):
                absent.told += short > 0
                absent.unrepaired += short > 0 and terms.repairs and terms.repaired in row.id
                short -= 1
            elif row.swallowed and terms.unnoticed:
                absent.unnoticed += short > 0
                short -= 1
            else:
                bare.append(row)
        absent.missing += bare[: max(0, short)]
    return absent


def _in_pieces(row: SeriesRow, contents: Counter[str]) -> bool:
    return bool(row.parts) and all(contents[part_id] for part_id, _ in row.parts)


@dataclass(frozen=True, slots=True)
class _Begun:
    """From where on a stream is judged."""

    number: int | None
    at_ms: float

    def before(self, row: SeriesRow) -> bool:
        if row.number is not None and self.number is not None:
            return row.number <= self.number and row.at_ms < self.at_ms  # the venue may count anew
        return row.at_ms < self.at_ms


def _begun(known: _Known, got: Sequence[Held], terms: Terms, since_ms: float) -> _Begun:
    """A stream that is ordered by its connection begins with a snapshot, which stands for all before it."""
    if not terms.in_session or not got:
        return _Begun(None, since_ms)
    first = got[0].id
    if known.is_snapshot(first):
        return _Begun(known.number.get(first), known.optional[first].at_ms + 1)
    return _Begun(None, since_ms)


def _content(entry: Held, terms: Terms) -> str:
    """The natural id; the n-th of twins is held as id#n."""
    return entry.id.rpartition("#")[0] or entry.id if terms.twins else entry.id


def _held_twice(known: _Known, contents: Counter[str], got: Sequence[Held]) -> int:
    """What is held more often than it was assigned, whole and in pieces, or twice under one id#n.

    Snapshots may come again.
    """
    often = sum(max(0, contents[content] - len(rows)) for content, rows in known.assigned.items())
    pieces = sum(max(0, contents[part] - 1) for part in known.whole if part not in known.assigned)
    both = sum(
        1
        for part, row in known.whole.items()
        if contents[part] and contents[row.id] and row.id not in known.whole  # one name for both tells them not apart
    )
    numbered = Counter(entry.id for entry in got if not known.knows(entry.id))
    return often + pieces + both + sum(count - 1 for count in numbered.values())


def _wrong_time(known: _Known, entry: Held, terms: Terms) -> bool:
    rows = known.assigned.get(_content(entry, terms), [])
    return bool(rows) and all(int(row.at_ms) != ms_of(entry.timestamp) for row in rows)


def _steps_back(known: _Known, got: Sequence[Held], terms: Terms) -> int:
    """Entries of the kind ``event`` that do not come behind the one before."""
    return _back_in_number(known, got) if terms.in_session else _back_in_time(known, got, terms)


def _back_in_number(known: _Known, got: Sequence[Held]) -> int:
    last, steps = None, 0
    for entry in got:
        number = known.number.get(entry.id)
        if number is None:
            continue
        steps += last is not None and number <= last and not known.is_snapshot(entry.id)
        last = number
    return steps


def _back_in_time(known: _Known, got: Sequence[Held], terms: Terms) -> int:
    last: tuple[float, str] = (0.0, "")
    steps = 0
    for entry in got:
        if entry.kind is not Kind.EVENT:
            continue
        at_ms = _time_of(known, entry, terms)
        steps += (at_ms, entry.id) <= last
        last = at_ms, entry.id
    return steps


def _time_of(known: _Known, entry: Held, terms: Terms) -> float:
    """The venue's time, finer than what the entry says; that of a listed state is when it was listed."""
    said_ms = ms_of(entry.timestamp)
    rows = [] if terms.untimed else known.rows(_content(entry, terms))
    return next((row.at_ms for row in rows if int(row.at_ms) == said_ms), float(said_ms))
