"""What the venue repeats by itself: tickers, mark and index prices, funding rates and the candle of the minute."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bridge.sim.market import Assigned, Market, Push
from bridge.sim.market.facts import Tick, Trade
from bridge.sim.poloniex_v3.words import Row, at_ms, frame, ms_of, plain

TICKER_EVERY_MS = 100
PRICES_EVERY_MS = 1_000
FUNDING_EVERY_MS = 60_000
CANDLE_MS = 60_000
FUNDING_MS = 8 * 3_600_000
RATE = "0.0001"


@dataclass(slots=True)
class _Candle:
    """One minute of one symbol so far."""

    start: int
    open: Decimal
    low: Decimal
    high: Decimal
    close: Decimal
    quantity: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)
    trades: int = 0


class Prices:
    """Says each thing no more often than the venue does; times are milliseconds."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._said: dict[tuple[str, str], int] = {}
        self._candles: dict[str, _Candle] = {}
        self._fresh: set[str] = set()

    def traded(self, trade: Trade) -> None:
        start = ms_of(trade.at) // CANDLE_MS * CANDLE_MS
        candle = self._candles.get(trade.symbol)
        if candle is None or candle.start != start:
            candle = self._candles[trade.symbol] = _Candle(start, trade.price, trade.price, trade.price, trade.price)
        candle.low, candle.high = min(candle.low, trade.price), max(candle.high, trade.price)
        candle.close = trade.price
        candle.quantity += trade.quantity
        candle.amount += trade.price * trade.quantity
        candle.trades += 1
        self._fresh.add(trade.symbol)

    def due(self, ticks: list[Tick], now: datetime) -> list[Push]:
        """What is to be said at ``now``."""
        now_ms = ms_of(now)
        pushes: list[Push] = []
        for symbol, tick in {tick.symbol: tick for tick in ticks}.items():
            if self._may("tickers", symbol, now_ms, TICKER_EVERY_MS):
                pushes.append(_push("tickers", symbol, _ticker(tick), now_ms))
        for symbol in self._market.symbols:
            if self._may("mark_price", symbol, now_ms, PRICES_EVERY_MS):
                price = plain(self._market.tick(symbol).price)
                pushes.append(_push("mark_price", symbol, {"mPx": price}, now_ms))
                pushes.append(_push("index_price", symbol, {"iPx": price}, now_ms))
                pushes += self._candle(symbol, now_ms)
            if self._may("funding_rate", symbol, now_ms, FUNDING_EVERY_MS):
                next_ms = now_ms // FUNDING_MS * FUNDING_MS + FUNDING_MS
                funding: Row = {"fR": RATE, "fT": next_ms, "nFR": RATE, "nFT": next_ms + FUNDING_MS}
                pushes.append(_push("funding_rate", symbol, funding, now_ms))
        return pushes

    def _candle(self, symbol: str, now_ms: int) -> list[Push]:
        candle = self._candles.get(symbol)
        if candle is None or symbol not in self._fresh:
            return []
        self._fresh.discard(symbol)
        prices = [plain(price) for price in (candle.low, candle.high, candle.open, candle.close)]
        sums = [plain(candle.amount), plain(candle.quantity), candle.trades]
        cells: list[object] = [symbol, *prices, *sums, candle.start, candle.start + CANDLE_MS - 1, now_ms]
        word = "candles_minute_1"
        item = Assigned(f"{symbol}:{candle.start}:{now_ms}", at_ms(now_ms))
        return [Push(f"{word}.{symbol}", f"{word}:{symbol}", frame(word, [cells]), (item,))]

    def _may(self, word: str, symbol: str, now_ms: int, every_ms: int) -> bool:
        said_ms = self._said.get((word, symbol), now_ms - every_ms)
        if now_ms - said_ms < every_ms:
            return False
        self._said[word, symbol] = now_ms
        return True


def _ticker(tick: Tick) -> Row:
    return {
        "c": plain(tick.price),
        "bPx": plain(tick.bid),
        "bSz": "1",
        "aPx": plain(tick.ask),
        "aSz": "1",
        "mPx": plain(tick.price),
        "cT": ms_of(tick.at),
    }


def _push(word: str, symbol: str, row: Row, now_ms: int) -> Push:
    item = Assigned(f"{symbol}:{now_ms}", at_ms(now_ms))
    told = frame(word, [{**row, "s": symbol, "ts": now_ms}])
    return Push(f"{word}.{symbol}", f"{word}:{symbol}", told, (item,))
