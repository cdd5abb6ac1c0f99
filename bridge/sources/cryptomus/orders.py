"""The user's orders, open and completed, as the venue's lists show them: states, and the fills inside them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from bridge.core.event import digest_of
from bridge.sources.base import Malformed
from bridge.sources.cryptomus.pages import PageLimits, Walked, walk
from bridge.sources.cryptomus.rows import Completed, Open, completed, open_order, rows_of
from bridge.sources.rest import Rest

OPEN_PATH = "/v2/user-api/exchange/orders"
COMPLETED_PATH = "/v2/user-api/exchange/orders/history"
_MARGIN = timedelta(seconds=1)
"""Rows of one second may stand in any order."""

SortedBy = Literal["finished", "created"]


class Row(NamedTuple):
    """A row of a list; None where it cannot be read."""

    row_id: str
    open: Open | None = None
    completed: Completed | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """What the two lists said. ``complete_from`` is proven for completed orders, None where nothing is.

    ``venue_now`` is the venue's clock before the first row was asked for.
    """

    open: tuple[Open, ...]
    completed: tuple[Completed, ...]
    complete_from: datetime | None
    venue_now: datetime | None
    malformed: int


@dataclass(slots=True)
class _Back:
    """How far back completed orders were read, and whether they come by the time of their end."""

    since: datetime
    by_end: bool
    oldest: datetime | None = None
    seen: set[str] = field(default_factory=set)

    def enough(self, page: list[Row]) -> bool:
        for row in page:
            if row.completed is None or row.row_id in self.seen:
                continue
            self.seen.add(row.row_id)
            ended_at = row.completed.ended_at
            if self.oldest is not None and ended_at > self.oldest + _MARGIN:
                self.by_end = False
            self.oldest = ended_at if self.oldest is None else min(self.oldest, ended_at)
        return self.by_end and self.oldest is not None and self.oldest < self.since - _MARGIN


class OrderLists:
    """Reads the lists. ``zone`` is the zone of the venue's texts, ``sorted_by`` its order of completed orders."""

    def __init__(
        self, rest: Rest, *, now: Callable[[], datetime], zone: ZoneInfo, sorted_by: SortedBy, limits: PageLimits
    ) -> None:
        self._rest = rest
        self._now = now
        self._zone = zone
        self._sorted_by = sorted_by
        self._limits = limits

    async def read(self, market: str | None, since: datetime) -> Orders:
        """Open orders first, then completed ones back to ``since``: one that ends between is in both, not in none.

        Raises KeyRefused, VenueError.
        """
        times: list[datetime | None] = []
        still_open = await self._walk(OPEN_PATH, market, lambda: lambda _page: False, times)
        backs: list[_Back] = []

        def begin() -> Callable[[list[Row]], bool]:
            backs.append(_Back(since, self._sorted_by == "finished"))
            return backs[-1].enough

        done = await self._walk(COMPLETED_PATH, market, begin, times)
        malformed = sum(row.open is None and row.completed is None for row in (*still_open.rows, *done.rows))
        return Orders(
            open=tuple(row.open for row in still_open.rows if row.open is not None),
            completed=tuple(row.completed for row in done.rows if row.completed is not None),
            complete_from=_complete_from(still_open, done, backs[-1], since) if not malformed else None,
            venue_now=times[0],
            malformed=malformed,
        )

    async def _walk(
        self,
        path: str,
        market: str | None,
        begin: Callable[[], Callable[[list[Row]], bool]],
        times: list[datetime | None],
    ) -> Walked[Row]:
        async def ask(offset: int, limit: int) -> list[Row]:
            params: dict[str, str | int] = {"limit": limit, "offset": offset}
            if market is not None:
                params["market"] = market
            answer = await self._rest.get(path, params)
            times.append(answer.venue_now)
            now = answer.venue_now or self._now()
            return [self._row(path, row, now) for row in rows_of(answer.body)]

        return await walk(ask, begin, self._limits)

    def _row(self, path: str, row: bytes, now: datetime) -> Row:
        try:
            if path == OPEN_PATH:
                still_open = open_order(row, self._zone, now)
                return Row(still_open.order_id, open=still_open)
            done = completed(row, self._zone)
            return Row(done.order_id, completed=done)
        except Malformed:
            return Row(digest_of(row).hex())


def _complete_from(still_open: Walked[Row], done: Walked[Row], back: _Back, since: datetime) -> datetime | None:
    """From when on every completed order was read; None where the lists prove nothing."""
    if not still_open.whole:
        return None
    if done.whole:
        return since
    return back.oldest + _MARGIN if back.by_end and back.oldest is not None else None
