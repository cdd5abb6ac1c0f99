"""The venue's lists, asked page by page within its quota. Rows come back as bytes, unread."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from bridge.clock import Clock
from bridge.core.errors import VenueError
from bridge.sources.poloniex_v1.paced import within
from bridge.sources.poloniex_v1.quota import Quota
from bridge.sources.poloniex_v1.values import UNREADABLE
from bridge.sources.rest import Rest

Params = Mapping[str, str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListLimits:
    """How the lists are asked. ``trades_max`` and ``recent_max``: how many rows the unpaged lists hold at most."""

    page_rows_max: int = 1000
    pages_max: int = 50
    trades_max: int = 100
    recent_max: int = 1000
    recent_hours: float = 24.0
    window_days: float = 7.0
    pull_numbers_max: int = 500
    slow_calls_max: int = 9
    slow_period_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one list, and what the venue's clock showed at the first answer, None where unknown."""

    rows: tuple[bytes, ...]
    venue_now: datetime | None


class _One(msgspec.Struct):
    data: msgspec.Raw


class _Many(msgspec.Struct):
    data: list[msgspec.Raw] | None = None


class _Pager(msgspec.Struct):
    items: list[msgspec.Raw]
    totalNum: int  # noqa: N815 (the venue's name)
    currentPage: Any = None  # noqa: N815 (the venue's name)


class _Paged(msgspec.Struct):
    data: _Pager


_decode_one = msgspec.json.Decoder(_One).decode
_decode_many = msgspec.json.Decoder(_Many).decode
_decode_paged = msgspec.json.Decoder(_Paged).decode


@dataclass(slots=True)
class Lists:
    """Asks for lists. Raises KeyRefused, VenueError."""

    rest: Rest
    clock: Clock
    limits: ListLimits
    _slow: Quota = field(init=False)

    def __post_init__(self) -> None:
        self._slow = Quota(self.limits.slow_calls_max, self.limits.slow_period_s)

    async def one(self, path: str, params: Params) -> tuple[bytes, datetime | None]:
        """The data of an answer that is one thing, and the venue's clock."""
        answer = await self.rest.get(path, params, urgent=True)
        try:
            data = bytes(_decode_one(answer.body).data)
        except UNREADABLE:
            raise VenueError("the venue's answer holds no data") from None
        return data, answer.venue_now

    async def rows(self, path: str, params: Params, *, urgent: bool = False) -> Rows:
        """A list that comes in one answer."""
        answer = await self.rest.get(path, params, urgent=urgent)
        try:
            listed = _decode_many(answer.body).data or []
        except UNREADABLE:
            raise VenueError("the venue's answer holds no list") from None
        return Rows(tuple(bytes(row) for row in listed), answer.venue_now)

    async def pages(self, path: str, params: Params, *, slow: bool = False) -> Rows:
        """A list that comes in pages, all of them. What does not add up to the venue's own total is no answer."""
        rows: dict[bytes, None] = {}
        venue_now: datetime | None = None
        for page in range(1, self.limits.pages_max + 1):
            if slow:
                await within(self._slow, self.clock)
            asked = {**params, "currentPage": page, "pageSize": self.limits.page_rows_max}
            answer = await self.rest.get(path, asked)
            try:
                pager = _decode_paged(answer.body).data
            except UNREADABLE:
                raise VenueError("the venue's answer holds no page") from None
            venue_now = venue_now or answer.venue_now
            before = len(rows)
            rows.update((bytes(row), None) for row in pager.items)
            if len(rows) >= pager.totalNum:
                return Rows(tuple(rows), venue_now)
            if len(rows) == before:
                raise VenueError("the venue's pages hold less than their total, or one came twice")
        raise VenueError("the venue has more pages than may be asked for")
