"""The dialect: what the venue says of each fact, on which topics, and its routes that need no key."""

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from random import Random

import msgspec

from bridge.sim.bybit.books import Books
from bridge.sim.bybit.lists import PARAMETERS, PRODUCTS, Lists, answered
from bridge.sim.bybit.session import PRIVATE, Rules, Subscriber
from bridge.sim.bybit.words import (
    FAST_FIELDS,
    Row,
    Told,
    encode,
    fill_told,
    liquidation_told,
    order_told,
    position_told,
    private_frame,
    seq_of,
    trade_listed,
    trade_told,
    wallet_row,
)
from bridge.sim.market import Answer, Asked, Assigned, Handshake, Push, Refuse, Say, Scene, Session, Trouble, Way
from bridge.sim.market.facts import (
    BalanceChange,
    BookChange,
    Fact,
    Fill,
    Liquidation,
    OrderChange,
    PositionChange,
    Status,
    Tick,
    Trade,
)
from bridge.sim.market.ids import ms_of, uuid_of, whole_ms

PUBLIC_PATH, PRIVATE_PATH = "/v5/public/{product}", "/v5/private"
CONNECTIONS_WINDOW = timedelta(minutes=5)
TRADES_PER_FRAME_MAX = 2
TRADES_MAX = {"spot": 60}
OTHER_TRADES_MAX = 1_000
ACTIVE_S_MIN, ACTIVE_S_MAX = 30, 600
DEFAULTS: Mapping[str, float] = {
    "restart_every": 0,
    "raced_rate": 0.2,
    "scan_s": 30.0,
    "idle_s": 600.0,
    "close_code": 1006,
    "connections_max": 500,
}


class Bybit:
    """One venue.

    Options: ``restart_every`` so many steps of a book its updates count from 1 again; ``raced_rate``, the chance
    that a filled order is told a second time as cancelled too late; ``scan_s`` between two looks for idle lines,
    ``idle_s`` until they are cut, with ``close_code``; ``connections_max`` in five minutes.
    """

    def __init__(self, scene: Scene) -> None:
        if unknown := set(scene.options) - set(DEFAULTS):
            raise ValueError(f"unknown options: {', '.join(sorted(unknown))}")
        options = {name: msgspec.convert(scene.options.get(name, value), float) for name, value in DEFAULTS.items()}
        self._market = scene.market
        self._seed = scene.seed
        self._raced_rate = options["raced_rate"]
        self._connections_max = int(options["connections_max"])
        self._met: deque[datetime] = deque()
        self._books = Books(scene.market, restart_every=int(options["restart_every"]))
        self._lists = Lists(scene.market, raced=self._raced)
        self._positions: dict[str, PositionChange] = {}
        self._rules = Rules(
            symbols=scene.market.symbols,
            snapshot=self._snapshot,
            scan_s=options["scan_s"],
            idle_s=options["idle_s"],
            close_code=int(options["close_code"]),
        )

    def ways(self) -> Sequence[Way]:
        return [
            Way("GET", "/v5/market/time", self._time),
            Way("GET", "/v5/market/recent-trade", self._recent),
            Way("GET", "/v5/market/orderbook", self._book),
            Way("GET", "/v5/market/full_orderbook", self._book),
            Way("GET", "/v5/market/tickers", self._tickers),
            *self._lists.ways(),
        ]

    def sockets(self) -> Sequence[str]:
        return [PUBLIC_PATH, PRIVATE_PATH]

    def meet(self, handshake: Handshake, now: datetime) -> Session | Refuse:
        while self._met and now - self._met[0] >= CONNECTIONS_WINDOW:
            self._met.popleft()
        if len(self._met) >= self._connections_max:
            return Refuse(403)
        product = handshake.path.rpartition("/")[2]
        if product not in (*PRODUCTS, PRIVATE):
            return Refuse(404)
        active_s = None
        if "max_active_time" in handshake.query:
            active_s = _seconds(handshake.query["max_active_time"])
            if active_s is None:
                return Refuse(400)
        self._met.append(now)
        return Subscriber(self._rules, product=product, expired=handshake.expired, active_s=active_s)

    def trouble(self, trouble: Trouble) -> Answer:
        """Too often is said inside a 200; a 403 is a ban of the address."""
        now = self._market.now
        match trouble:
            case Trouble.THROTTLED:
                reset = {"X-Bapi-Limit-Status": "0", "X-Bapi-Limit-Reset-Timestamp": str(ms_of(now) + 300)}
                return answered({}, now, code=10006, text="Too many visits!")._replace(headers=reset)
            case Trouble.BANNED:
                return Answer(b"<html>403 Forbidden</html>", 403)
            case Trouble.BROKEN:
                return answered({}, now, code=10016, text="Server error.")
            case Trouble.DOWN:
                return Answer(b"<html>Service unavailable</html>", 503)

    def render(self, facts: Sequence[Fact], now: datetime) -> Sequence[Push]:
        pushes: list[Push] = []
        trades: dict[str, list[Trade]] = {}
        liquidations: dict[str, list[Told]] = {}
        changed: set[str] = set()
        for fact in facts:
            match fact:
                case Trade():
                    trades.setdefault(fact.symbol, []).append(fact)
                case BookChange():
                    changed.add(fact.symbol)
                    pushes += self._books.pushes(fact, now)
                case Tick():
                    pushes.append(self._books.ticker(fact, now))
                case Liquidation():
                    liquidations.setdefault(fact.symbol, []).append(liquidation_told(fact))
                case BalanceChange():
                    pushes.append(_wallet(fact, now))
                case _:
                    pushes += self._ours(fact, now)
        pushes += [_public(f"allLiquidation.{symbol}", told, now) for symbol, told in liquidations.items()]
        for told_of in trades.values():
            pushes += _trades(told_of, now)
        return pushes + self._books.tops(changed, now)

    def _ours(self, fact: Fill | OrderChange | PositionChange, now: datetime) -> list[Push]:
        match fact:
            case Fill():
                told = fill_told(fact)
                fast = {name: told.row[name] for name in FAST_FIELDS}
                number = f"5501_{fact.symbol}_{seq_of(fact.nth)}"
                return [
                    *_private("execution.fast", fast, told.item, now, ""),
                    *_private("execution", told.row, told.item, now, number),
                ]
            case OrderChange():
                ways = (False, True) if self._raced(fact) else (False,)
                both = [order_told(fact, raced=raced) for raced in ways]
                pushes = [push for told in both for push in _private("order", *told, now, f"o{fact.nth}")]
                known = self._positions.get(fact.symbol)
                if known is None or fact.status not in (Status.NEW, Status.CANCELLED):
                    return pushes
                again = position_told(known, again=True)  # nothing has changed, and it is told all the same
                return [*pushes, *_private("position", *again, now, f"p{fact.nth}")]
            case PositionChange():
                self._positions[fact.symbol] = fact
                return _private("position", *position_told(fact), now, f"p{fact.nth}")

    def _raced(self, fact: OrderChange) -> bool:
        return fact.status is Status.FILLED and Random(f"{self._seed}:{fact.nth}").random() < self._raced_rate

    def _snapshot(self, topic: str, now: datetime) -> Say | None:
        self._books.want(topic)
        return self._books.snapshot(topic, now)

    def _time(self, asked: Asked) -> Answer:
        second = ms_of(asked.now) // 1000
        return answered({"timeSecond": str(second), "timeNano": str(second * 10**9)}, asked.now)

    def _recent(self, asked: Asked) -> Answer:
        """The newest, and no way to ask for others."""
        category, symbol = asked.params.get("category", ""), asked.params.get("symbol", "")
        if category not in PRODUCTS or symbol not in self._market.symbols:
            return answered({}, asked.now, code=PARAMETERS, text="Not supported symbols")
        most = TRADES_MAX.get(category, OTHER_TRADES_MAX)
        limit = min(most, int(asked.params.get("limit", "60" if category == "spot" else "500")))
        facts = self._market.history.between(
            Trade, None, asked.as_of, symbol=symbol, newest_first=True, limit=asked.limit(limit)
        )
        return answered({"category": category, "list": [trade_listed(fact) for fact in facts]}, asked.now)

    def _book(self, asked: Asked) -> Answer:
        symbol = asked.params.get("symbol", "")
        if symbol not in self._market.symbols:
            return answered({}, asked.now, code=PARAMETERS, text="Not supported symbols")
        full = asked.path.endswith("full_orderbook")
        depth = None if full else int(asked.params.get("limit", "25"))
        row, item = self._books.listed(symbol, depth)
        series = f"orderbook.{'full' if full else 1}.{symbol}"
        told = ((series, item),) if full or depth == 1 else ()
        return answered(row, asked.now)._replace(told=told)

    def _tickers(self, asked: Asked) -> Answer:
        symbol = asked.params.get("symbol", "")
        if symbol not in self._market.symbols:
            return answered({}, asked.now, code=PARAMETERS, text="Not supported symbols")
        tick = self._market.tick(symbol)
        row = {"symbol": symbol, "lastPrice": str(tick.price), "bid1Price": str(tick.bid), "ask1Price": str(tick.ask)}
        return answered({"category": asked.params.get("category", ""), "list": [row]}, asked.now)


