"""What the venue's lists still say of a channel: past events by time, or the present state that supersedes them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from bridge.core.channel import Channel, Told
from bridge.core.errors import VenueError
from bridge.core.event import Event
from bridge.sources.base import Malformed
from bridge.sources.cryptomus import rows
from bridge.sources.cryptomus.channels import ALL, topic_of
from bridge.sources.cryptomus.orders import OrderLists, Orders, SortedBy
from bridge.sources.cryptomus.pages import PageLimits
from bridge.sources.cryptomus.stamps import VenueTime
from bridge.sources.loud import Loud
from bridge.sources.market import Recalled
from bridge.sources.rest import Answer, Rest

BALANCE_PATH = "/v2/user-api/exchange/account/balance"
MARKETS_PATH = "/v2/user-api/exchange/markets"
TICKERS_PATH = "/v1/exchange/market/tickers"
TRADES_PATH = "/v1/exchange/market/trades/{}"
_SECOND = timedelta(seconds=1)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryOptions:
    """What the venue leaves unsaid of its lists. ``markets_max`` bounds the markets asked for a channel of all.

    ``patience_s``: how long a hole in the fills stays open for the sake of orders that are open still.
    """

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    sorted_by: SortedBy = "finished"
    pages: PageLimits = field(default_factory=PageLimits)
    markets_max: int = 200
    patience_s: float = 20.0


class History:
    """Asks the lists. ``time`` stands in where the venue's answer bears no time."""

    def __init__(self, rest: Rest, options: HistoryOptions, *, time: VenueTime, loud: Loud) -> None:
        self._rest = rest
        self._options = options
        self._time = time
        self._loud = loud
        self._orders = OrderLists(
            rest, now=time.now, zone=options.zone, sorted_by=options.sorted_by, limits=options.pages
        )

    async def recall(self, channel: Channel, since: datetime, until: datetime) -> Recalled:
        """See ``MarketSource.recall``. Raises KeyRefused, VenueError."""
        kind, what = topic_of(channel.topic)
        market = None if what == ALL else what
        match kind:
            case "trade":
                return await self._trades(channel, market, since)
            case "order":
                return self._states(channel, await self._read(market, since), since)
            case "deal":
                return self._fills(channel, await self._read(market, since), since, until)
            case "balance":
                return await self._present(
                    channel, BALANCE_PATH, market, lambda row, at: rows.balance(row, at, max(at, self._time.now()))
                )
            case "lastprice" | "ticker":
                return await self._present(channel, TICKERS_PATH, market, lambda row, now: rows.quote(row, kind, now))
            case _:
                return Recalled((), None)

    async def _read(self, market: str | None, since: datetime) -> Orders:
        read = await self._orders.read(market, since)
        if read.malformed:
            self._loud.say("rows.malformed", times=read.malformed)
        return read

    def _states(self, channel: Channel, read: Orders, since: datetime) -> Recalled:
        """Each order's newest state: the lists hold no others."""
        events = [*(order.state for order in read.completed), *(order.state for order in read.open)]
        return Recalled(_told(channel, events, since), read.complete_from, venue_now=read.venue_now)

    def _fills(self, channel: Channel, read: Orders, since: datetime, until: datetime) -> Recalled:
        """The fills of completed orders. While an order with fills is open, some of them are in no list."""
        ended = {order.order_id for order in read.completed}
        hidden = any(order.filled and order.created_at < until and order.order_id not in ended for order in read.open)
        now = read.venue_now or self._time.now()
        if hidden and now < until + timedelta(seconds=self._options.patience_s):
            raise VenueError("an order with fills is still open: its fills are in no list yet")
        events = [fill for order in read.completed for fill in order.fills]
        return Recalled(
            _told(channel, events, since), None if hidden else read.complete_from, venue_now=read.venue_now
        )

    async def _trades(self, channel: Channel, market: str | None, since: datetime) -> Recalled:
        if market is not None:
            return await self._trades_of(channel, market, since)
        answer = await self._rest.get(MARKETS_PATH, {})
        markets, malformed = self._each(rows.rows_of(answer.body), rows.market)
        if len(markets) > self._options.markets_max:
            raise VenueError("the venue has more markets than markets_max allows to ask")
        recalled = [await self._trades_of(channel, market, since) for market in markets]
        starts = [part.complete_from for part in recalled]
        proven = not malformed and None not in starts
        return Recalled(
            tuple(told for part in recalled for told in part.told),
            max((start for start in starts if start is not None), default=since) if proven else None,
            venue_now=answer.venue_now,
        )

    async def _trades_of(self, channel: Channel, market: str, since: datetime) -> Recalled:
        """The newest trades of one market. Of the oldest second that is listed, some may be cut off."""
        answer = await self._rest.get(TRADES_PATH.format(market), {})
        events, malformed = self._each(rows.rows_of(answer.body), lambda row: rows.trade(row, market))
        oldest = min((event.occurred_at for event in events if event.occurred_at is not None), default=None)
        start = since if oldest is None else max(since, oldest + _SECOND)
        told = _told(channel, events, since)
        return Recalled(told, None if malformed else start, venue_now=answer.venue_now)

    async def _present(
        self, channel: Channel, path: str, what: str | None, read: Callable[[bytes, datetime], Event]
    ) -> Recalled:
        answer: Answer = await self._rest.get(path, {})
        if answer.venue_now is not None:
            self._time.note(answer.venue_now)
        now = answer.venue_now or self._time.now()
        events, _ = self._each(rows.rows_of(answer.body), lambda row: read(row, now))
        told = tuple(Told(channel.series, event) for event in events if what in (None, event.key))
        return Recalled(told, None, superseding=True, venue_now=answer.venue_now)

    def _each(self, listed: list[bytes], read: Callable[[bytes], _T]) -> tuple[list[_T], int]:
        """What the rows say, and how many of them cannot be read."""
        said: list[_T] = []
        for row in listed:
            try:
                said.append(read(row))
            except Malformed:
                continue
        malformed = len(listed) - len(said)
        if malformed:
            self._loud.say("rows.malformed", times=malformed)
        return said, malformed


def _told(channel: Channel, events: Iterable[Event], since: datetime) -> tuple[Told, ...]:
    """What happened from ``since`` on; older rows say nothing that was asked for."""
    return tuple(
        Told(channel.series, event)
        for event in events
        if event.occurred_at is not None and event.occurred_at >= since
    )
