"""What the venue assigned, per series: what every consumer is judged by. No network here."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

TRUTH_MAX = 2_000_000


class Assigned(NamedTuple):
    """One event as the venue assigned it.

    ``event_id`` is EXACTLY the natural id that the adapter gives it; ``at`` is the venue's time in the resolution
    in which it is told. ``number`` and ``previous`` stand only where the events of the series are a chain: the
    event covers every number above ``previous`` up to ``number``. ``parts``: (id, number) of the pieces that a
    repair may bring in its stead, all together. ``optional`` ones need not be held, and may be held more than once:
    snapshots, present states, repeats.
    """

    event_id: str
    at: datetime
    previous: int | None = None
    number: int | None = None
    parts: tuple[tuple[str, int], ...] = ()
    optional: bool = False


class Row(NamedTuple):
    """One assigned event; ``swallowed`` when the wire was made to lose or to spoil it, for every listener."""

    assigned: Assigned
    swallowed: bool


class Truth:
    """Everything that was assigned, in the venue's order; ``forgotten`` counts what was too much to keep."""

    def __init__(self, *, kept_max: int = TRUTH_MAX) -> None:
        self._kept_max = kept_max
        self._rows: dict[str, list[Assigned]] = {}
        self._swallowed: set[int] = set()
        self._extra: dict[str, dict[str, Assigned]] = {}
        self._count = 0
        self.forgotten = 0

    def assign(self, series: str, items: Iterable[Assigned]) -> None:
        """These happened. Optional ones are kept once per id."""
        for item in items:
            if item.optional:
                self.tell(series, item)
            elif self._count >= self._kept_max:
                self.forgotten += 1
            else:
                self._count += 1
                self._rows.setdefault(series, []).append(item)

    def tell(self, series: str, item: Assigned) -> None:
        """This was told to somebody beside what happened: a consumer may hold it."""
        known = self._extra.setdefault(series, {})
        if item.event_id in known:
            return
        if self._count >= self._kept_max:
            self.forgotten += 1
            return
        self._count += 1
        known[item.event_id] = item._replace(optional=True)

    def swallow(self, items: Iterable[Assigned]) -> None:
        """The wire lost these, which are the very objects that were assigned."""
        self._swallowed.update(id(item) for item in items)

    def rows(self, series: str, after: int = 0, limit: int | None = None) -> list[Row]:
        """What was assigned in ``series``, without the first ``after``; then what else was told, by id once."""
        rows = self._rows.get(series, [])
        extra = self._extra.get(series, {})
        chosen = rows[after:] if limit is None else rows[after : after + limit]
        left = None if limit is None else limit - len(chosen)
        if extra and (left is None or left > 0):
            skipped = max(0, after - len(rows))
            chosen = chosen + list(extra.values())[skipped : None if left is None else skipped + left]
        return [Row(item, id(item) in self._swallowed) for item in chosen]

    def counts(self) -> dict[str, dict[str, int]]:
        """assigned, optional and swallowed, per series."""
        names = sorted({*self._rows, *self._extra})
        return {
            name: {
                "assigned": len(self._rows.get(name, [])),
                "optional": len(self._extra.get(name, {})),
                "swallowed": sum(1 for item in self._rows.get(name, []) if id(item) in self._swallowed),
            }
            for name in names
        }
