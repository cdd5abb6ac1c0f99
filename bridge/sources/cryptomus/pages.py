"""A list that is read from the newest row back, by offset, while new rows push the others on.

Each page begins a few rows before the last one's end. If none of those comes again the list has moved: begin anew.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from bridge.core.errors import VenueError

OVERLAP_ROWS = 5
RESTARTS_MAX = 3
BARREN_MAX = 2
"""So many pages in a row may bring nothing new: after them the list has ended, or goes in circles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLimits:
    """What the venue's offsets reach: ``rows_max`` of a page, and the largest offset."""

    rows_max: int = 100
    offset_max: int = 10_000


class Named(Protocol):
    """A row of a list, as far as paging knows it."""

    @property
    def row_id(self) -> str: ...


_Row = TypeVar("_Row", bound=Named)


class Walked(NamedTuple, Generic[_Row]):
    """Each row once, the newest first. ``whole`` if nothing older can be wanted."""

    rows: tuple[_Row, ...]
    whole: bool


class _Moved(Exception):
    """The next page does not join the last one."""


async def walk(
    ask: Callable[[int, int], Awaitable[list[_Row]]],
    begin: Callable[[], Callable[[list[_Row]], bool]],
    limits: PageLimits,
) -> Walked[_Row]:
    """Every row from the newest back to the page that is enough, or to the list's end.

    ``ask`` gives the rows of a page by offset and limit. ``begin`` gives what says, page by page, whether nothing
    older is wanted. Raises VenueError.
    """
    for _ in range(RESTARTS_MAX):
        try:
            return await _walk(ask, begin(), limits)
        except _Moved:
            continue
    raise VenueError("the venue's list moves faster than it can be read")


async def _walk(
    ask: Callable[[int, int], Awaitable[list[_Row]]], enough: Callable[[list[_Row]], bool], limits: PageLimits
) -> Walked[_Row]:
    rows: dict[str, _Row] = {}
    tail: set[str] = set()
    offset = reach = barren = 0
    while offset <= limits.offset_max:
        page = await ask(offset, limits.rows_max)
        if tail and not any(row.row_id in tail for row in page):
            raise _Moved
        fresh = [row for row in page if row.row_id not in rows]
        rows.update({row.row_id: row for row in fresh})
        # A page may be short for no reason: only an empty one is the end, or several that bring nothing new.
        if not page or enough(page):
            return Walked(tuple(rows.values()), whole=True)
        barren = 0 if fresh else barren + 1
        if barren > BARREN_MAX:
            if len(page) >= limits.rows_max:
                raise VenueError("the venue's list goes in circles")
            return Walked(tuple(rows.values()), whole=True)
        reach = max(reach, offset + len(page))
        overlap = min(OVERLAP_ROWS, len(page) - 1) if fresh else 0
        tail = {row.row_id for row in page[len(page) - overlap :]}
        offset = reach - overlap
    return Walked(tuple(rows.values()), whole=False)
