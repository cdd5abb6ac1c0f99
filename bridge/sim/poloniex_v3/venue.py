"""The dialect: what the venue says of each fact, to whom, and under which numbers."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count
from random import Random

import msgspec

from bridge.sim.market import Answer, Assigned, Handshake, Push, Refuse, Say, Scene, Session, Trouble, Way
from bridge.sim.market.facts import (
    BalanceChange,
    BookChange,
    Fact,
    Fill,
    Liquidation,
    OrderChange,
    PositionChange,
    Side,
    Tick,
    Trade,
)
from bridge.sim.poloniex_v3.lists import Lists, refused
from bridge.sim.poloniex_v3.present import Present
from bridge.sim.poloniex_v3.prices import Prices
from bridge.sim.poloniex_v3.session import LINKED, Rules, Subscriber
from bridge.sim.poloniex_v3.window import Update, Window
from bridge.sim.poloniex_v3.words import (
    Row,
    Told,
    account_row,
    at_ms,
    fill_told,
    frame,
    liquidation_row,
    ms_of,
    order_told,
    trade_told,
)

PUBLIC_PATH, PRIVATE_PATH = "/ws/v3/public", "/ws/v3/private"
CONNECTIONS_MAX = 2_000
DEFAULTS: Mapping[str, float] = {"silence_s": 30.0, "early_rate": 1 / 36, "repeat_rate": 0.1}
BOOK_LEVELS = 5


class PoloniexV3:
    """One venue. Options: ``silence_s`` until a silent client is cut, the chances of an early update and a repeat."""

    def __init__(self, scene: Scene) -> None:
        if unknown := set(scene.options) - set(DEFAULTS):
            raise ValueError(f"unknown options: {', '.join(sorted(unknown))}")
        options = {name: msgspec.convert(scene.options.get(name, value), float) for name, value in DEFAULTS.items()}
        market = scene.market
        self._dice = Random(f"{scene.seed}:poloniex_v3")
        self._repeat_rate = options["repeat_rate"]
        self._windows = {symbol: Window(market.book(symbol)) for symbol in market.symbols}
        self._present = Present()
        self._prices = Prices(market)
        self._lists = Lists(market, self._present, self._windows)
        self._book_ids = count(self._dice.randint(100_000, 900_000))
        early_rate = options["early_rate"]
        self._rules = Rules(
            symbols=market.symbols,
            snapshot=self._snapshot,
            early=lambda: self._dice.random() < early_rate,
            silence_s=options["silence_s"],
        )

    def ways(self) -> Sequence[Way]:
        return self._lists.ways()

    def sockets(self) -> Sequence[str]:
        return [PUBLIC_PATH, PRIVATE_PATH]

    def meet(self, handshake: Handshake, now: datetime) -> Session | Refuse:
        if handshake.connections >= CONNECTIONS_MAX:
            return Refuse(429)
        return Subscriber(self._rules, private=handshake.path == PRIVATE_PATH, expired=handshake.expired)

    def trouble(self, trouble: Trouble) -> Answer:
        """The venue says 'too often' by its status, and also inside a 200."""
        match trouble:
            case Trouble.THROTTLED:
                return refused(429, "Too many requests")
            case Trouble.BANNED:
                return refused(429, "Too many requests")._replace(status=200)
            case Trouble.BROKEN:
                return Answer(b"<html>Bad gateway</html>", 502)
            case Trouble.DOWN:
                return Answer(b"<html>Service unavailable</html>", 503)

    def render(self, facts: Sequence[Fact], now: datetime) -> Sequence[Push]:
        now_ms = ms_of(now)
        pushes: list[Push] = []
        ticks: list[Tick] = []
        changed: set[str] = set()
        trades: dict[str, list[Told]] = {}
        for fact in facts:
            match fact:
                case Trade():
                    trades.setdefault(fact.symbol, []).append(trade_told(fact, now_ms))
                    self._prices.traded(fact)
                case Tick():
                    ticks.append(fact)
                case BookChange():
                    changed.add(fact.symbol)
                    update = self._windows[fact.symbol].apply(fact)
                    pushes += [] if update is None else [_update(fact.symbol, update, now_ms)]
                case Liquidation():
                    pushes.append(_liquidation(fact, now_ms))
                case _:
                    pushes.append(self._ours(fact, now_ms))
        for symbol, told in trades.items():
            rows, items = [one.row for one in told], tuple(one.item for one in told)
            pushes.append(Push(f"trades.{symbol}", f"trades:{symbol}", frame("trades", rows), items))
        for symbol in sorted(changed):
            pushes += self._books(symbol, now_ms)
        return pushes + self._prices.due(ticks, now)

    def _ours(self, fact: OrderChange | Fill | PositionChange | BalanceChange, now_ms: int) -> Push:
        """A frame for one change of our account."""
        match fact:
            case OrderChange():
                return _own("orders", fact.symbol, order_told(fact, self._present.order(fact.order_id)), now_ms)
            case Fill():
                return _own("trade", fact.symbol, fill_told(fact, self._present.order(fact.order_id)), now_ms)
            case PositionChange():
                return _own("positions", fact.symbol, self._present.moved(fact), now_ms)
            case BalanceChange():
                told = self._present.booked(fact)
                whole = account_row([told.row], now_ms)
                return _own("account", fact.currency, told._replace(row=whole), now_ms)

    def _books(self, symbol: str, now_ms: int) -> list[Push]:
        """The best five of a side; now and then the same again under a new number."""
        pushes = []
        for _ in range(2 if self._dice.random() < self._repeat_rate else 1):
            number = next(self._book_ids)
            row: Row = {**self._levels(symbol, BOOK_LEVELS), "id": number, "ts": now_ms, "s": symbol, "cT": now_ms}
            item = Assigned(f"{symbol}:{number}", at_ms(now_ms))
            pushes.append(Push(f"book.{symbol}", f"book:{symbol}", frame("book", [row]), (item,)))
        return pushes

    def _snapshot(self, symbol: str, now: datetime) -> Say:
        """The window as it stands, for one client."""
        window, now_ms = self._windows[symbol], ms_of(now)
        row: Row = {
            **self._levels(symbol),
            "lid": window.previous,
            "id": window.number,
            "ts": now_ms,
            "s": symbol,
            "cT": now_ms,
        }
        item = Assigned(f"{symbol}:{window.number}:s", at_ms(now_ms), None, window.number, optional=True)
        return Say(frame(LINKED, [row], "snapshot"), f"{LINKED}.{symbol}", (item,))

    def _levels(self, symbol: str, depth: int = 20) -> Row:
        window = self._windows[symbol]
        return {"asks": window.levels(Side.SELL, depth), "bids": window.levels(Side.BUY, depth)}


def _update(symbol: str, update: Update, now_ms: int) -> Push:
    row: Row = {
        "asks": update.asks,
        "bids": update.bids,
        "lid": update.previous,
        "id": update.number,
        "ts": now_ms,
        "s": symbol,
        "cT": now_ms,
    }
    item = Assigned(f"{symbol}:{update.number}:u", at_ms(now_ms), update.previous, update.number)
    return Push(f"{LINKED}.{symbol}", f"{LINKED}:{symbol}", frame(LINKED, [row], "update"), (item,))


def _liquidation(fact: Liquidation, now_ms: int) -> Push:
    """No number anywhere: what it says is all there is to know it by."""
    row = liquidation_row(fact)
    content = b",".join(name.encode() + b"=" + msgspec.json.encode(row[name]) for name in sorted(row))
    item = Assigned(f"{fact.symbol}:{hashlib.sha256(content).hexdigest()[:32]}", at_ms(ms_of(fact.at)))
    told = frame("liquidation_orders", [{**row, "ts": now_ms}])
    return Push(f"liquidation_orders.{fact.symbol}", f"liquidation_orders:{fact.symbol}", told, (item,))


def _own(word: str, key: str, told: Told, now_ms: int) -> Push:
    return Push(word, f"{word}:{key}", frame(word, [{**told.row, "ts": str(now_ms)}]), (told.item,))