def _seconds(text: str) -> float | None:
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit()) or unit not in ("s", "m"):
        return None
    seconds = int(number) * (60 if unit == "m" else 1)
    return float(seconds) if ACTIVE_S_MIN <= seconds <= ACTIVE_S_MAX else None


def _public(topic: str, told: Sequence[Told], now: datetime) -> Push:
    """One message; what is equal in a push is in one message."""
    rows = [one.row for one in told]
    frame = encode({"topic": topic, "type": "snapshot", "ts": ms_of(now), "data": rows})
    return Push(topic, topic, frame, tuple(one.item for one in told))


def _trades(facts: Sequence[Trade], now: datetime) -> list[Push]:
    """A match's trades share a sequence, also where they take several messages."""
    seq = seq_of(facts[0].nth)
    told = [trade_told(fact, seq) for fact in facts]
    parts = [told[at : at + TRADES_PER_FRAME_MAX] for at in range(0, len(told), TRADES_PER_FRAME_MAX)]
    topic = f"publicTrade.{facts[0].symbol}"
    return [_public(topic, part, now) for part in parts]


def _private(word: str, row: Row, item: Assigned, now: datetime, number: str) -> list[Push]:
    """On the topic of all products, and on the one of its own."""
    topics = (word, f"{word}.{row['category']}")
    return [Push(topic, topic, private_frame(topic, [row], now, number), (item,)) for topic in topics]


def _wallet(fact: BalanceChange, now: datetime) -> Push:
    number = uuid_of(f"{fact.nth:032x}")
    item = Assigned(f"{number}:0", whole_ms(now))
    return Push("wallet", "wallet", private_frame("wallet", [wallet_row([fact])], now, number), (item,))
