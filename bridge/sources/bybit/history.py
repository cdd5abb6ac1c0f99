"""What the venue's lists of past events say of a channel, and from where on it is proven that they say everything."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from bridge.sources.bybit import items
from bridge.sources.bybit.channels import Topic
from bridge.sources.bybit.lists import Lists
from bridge.sources.bybit.reach import KEPT, UNFILLED_KEPT, Reach, windows
from bridge.sources.bybit.rows import MILLISECOND, Rows
from bridge.sources.bybit.values import millis, moment
from bridge.sources.market import Recalled

TRADES_MAX = {"spot": 60}
OTHER_TRADES_MAX = 1_000
CANDLES_MAX = 1_000
EXECUTIONS_PAGE = 100
ORDERS_PAGE = 50
_CANDLE_MAX = timedelta(days=31)

Asked = tuple[str, dict[str, str | int]]


class History:
    """The lists of one source."""

    def __init__(self, lists: Lists, reach: Reach) -> None:
        self._lists = lists
        self._reach = reach

    async def trades(self, topic: Topic) -> Recalled:
        """The newest public trades: there is no way to ask for others."""
        category = self._reach.category
        by = "baseCoin" if category == "option" else "symbol"
        limit = TRADES_MAX.get(category, OTHER_TRADES_MAX)
        rows = Rows(self._reach.rows_max)
        listing = await self._lists.page(
            "/v5/market/recent-trade", {"category": category, by: topic.key, "limit": limit}
        )
        rows.note(listing.venue_now)
        rows.take(listing.rows, partial(items.trade, topic, row=True))
        return rows.recalled(rows.after_oldest)

    async def executions(self, topic: Topic, since: datetime, until: datetime) -> Recalled:
        """Fills, by the windows the list takes, the newest first."""
        since = max(self._reach.earlier(since), until - KEPT)
        only = {"execType": "Trade"} if topic.kind.word == "execution.fast" else {}
        rows = Rows(self._reach.rows_max)
        proven = since
        for category in self._reach.of(topic):
            for start_ms, end_ms in windows(since, until):
                span: dict[str, str | int] = {"startTime": start_ms, "endTime": end_ms, **only}
                part = Rows(self._reach.rows_max - rows.count)
                pages = self._lists.pages(
                    "/v5/execution/list", {"category": category, "limit": EXECUTIONS_PAGE, **span}
                )
                whole = await part.fill(pages, partial(items.execution, topic, category=category))
                rows.join(part)
                if not whole:
                    proven = max(proven, part.after_oldest or moment(end_ms))
                    break
        return rows.recalled(proven)

    async def orders(self, topic: Topic, since: datetime, until: datetime) -> Recalled:
        """The last state of every order that changed: open, ended lately, or longer ago.

        The states before that one are nowhere listed, so nothing is proven up to an order's last change.
        """
        since = max(self._reach.earlier(since), until - KEPT)
        rows = Rows(self._reach.rows_max)
        whole = True
        for path, params in self._order_lists(topic, since, until):
            pages = self._lists.pages(path, {**params, "limit": ORDERS_PAGE})
            whole &= await rows.fill(pages, partial(items.order, topic))
        rows.keep(lambda at: at >= since)
        if not whole:
            return rows.recalled(None)
        proven = max(since, (rows.venue_now or until) - UNFILLED_KEPT)
        for told in rows.told.values():
            changed_at = told.event.occurred_at
            if changed_at is not None and items.changed_before(told.event.payload, until):
                proven = max(proven, changed_at + MILLISECOND)  # another state may share its last millisecond
        return rows.recalled(proven)

    def _order_lists(self, topic: Topic, since: datetime, until: datetime) -> Iterator[Asked]:
        born = since - timedelta(seconds=self._reach.order_lookback_s)
        for category in self._reach.of(topic):
            ended = 2 if category == "inverse" else 1
            for coin in self._reach.coins(category):
                for only in (0, ended):
                    yield "/v5/order/realtime", {"category": category, "openOnly": only, **coin}
            # Last, so that an order which ends meanwhile is in one of them.
            for start_ms, end_ms in windows(born, until):
                yield "/v5/order/history", {"category": category, "startTime": start_ms, "endTime": end_ms}

    async def candles(self, topic: Topic, since: datetime, until: datetime) -> Recalled:
        """Closed candles."""
        asked: dict[str, str | int] = {"start": millis(since - _CANDLE_MAX), "end": millis(until)}
        listing = await self._lists.page(
            "/v5/market/kline",
            {
                "category": self._reach.category,
                "symbol": topic.key,
                "interval": topic.interval,
                "limit": CANDLES_MAX,
                **asked,
            },
        )
        rows = Rows(self._reach.rows_max)
        rows.note(listing.venue_now)
        rows.take(listing.rows, partial(items.candle_row, topic))
        proven = rows.after_oldest or since
        now = listing.venue_now or until
        rows.keep(lambda at: since <= at <= now)
        return rows.recalled(max(since, proven) if len(listing.rows) >= CANDLES_MAX else since)
