"""The venue's lists: what each says of a stretch of time, and from when on its word is complete."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from bridge.core.channel import Channel, Told
from bridge.core.errors import VenueError
from bridge.sources.base import Malformed
from bridge.sources.market import Recalled
from bridge.sources.poloniex_v3.answers import rows_in
from bridge.sources.poloniex_v3.channels import split
from bridge.sources.poloniex_v3.fields import Number, moment, ms_at
from bridge.sources.poloniex_v3.jumps import Jumps
from bridge.sources.poloniex_v3.rows import UNREADABLE, Item, items_of
from bridge.sources.rest import Rest

TRADES_PATH = "/v3/market/trades"
FILLS_PATH = "/v3/trade/order/trades"
OPEN_ORDERS_PATH = "/v3/trade/order/opens"
ORDERS_PATH = "/v3/trade/order/history"
POSITIONS_PATH = "/v3/trade/position/opens"
BALANCE_PATH = "/v3/account/balance"
MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLimits:
    """What is asked at once and at most. ``order_lookback_s``: how much older than its last change an order may be.

    ``direction`` is the venue's word for going on behind the last row of a page. ``short_asks_max``: how often the
    newest trades are asked for while the answer is short.
    """

    trades_max: int = 1_000
    short_asks_max: int = 3
    page_max: int = 100
    rows_max: int = 20_000
    retention_s: float = 90 * 86_400.0
    cancelled_visible_s: float = 4 * 3_600.0
    order_lookback_s: float = 7 * 86_400.0
    direction: str = "NEXT"


class _Page(msgspec.Struct):
    """The part of a row that pages go by. Orders are listed without an id of their own."""

    id: Number | None = None
    ordId: Number | None = None  # noqa: N815 (the venue's name)


@dataclass(slots=True)
class _List:
    """What was read of a list so far."""

    items: list[Item] = field(default_factory=list)
    malformed: bool = False
    full: bool = False
    rows: int = 0
    venue_now: datetime | None = None

    def take(self, word: str, rows: list[bytes], symbol: str = "") -> list[Item]:
        """Add the rows of one answer; returns what they are."""
        self.rows += len(rows)
        taken: list[Item] = []
        for row in rows:
            try:
                taken += items_of(word, row, symbol=symbol)
            except Malformed:
                self.malformed = True
        self.items += taken
        return taken


_decode_page = msgspec.json.Decoder(_Page).decode


class History:
    """Asks the lists of one account. ``private`` signs, ``public`` need not; ``jumps`` learns how ids are counted."""

    def __init__(
        self,
        public: Rest,
        private: Rest | None,
        *,
        now: Callable[[], datetime],
        limits: HistoryLimits | None = None,
        jumps: Jumps | None = None,
    ) -> None:
        self._public = public
        self._private = private
        self._now = now
        self._limits = limits or HistoryLimits()
        self._jumps = jumps

    async def recall(self, channel: Channel, since: datetime, until: datetime) -> Recalled:
        """What the venue's lists say of the channel; nothing for a channel without a list. Raises VenueError."""
        word, symbol = split(channel.topic)
        match word:
            case "trades":
                return await self._trades(channel.series, symbol, since)
            case "trade":
                return await self._fills(channel.series, since, until)
            case "orders":
                return await self._orders(channel.series, since, until)
            case "positions":
                return await self._present(channel.series, word, POSITIONS_PATH)
            case "account":
                return await self._present(channel.series, word, BALANCE_PATH)
            case _:
                return Recalled((), None)

    async def try_key(self) -> None:
        """Ask for something that needs the key. Raises KeyRefused, VenueError."""
        await self._signed.get(BALANCE_PATH, {})

    async def _trades(self, series: str, symbol: str, since: datetime) -> Recalled:
        """The newest trades. Those of the oldest millisecond in the answer may have been cut off.

        An answer with fewer rows than it may have is all there is, or short by mistake: it is asked for anew, and
        counts as all there is when it always begins with the same row.
        """
        read, oldest = _List(), set[tuple[datetime, str]]()
        for _ in range(self._limits.short_asks_max):
            answer = await self._public.get(TRADES_PATH, {"symbol": symbol, "limit": self._limits.trades_max})
            rows = rows_in(answer.body)
            read.venue_now = read.venue_now or answer.venue_now
            items = read.take("trades", rows, symbol)
            if self._jumps is not None:
                self._jumps.listed(series, [item.number for item in items if item.number is not None])
            oldest.add(min(((_time(item), item.event.event_id) for item in items), default=(since, "")))
            if len(rows) >= self._limits.trades_max or min(oldest)[0] < since:
                return _recalled(series, read, max(since, min(oldest)[0] + MS))
        return _recalled(series, read, since if len(oldest) == 1 else min(oldest)[0] + MS)

    async def _fills(self, series: str, since: datetime, until: datetime) -> Recalled:
        read = _List()
        window = {"sTime": ms_at(since), "eTime": ms_at(until) + 1}
        await self._pages(FILLS_PATH, window, "trade", read)
        return _recalled(series, read, self._proven(read, since, self._limits.retention_s))

    async def _orders(self, series: str, since: datetime, until: datetime) -> Recalled:
        """The orders that changed since then. Open ones first: an order that ends meanwhile is in both lists.

        The states before an order's last one are nowhere listed, so nothing is proven up to its last change. The
        venue does not say which time of an order its window means, so it is asked for orders that are older.
        """
        read = _List()
        await self._pages(OPEN_ORDERS_PATH, {}, "orders", read)
        window = {
            "sTime": ms_at(since - timedelta(seconds=self._limits.order_lookback_s)),
            "eTime": ms_at(until) + 1,
        }
        await self._pages(ORDERS_PATH, window, "orders", read)
        proven = self._proven(read, since, self._limits.cancelled_visible_s)
        read.items = [item for item in read.items if _time(item) >= since]
        hiding = [_time(item) + MS for item in read.items if _hides(item, until)]
        return _recalled(series, read, None if proven is None else max([proven, *hiding]))

    async def _present(self, series: str, word: str, path: str) -> Recalled:
        answer = await self._signed.get(path, {})
        read = _List(venue_now=answer.venue_now)
        read.take(word, rows_in(answer.body))
        if read.malformed:
            raise VenueError("the venue's list holds rows that cannot be read")
        told = _told(series, read.items)
        return Recalled(told, answer.venue_now or self._now(), superseding=True, venue_now=answer.venue_now)

    async def _pages(self, path: str, window: Mapping[str, str | int], word: str, read: _List) -> None:
        """Page by page until one is empty: a short page may be short by mistake."""
        seen: set[str] = set()
        cursor: str | None = None
        while True:
            params: dict[str, str | int] = {**window, "limit": self._limits.page_max}
            if cursor is not None:
                params |= {"from": cursor, "direct": self._limits.direction}
            answer = await self._signed.get(path, params)
            read.venue_now = read.venue_now or answer.venue_now
            rows = rows_in(answer.body)
            if not rows:
                return
            cursor = _cursor(rows[-1])
            if cursor in seen:
                raise VenueError("the venue's list goes round in a circle")
            seen.add(cursor)
            read.take(word, rows)
            if read.rows >= self._limits.rows_max:
                read.full = True
                return

    @property
    def _signed(self) -> Rest:
        if self._private is None:
            raise VenueError("this list needs a key, and none is configured")
        return self._private

    def _proven(self, read: _List, since: datetime, retention_s: float) -> datetime | None:
        """From when on the list is complete: no further back than the venue keeps, nor than was read of it."""
        kept = (read.venue_now or self._now()) - timedelta(seconds=retention_s)
        if not read.full:
            return max(since, kept)
        newest = max((_time(item) for item in read.items), default=None)
        oldest = min((_time(item) for item in read.items), default=None)
        if oldest is None or oldest == newest:
            return None
        return max(since, kept, oldest + MS)


def _cursor(row: bytes) -> str:
    try:
        page = _decode_page(row)
    except UNREADABLE:
        raise VenueError("the venue's list cannot be read on") from None
    value = page.id if page.id is not None else page.ordId
    if value is None:
        raise VenueError("the venue's list cannot be read on")
    return str(value)


def _time(item: Item) -> datetime:
    return item.event.occurred_at or moment(0)


def _hides(item: Item, until: datetime) -> bool:
    """Whether an order may have been in another state before ``until`` than the one it is in here."""
    if item.born_ms is None:
        return True
    born = moment(item.born_ms)
    return born < until and born != item.event.occurred_at


def _told(series: str, items: list[Item]) -> tuple[Told, ...]:
    """Each row once: what two lists, or two pages, both hold is one event."""
    once = {item.event.event_id: item for item in items}
    return tuple(Told(series, item.event, item.link, item.step) for item in once.values())


def _recalled(series: str, read: _List, complete_from: datetime | None) -> Recalled:
    """A list with rows that cannot be read proves nothing."""
    return Recalled(_told(series, read.items), None if read.malformed else complete_from, venue_now=read.venue_now)
