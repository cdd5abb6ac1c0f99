"""The truth: every row of ours, in the order of its number, and what of it can be read at a time.

Rows are kept for ever, also when they have expired for readers; a reset of the counter opens a new
epoch, and the replay then knows the rows of the newest epoch only.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from operator import attrgetter

from bridge.sim.playbatman.row import Row


class Ledger:
    """Rows come in growing order of (epoch, sequence) and of ``assigned_at``."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._late: list[Row] = []
        self._epoch_from = 0

    def add(self, row: Row) -> None:
        self._rows.append(row)
        if row.visible_at > row.assigned_at:
            self._late.append(row)

    def open_epoch(self) -> None:
        """From here on readers see only what is added next."""
        self._epoch_from = len(self._rows)

    def rows(self) -> list[Row]:
        return list(self._rows)

    def after(self, ordinal: int, limit: int) -> list[Row]:
        """At most ``limit`` rows after the first ``ordinal`` ones, over all epochs."""
        return self._rows[ordinal : ordinal + limit]

    def uncommitted(self, now: datetime) -> int:
        """How many rows have a number and cannot be read yet."""
        self._late = [row for row in self._late if row.visible_at > now]
        return len(self._late)

    def __len__(self) -> int:
        return len(self._rows)

    def head(self) -> Row | None:
        """The newest row, committed or not."""
        return self._rows[-1] if self._rows else None

    def read(
        self, now: datetime, *, since: int | None, limit: int, event_type: str | None, market_id: str | None
    ) -> list[Row]:
        """What an honest replay answers at ``now``: committed, unexpired, above ``since``, ascending."""
        found = self._readable(now, since=since)
        if event_type is not None:
            found = (row for row in found if row.event_type == event_type)
        if market_id is not None:
            found = (row for row in found if row.market_id == market_id)
        return list(islice(found, limit))

    def _readable(self, now: datetime, *, since: int | None) -> Iterator[Row]:
        first = bisect_right(self._rows, now, lo=self._epoch_from, key=attrgetter("expires_at"))
        if since is not None:
            first = bisect_right(self._rows, since, lo=first, key=attrgetter("sequence"))
        rows = self._rows
        return (rows[at] for at in range(first, len(rows)) if rows[at].visible_at <= now)
