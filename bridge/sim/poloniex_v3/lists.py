"""The venue's REST lists: signed where they are ours, newest first, paged by the id of the last row."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from bridge.sim.market import Answer, Asked, Assigned, Market, Way
from bridge.sim.market.facts import Fill, Liquidation, OrderChange, Side, Status, Trade
from bridge.sim.poloniex_v3.present import Present
from bridge.sim.poloniex_v3.signing import API_KEY, API_SECRET, rest_signature
from bridge.sim.poloniex_v3.window import Window
from bridge.sim.poloniex_v3.words import (
    Row,
    account_row,
    at_ms,
    fill_row,
    liquidation_row,
    ms_of,
    order_told,
    trade_row,
)

TRADES_MAX = 1_000
TRADES_DEFAULT = 500
PAGE_MIN, PAGE_MAX = 10, 100
DEPTHS = (5, 10, 20, 100, 150)
AHEAD_MS_MAX = 1_000
WINDOW_MS = 5_000
CANCELLED_VISIBLE = timedelta(hours=4)
DEFAULT_WINDOW = timedelta(days=90)


class Lists:
    """The routes."""

    def __init__(self, market: Market, present: Present, windows: dict[str, Window]) -> None:
        self._market = market
        self._present = present
        self._windows = windows

    def ways(self) -> Sequence[Way]:
        public: dict[str, Callable[[Asked], Answer]] = {
            "market/trades": self._trades,
            "market/orderBook": self._book,
            "market/liquidationOrder": self._liquidations,
        }
        private: dict[str, Callable[[Asked], Answer]] = {
            "trade/order/trades": self._fills,
            "trade/order/opens": self._open_orders,
            "trade/order/history": self._orders,
            "trade/position/opens": self._positions,
            "account/balance": self._balance,
        }
        ways = [Way("GET", f"/v3/{path}", answer) for path, answer in public.items()]
        return [*ways, *(Way("GET", f"/v3/{path}", signed(answer)) for path, answer in private.items())]

    def _trades(self, asked: Asked) -> Answer:
        limit = asked.limit(_whole(asked, "limit", TRADES_DEFAULT, 1, TRADES_MAX))
        trades = self._market.history.between(
            Trade, None, asked.as_of, symbol=self._symbol(asked), newest_first=True, limit=limit
        )
        return listed([trade_row(trade) for trade in trades])

    def _book(self, asked: Asked) -> Answer:
        """Its ``ts`` is a time; nothing in it stands in the socket's chain."""
        depth = _whole(asked, "limit", 10, 5, DEPTHS[-1])
        window = self._windows[self._symbol(asked)]
        levels = {"asks": window.levels(Side.SELL, depth), "bids": window.levels(Side.BUY, depth)}
        return _answer({**levels, "s": asked.params.get("scale", ""), "ts": ms_of(asked.now)})

    def _liquidations(self, asked: Asked) -> Answer:
        limit = asked.limit(_whole(asked, "limit", PAGE_MAX, 1, PAGE_MAX))
        found = self._market.history.between(
            Liquidation, None, asked.as_of, symbol=self._symbol(asked), newest_first=True, limit=limit
        )
        return listed([liquidation_row(liquidation) for liquidation in found])

    def _fills(self, asked: Asked) -> Answer:
        since, until = _window(asked)
        fills = self._market.history.between(Fill, since, min(until, asked.as_of), newest_first=True)
        return _paged(asked, [fill_row(fill, self._present.order(fill.order_id)) for fill in fills], "id")

    def _open_orders(self, asked: Asked) -> Answer:
        return _paged(asked, self._order_rows(asked, final=False), "ordId")

    def _orders(self, asked: Asked) -> Answer:
        """The window means when an order was made, which the venue does not say."""
        since, until = _window(asked)
        rows = self._order_rows(asked, final=True)
        inside = [row for row in rows if since <= at_ms(int(str(row["cTime"]))) <= until]
        return _paged(asked, inside, "ordId")

    def _order_rows(self, asked: Asked, *, final: bool) -> list[Row]:
        """The last state of each order that is, or is not, over; those that were cancelled unfilled fade away."""
        latest = self._market.history.latest(OrderChange, asked.as_of)
        shown = [
            change
            for change in latest
            if change.status.final == final
            and (change.status is not Status.CANCELLED or change.filled or change.at > asked.now - CANCELLED_VISIBLE)
        ]
        rows = [order_told(change, self._present.order(change.order_id)).row for change in shown]
        return sorted(rows, key=lambda row: int(str(row["ordId"])), reverse=True)

    def _positions(self, asked: Asked) -> Answer:
        """Those that are open; nothing of what they were before."""
        told = [told for told in self._present.as_of("positions", asked.as_of) if told.row["qty"] != "0"]
        rows = [{name: value for name, value in one.row.items() if name != "oldQty"} for one in told]
        return listed(rows)._replace(told=tuple(("positions", _optional(one.item)) for one in told))

    def _balance(self, asked: Asked) -> Answer:
        told = self._present.as_of("account", asked.as_of)
        answer = _answer(account_row([one.row for one in told], ms_of(asked.now)))
        return answer._replace(told=tuple(("account", _optional(one.item)) for one in told))

    def _symbol(self, asked: Asked) -> str:
        symbol = asked.params.get("symbol", "")
        if symbol not in self._market.symbols:
            raise ValueError("Param error symbol")
        return symbol


