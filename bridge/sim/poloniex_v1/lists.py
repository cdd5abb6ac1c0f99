"""The venue's REST side: tokens, books, and lists of what happened, within its own limits."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime

import msgspec

from bridge.sim.market import Answer, Asked, Assigned, Market, Way
from bridge.sim.market.facts import BalanceChange, Fill, OrderChange, PositionChange, Trade
from bridge.sim.market.ids import ms_of
from bridge.sim.poloniex_v1 import signing
from bridge.sim.poloniex_v1.tokens import Tokens
from bridge.sim.poloniex_v1.words import (
    Row,
    book_row,
    change_of,
    fill_row,
    order_row,
    print_of,
    ticker_told,
    trade_row,
)

TRADES_MAX = 100
RECENT_MAX = 1_000
PAGE_MAX = 1_000
PULL_MAX = 500
DAY = timedelta(days=1)
WINDOW_MAX = timedelta(days=7)


class Lists:
    """Answers calls. ``pings`` are the two times, in milliseconds, that come with a token."""

    def __init__(self, market: Market, tokens: Tokens, *, pings: tuple[int, int]) -> None:
        self._market = market
        self._tokens = tokens
        self._pings = pings

    def ways(self) -> Sequence[Way]:
        public: Mapping[str, Callable[[Asked], Answer]] = {
            "/api/v1/timestamp": lambda asked: success(ms_of(asked.now)),
            "/api/v1/level2/snapshot": self._snapshot,
            "/api/v1/level2/message/query": self._pull,
            "/api/v1/trade/history": self._trades,
            "/api/v1/ticker": self._ticker,
        }
        private: Mapping[str, Callable[[Asked], Answer]] = {
            "/api/v1/fills": self._fills,
            "/api/v1/recentFills": self._recent_fills,
            "/api/v1/orders": self._orders,
            "/api/v1/recentDoneOrders": self._recent_orders,
            "/api/v1/account-overview": self._overview,
            "/api/v1/position": self._position,
        }
        return [
            Way("POST", "/api/v1/bullet-public", lambda asked: self._bullet(asked, private=False)),
            Way("POST", "/api/v1/bullet-private", _signed(lambda asked: self._bullet(asked, private=True))),
            *(Way("GET", path, answer) for path, answer in public.items()),
            *(Way("GET", path, _signed(answer)) for path, answer in private.items()),
        ]

    def _bullet(self, asked: Asked, *, private: bool) -> Answer:
        server: Row = {
            "pingInterval": self._pings[0],
            "endpoint": f"ws://{asked.host}/endpoint",
            "protocol": "websocket",
            "encrypt": False,
            "pingTimeout": self._pings[1],
        }
        return success({"instanceServers": [server], "token": self._tokens.give(asked.now, private=private)})

    # What everybody may ask.

    def _snapshot(self, asked: Asked) -> Answer:
        symbol = asked.params.get("symbol", "")
        if symbol not in self._market.symbols:
            return failure("404000", "symbol not exists")
        book = self._market.book(symbol)
        item = Assigned(f"snapshot:{book.number}", book.at, number=book.number, optional=True)
        row = {"symbol": symbol, "sequence": book.number, **book_row(book)}
        return success(row)._replace(told=((f"level2.{symbol}", item),))

    def _pull(self, asked: Asked) -> Answer:
        symbol, first, last = asked.params.get("symbol", ""), _number(asked, "start"), _number(asked, "end")
        if first is None or last is None or not 0 <= last - first < PULL_MAX:
            return failure("200001", "The range of start and end is out of limit")
        rows = [
            {"symbol": symbol, "sequence": level.number, "change": change_of(level)}
            for change in self._market.history.numbered(symbol, first, last)
            if change.at <= asked.as_of
            for level in change.levels
            if first <= level.number <= last
        ]
        return success(rows[: asked.limit(len(rows))])

    def _trades(self, asked: Asked) -> Answer:
        symbol = asked.params.get("symbol", "")
        trades = self._market.history.between(
            Trade, None, asked.as_of, symbol=symbol, newest_first=True, limit=asked.limit(TRADES_MAX)
        )
        return success([trade_row(trade) for trade in trades])

    def _ticker(self, asked: Asked) -> Answer:
        symbol = asked.params.get("symbol", "")
        last = self._market.history.between(Trade, None, asked.as_of, symbol=symbol, newest_first=True, limit=1)
        if not last:
            return failure("404000", "no trade yet")
        book = self._market.book(symbol, depth=1)
        told = ticker_told(last[0], book.bids[0], book.asks[0])
        optional = ((f"ticker.{symbol}", told.item._replace(optional=True)),)
        return success(msgspec.Raw(told.data))._replace(told=optional)

    # What only we may ask.

    def _fills(self, asked: Asked) -> Answer:
        now_ms = ms_of(asked.now)
        start, end = _number(asked, "startAt"), _number(asked, "endAt")
        if start is None:
            start = (now_ms if end is None else end) - DAY // timedelta(milliseconds=1)
        end = start + DAY // timedelta(milliseconds=1) if end is None else end
        if end - start > WINDOW_MAX // timedelta(milliseconds=1):
            return failure("400100", "the window is larger than seven days")
        found = [
            fill_row(fill)
            for fill in self._market.history.between(Fill, None, asked.as_of, symbol=asked.params.get("symbol"))
            if start <= ms_of(fill.at) <= end
        ]
        return paged(asked, found[::-1])

    def _recent_fills(self, asked: Asked) -> Answer:
        symbol = asked.params.get("symbol")
        fills = self._market.history.between(
            Fill, asked.now - DAY, asked.as_of, symbol=symbol, newest_first=True, limit=asked.limit(RECENT_MAX)
        )
        return success([fill_row(fill) for fill in fills])

    def _orders(self, asked: Asked) -> Answer:
        active = asked.params.get("status", "done") == "active"
        orders = [order for order in self._latest(asked) if order.status.final is not active]
        return paged(asked, [order_row(order) for order in reversed(orders)])

    def _recent_orders(self, asked: Asked) -> Answer:
        ended = [order for order in self._latest(asked) if order.status.final and order.at > asked.now - DAY]
        return success([order_row(order) for order in ended[::-1][: asked.limit(RECENT_MAX)]])

    def _latest(self, asked: Asked) -> list[OrderChange]:
        return self._market.history.latest(OrderChange, asked.as_of, symbol=asked.params.get("symbol"))

    def _overview(self, asked: Asked) -> Answer:
        currency = asked.params.get("currency", "")
        known = self._market.history.latest(BalanceChange, asked.as_of, symbol=currency)
        balance = float(known[-1].new) if known else 0.0
        data = msgspec.json.encode({"accountEquity": balance, "availableBalance": balance, "currency": currency})
        at = asked.now.replace(microsecond=0)  # the answer says its time in its header only
        item = Assigned(f"overview:{currency}:{int(at.timestamp())}:{print_of(data)}", at, optional=True)
        headers = {"Date": format_datetime(at, usegmt=True)}
        return success(msgspec.Raw(data))._replace(headers=headers, told=(("wallet", item),))

    def _position(self, asked: Asked) -> Answer:
        symbol = asked.params.get("symbol", "")
        known = self._market.history.latest(PositionChange, asked.as_of, symbol=symbol)
        row: Row = {"symbol": symbol, "currentQty": 0, "currentTimestamp": ms_of(asked.now)}
        if known:
            row |= {"currentQty": int(known[-1].new), "avgEntryPrice": float(known[-1].entry_price)}
        data = msgspec.json.encode(row)
        item = Assigned(f"snapshot:{print_of(data)}", _ms(asked.now), optional=True)
        return success(msgspec.Raw(data))._replace(told=((f"position.{symbol}", item),))


def success(data: object) -> Answer:
    return Answer(msgspec.json.encode({"code": "200000", "data": data}))


def failure(code: str, text: str, status: int = 200) -> Answer:
    return Answer(msgspec.json.encode({"code": code, "msg": text}), status)


def paged(asked: Asked, rows: list[Row]) -> Answer:
    """One page of ``rows``. A venue that loops gives the first one again; a short one lacks its end."""
    size = min(PAGE_MAX, max(1, _number(asked, "pageSize") or 50))
    page = max(1, _number(asked, "currentPage") or 1)
    begin = 0 if asked.looping else (page - 1) * size
    items = rows[begin : begin + asked.limit(size)]
    pages = -(-len(rows) // size)
    pager: Row = {"currentPage": page, "pageSize": size, "totalNum": len(rows), "totalPage": pages, "items": items}
    return success(pager)


def _signed(answer: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
    def checked(asked: Asked) -> Answer:
        refused = signing.refusal(asked)
        return failure(*refused, status=401) if refused is not None else answer(asked)

    return checked


def _number(asked: Asked, name: str) -> int | None:
    text = asked.params.get(name, "")
    return int(text) if text.isdigit() and len(text) < 20 else None


def _ms(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
