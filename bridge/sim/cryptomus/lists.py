"""The venue's REST side: tokens and lists of ours for those who sign, prices and trades for everybody."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from email.utils import format_datetime

import msgspec

from bridge.sim.bucket import TokenBucket
from bridge.sim.cryptomus.orders import Orders, open_row
from bridge.sim.cryptomus.signing import is_ours
from bridge.sim.cryptomus.tokens import Tokens
from bridge.sim.cryptomus.words import Row, order_id, padded, plain, second_of, state_id, trade_row
from bridge.sim.market import Answer, Asked, Assigned, Market, Way
from bridge.sim.market.facts import BalanceChange, OrderChange, Trade
from bridge.sim.market.ids import whole_s

TRADES_MAX = 100
LIMIT_DEFAULT, LIMIT_MAX = 50, 100
OFFSET_MAX = 10_000
_USER = "/v2/user-api/exchange"


class Lists:
    """The routes. ``requests_per_s`` 0 is no limit."""

    def __init__(self, market: Market, orders: Orders, tokens: Tokens, *, requests_per_s: float) -> None:
        self._market = market
        self._orders = orders
        self._tokens = tokens
        self._requests_per_s = requests_per_s
        self._bucket = TokenBucket()

    def ways(self) -> Sequence[Way]:
        ours: dict[str, Callable[[Asked], Answer]] = {
            f"{_USER}/account/web-socket/token": self._token,
            f"{_USER}/account/balance": self._balances,
            f"{_USER}/orders": self._open,
            f"{_USER}/orders/history": self._completed,
            f"{_USER}/markets": self._markets,
        }
        public: dict[str, Callable[[Asked], Answer]] = {
            "/v1/exchange/market/trades/{pair}": self._trades,
            "/v1/exchange/market/tickers": self._tickers,
            "/v1/exchange/market/order-book/{pair}": self._book,
            "/api/v2/symbol-scales": self._scales,
        }
        ways = [Way("GET", path, self._limited(signed(answer))) for path, answer in ours.items()]
        return [*ways, *(Way("GET", path, self._limited(answer)) for path, answer in public.items())]

    def _limited(self, answer: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
        def within(asked: Asked) -> Answer:
            if self._bucket.wait_s(asked.now, self._requests_per_s):
                return refused(429, "Too many requests")
            told = answer(asked)
            # The header is of the very moment that the rows are of.
            return dated(told, asked.now)

        return within

    def _token(self, asked: Asked) -> Answer:
        return Answer(msgspec.json.encode({"token": self._tokens.give(asked.now)}))

    def _open(self, asked: Asked) -> Answer:
        chosen = self._page(asked, self._orders.open(asked.as_of))
        told = tuple(
            ("order", Assigned(state_id(change, "open"), whole_s(asked.now))) for change in chosen if change.filled
        )
        return listed([open_row(change) for change in chosen])._replace(told=told)

    def _completed(self, asked: Asked) -> Answer:
        chosen = self._page(asked, self._orders.completed(asked.as_of))
        return listed([self._orders.completed_row(change) for change in chosen])

    def _page(self, asked: Asked, orders: Iterable[OrderChange]) -> list[OrderChange]:
        """By offset from the newest; one that goes in a circle begins anew each time."""
        params = asked.params
        limit, offset = _whole(asked, "limit", LIMIT_DEFAULT, LIMIT_MAX), _whole(asked, "offset", 0, OFFSET_MAX)
        found = [
            change
            for change in orders
            if params.get("market") in (None, change.symbol)
            and params.get("direction") in (None, change.side.value)
            and params.get("order_id") in (None, order_id(change))
        ]
        offset = 0 if asked.looping else offset
        return found[offset : offset + asked.limit(limit)]

    def _balances(self, asked: Asked) -> Answer:
        rows: list[Row] = []
        told: list[tuple[str, Assigned]] = []
        for change in self._market.history.latest(BalanceChange, asked.as_of):
            rows.append({"ticker": change.currency, "available": padded(change.new), "held": "0"})
            shown = f"~{change.currency}:{second_of(asked.now)}:{plain(change.new)}:0"
            told.append(("balance", Assigned(shown, asked.now)))
        return listed(rows)._replace(told=tuple(told))

    def _trades(self, asked: Asked) -> Answer:
        """The newest ones; older ones cannot be asked for."""
        found = self._market.history.between(
            Trade, None, asked.as_of, symbol=self._symbol(asked), newest_first=True, limit=asked.limit(TRADES_MAX)
        )
        return listed([trade_row(trade) for trade in found], "data")

    def _tickers(self, asked: Asked) -> Answer:
        rows: list[Row] = []
        told: list[tuple[str, Assigned]] = []
        for symbol in self._market.symbols:
            price = self._market.tick(symbol).price
            volumes = {"base_volume": "0", "quote_volume": "0"}
            rows.append({"currency_pair": symbol, "last_price": padded(price), **volumes})
            shown = Assigned(f"~{symbol}:{second_of(asked.now)}:{plain(price)}", whole_s(asked.now))
            told += [(f"{kind}.{symbol}", shown) for kind in ("lastprice", "ticker")]
        return listed(rows, "data")._replace(told=tuple(told))

    def _book(self, asked: Asked) -> Answer:
        book = self._market.book(self._symbol(asked))
        sides = {
            name: [{"price": plain(price), "quantity": plain(quantity)} for price, quantity in levels]
            for name, levels in (("bids", book.bids), ("asks", book.asks))
        }
        return Answer(msgspec.json.encode({"data": {"timestamp": second_of(asked.now), **sides}}))

    def _markets(self, asked: Asked) -> Answer:
        found = [instrument for symbol in self._market.symbols if (instrument := self._market.instrument(symbol))]
        return listed([{"symbol": one.symbol, "baseCurrency": one.base, "quoteCurrency": one.quote} for one in found])

    def _scales(self, asked: Asked) -> Answer:
        instrument = self._market.instrument(asked.params.get("symbol", ""))
        if instrument is None:
            return refused(404, "Unknown symbol")
        data = [{"scale": plain(instrument.tick), "index": 0}]
        return Answer(msgspec.json.encode({"status": "success", "message": "success", "data": data}))

    def _symbol(self, asked: Asked) -> str:
        symbol = asked.places.get("pair", "")
        if symbol not in self._market.symbols:
            raise ValueError("unknown pair")
        return symbol


def signed(answer: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
    """The route for those alone who have the key."""
    return lambda asked: answer(asked) if is_ours(asked) else refused(401, "Invalid sign")


def listed(rows: list[Row], name: str = "result") -> Answer:
    return Answer(msgspec.json.encode({name: rows}))


def refused(status: int, text: str) -> Answer:
    return Answer(msgspec.json.encode({"message": text, "state": 1}), status)


def dated(answer: Answer, now: datetime) -> Answer:
    return answer._replace(headers={**answer.headers, "Date": format_datetime(now, usegmt=True)})


def _whole(asked: Asked, name: str, default: int, most: int) -> int:
    text = asked.params.get(name, str(default))
    if not text.isdigit() or int(text) > most:
        raise ValueError(f"invalid {name}")
    return int(text)