def signed(answer: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
    """The route for those alone who have the key, and a clock that is about right."""

    def check(asked: Asked) -> Answer:
        stamp = asked.headers.get("signtimestamp", "")
        window_ms = int(asked.headers.get("recvwindow", str(WINDOW_MS)))
        if not stamp.isdigit() or int(stamp) - ms_of(asked.now) > AHEAD_MS_MAX:
            return refused(400, "Invalid signTimestamp")
        if ms_of(asked.now) - int(stamp) > window_ms:
            return refused(408, "Request timeout")
        expected = rest_signature(API_SECRET, asked.method, asked.path, asked.query, stamp)
        if asked.headers.get("key") != API_KEY or asked.headers.get("signature") != expected:
            return refused(401, "Authentication failed")
        return answer(asked)

    return check


def listed(rows: list[Row]) -> Answer:
    return _answer(rows)


def refused(status: int, text: str) -> Answer:
    return Answer(msgspec.json.encode({"code": status, "msg": text}), status)


def _answer(data: object) -> Answer:
    return Answer(msgspec.json.encode({"code": 200, "msg": "Success", "data": data}))


def _optional(item: Assigned) -> Assigned:
    return item._replace(optional=True)


def _whole(asked: Asked, name: str, default: int, least: int, most: int) -> int:
    text = asked.params.get(name, str(default))
    if not text.isdigit() or not least <= int(text) <= most:
        raise ValueError(f"Param error {name}")
    return int(text)


def _window(asked: Asked) -> tuple[datetime, datetime]:
    default = asked.now - DEFAULT_WINDOW
    since = at_ms(_whole(asked, "sTime", ms_of(default), 0, 10**14))
    return since, at_ms(_whole(asked, "eTime", ms_of(asked.now), 0, 10**14))


def _paged(asked: Asked, rows: list[Row], key: str) -> Answer:
    """``rows`` are newest first; a page goes on behind ``from``. One that goes in a circle ends where it began."""
    limit = asked.limit(_whole(asked, "limit", PAGE_MIN, PAGE_MIN, PAGE_MAX))
    start = asked.params.get("from")
    if start is None:
        return listed(rows[:limit])
    if asked.params.get("direct", "NEXT") == "PREV":
        newer = [row for row in rows if int(str(row[key])) > int(start)]
        return listed(newer[-limit:])
    if asked.looping:
        return listed([row for row in rows if int(str(row[key])) == int(start)])
    return listed([row for row in rows if int(str(row[key])) < int(start)][:limit])
