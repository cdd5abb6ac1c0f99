"""The dialect: what the venue says of each fact, and to whom. Options are its switches where nobody knows."""

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from random import Random

import msgspec

from bridge.sim.market import Answer, Handshake, Push, Refuse, Scene, Session, Trouble, Way
from bridge.sim.market.facts import (
    BalanceChange,
    BookChange,
    Fact,
    Fill,
    OrderChange,
    PositionChange,
    Tick,
    Trade,
)
from bridge.sim.market.ids import ms_of, whole_ms
from bridge.sim.poloniex_v1.lists import Lists, failure
from bridge.sim.poloniex_v1.session import Rules, Subscriber, topics_in
from bridge.sim.poloniex_v1.tokens import Tokens
from bridge.sim.poloniex_v1.words import (
    ORDERS_PATH,
    Row,
    Told,
    book_row,
    book_told,
    frame,
    level_told,
    match_told,
    order_told,
    state_told,
    ticker_told,
    trade_told,
)

MARKET = "/contractMarket/"
WALLET_PATH = "/contractAccount/wallet"
POSITION_PATH = "/contract/position"
INSTRUMENT_PATH = "/contract/instrument"
DEPTH_EVERY = timedelta(milliseconds=100)
DEPTH = 5
PUBLIC_PATHS = (
    *(f"{MARKET}{word}" for word in ("level2", "level2Depth5", "execution", "ticker")),
    INSTRUMENT_PATH,
)
CONNECTIONS_MAX = 50
CONNECTS_MAX = 30
CONNECTS_PERIOD = timedelta(minutes=1)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``linked``: book frames say what they follow. ``bundled``: steps of one moment share a frame."""

    linked: bool = True
    bundled: bool = True
    token_single_use: bool = False
    token_ttl_s: float = 86_400.0
    silence_s: float = 60.0
    cut_code: int = 1000
    ping_interval_ms: int = 50_000
    ping_timeout_ms: int = 10_000
    error_names_connection: bool = False
    connects_per_min: int = CONNECTS_MAX


class PoloniexV1:
    """One venue."""

    def __init__(self, scene: Scene) -> None:
        options = _options(scene.options)
        self._options = options
        self._market = scene.market
        self._tokens = Tokens(
            Random(f"{scene.seed}:tokens"), ttl_s=options.token_ttl_s, single_use=options.token_single_use
        )
        self._lists = Lists(scene.market, self._tokens, pings=(options.ping_interval_ms, options.ping_timeout_ms))
        symbols = scene.market.symbols
        hidden = {ORDERS_PATH, WALLET_PATH, *(f"{p}:{s}" for p in (ORDERS_PATH, POSITION_PATH) for s in symbols)}
        known = hidden | {f"{path}:{symbol}" for path in PUBLIC_PATHS for symbol in symbols}
        self._rules = Rules(
            knows=known.__contains__,
            hidden=hidden.__contains__,
            silence_s=options.silence_s,
            cut_code=options.cut_code,
            blames_connection=options.error_names_connection,
        )
        self._connects: deque[datetime] = deque()
        self._shown: dict[str, datetime] = {}
        self._stale: set[str] = set()
        self._marked: dict[str, datetime] = {}
        self._operations = 0

    def ways(self) -> Sequence[Way]:
        return self._lists.ways()

    def sockets(self) -> Sequence[str]:
        return ["/endpoint"]

    def meet(self, handshake: Handshake, now: datetime) -> Session | Refuse:
        while self._connects and now - self._connects[0] >= CONNECTS_PERIOD:
            self._connects.popleft()
        if handshake.connections >= CONNECTIONS_MAX or len(self._connects) >= self._options.connects_per_min:
            return Refuse(429)
        self._connects.append(now)
        query = handshake.query
        token = self._tokens.take(query.get("token", ""), now)
        return Subscriber(
            self._rules,
            query.get("connectId") or f"sim-{ms_of(now)}",
            private=token is not None and token.private,
            accepts=query.get("acceptUserMessage") == "true",
            good=token is not None and not handshake.expired,
        )

    def trouble(self, trouble: Trouble) -> Answer:
        """The venue says 'too often' in its body; the status may be any."""
        match trouble:
            case Trouble.THROTTLED:
                return failure("429000", "Too Many Requests", 429)
            case Trouble.BANNED:
                return failure("1015", "You are being rate limited", 403)
            case Trouble.BROKEN:
                return failure("500000", "Internal Server Error", 500)
            case Trouble.DOWN:
                return Answer(b"<html>Service unavailable</html>", 503)

    def render(self, facts: Sequence[Fact], now: datetime) -> Sequence[Push]:
        pushes: list[Push] = []
        last: dict[str, Trade] = {}
        for (kind, symbol), run in groupby(facts, key=lambda fact: (type(fact), fact.symbol)):
            together = list(run)
            if kind is BookChange:
                pushes += self._book(symbol, [fact for fact in together if isinstance(fact, BookChange)])
                continue
            for fact in together:
                if isinstance(fact, Trade):
                    last[symbol] = fact
                pushes += self._told(fact)
        pushes += [self._ticker(trade) for trade in last.values()]  # of a burst the last one only
        return pushes + self._depths(now)

    def _told(self, fact: Fact) -> list[Push]:
        match fact:
            case Trade():
                return [_public("execution", fact.symbol, "match", trade_told(fact))]
            case Fill():
                return _orders(fact.symbol, match_told(fact))
            case OrderChange():
                told = order_told(fact)
                return [] if told is None else _orders(fact.symbol, told)
            case BalanceChange():
                return [self._balance(fact)]
            case PositionChange():
                return [self._position(fact)]
            case Tick():
                return self._mark(fact)
        return []

    def _book(self, symbol: str, changes: list[BookChange]) -> list[Push]:
        self._stale.add(symbol)
        if not self._options.linked:
            told = [level_told(change, level) for change in changes for level in change.levels]
        elif self._options.bundled:
            told = [book_told(changes)]
        else:
            told = [book_told([change]) for change in changes]
        return [_public("level2", symbol, "level2", one) for one in told]

    def _ticker(self, trade: Trade) -> Push:
        book = self._market.book(trade.symbol, depth=1)
        return _public("ticker", trade.symbol, "ticker", ticker_told(trade, book.bids[0], book.asks[0]))

    def _depths(self, now: datetime) -> list[Push]:
        """The best of each book that changed, not more often than ten times a second."""
        due = [s for s in sorted(self._stale) if s not in self._shown or now - self._shown[s] >= DEPTH_EVERY]
        pushes = []
        for symbol in due:
            self._stale.discard(symbol)
            self._shown[symbol] = now
            book = self._market.book(symbol)
            told = state_told("level2", book_row(book, depth=DEPTH), book.at)
            pushes.append(_public("level2Depth5", symbol, "level2", told))
        return pushes

    def _balance(self, change: BalanceChange) -> Push:
        subject, at = "availableBalance.change", whole_ms(change.at)
        self._operations += 1  # so that no two rows are the same, however quickly a balance comes back
        held = self._operations / 1000
        row: Row = {"availableBalance": float(change.new), "holdBalance": held, "currency": change.currency}
        told = state_told(subject, {**row, "timestamp": ms_of(at)}, at)
        return Push("wallet", WALLET_PATH, frame(WALLET_PATH, subject, told.data, private=True), (told.item,))

    def _position(self, change: PositionChange) -> Push:
        self._operations += 1  # commissions grow with each: no two rows are the same
        row: dict[str, object] = {
            "symbol": change.symbol,
            "currentQty": int(change.new),
            "avgEntryPrice": float(change.entry_price),
            "markPrice": float(change.mark_price),
            "currentComm": self._operations / 1000,
            "changeReason": "positionChange",
            "currentTimestamp": ms_of(change.at),
        }
        return _own_position(change.symbol, state_told("position.change", row, whole_ms(change.at)))

    def _mark(self, tick: Tick) -> list[Push]:
        """The mark price for all, and what it makes of our position: once in a millisecond, as they are told."""
        at = whole_ms(tick.at)
        price = float(tick.price)
        row: Row = {"granularity": 1000, "indexPrice": price, "markPrice": price, "timestamp": ms_of(at)}
        told = state_told("mark.index.price", row, at)
        if self._marked.get(tick.symbol) == at:
            return []
        self._marked[tick.symbol] = at
        topic = f"{INSTRUMENT_PATH}:{tick.symbol}"
        public = Push(f"instrument.{tick.symbol}", topic, frame(topic, "mark.index.price", told.data), (told.item,))
        part = state_told("position.change", {"markPrice": price, "currentTimestamp": ms_of(at)}, at)
        return [public, _own_position(tick.symbol, part)]


def _options(given: Mapping[str, object]) -> Options:
    try:
        return msgspec.convert(dict(given), Options)
    except msgspec.ValidationError as error:
        raise ValueError(f"unknown options, or wrong ones: {error}") from None


def _public(word: str, symbol: str, subject: str, told: Told) -> Push:
    (topic,) = topics_in(f"{MARKET}{word}:{symbol}")
    return Push(f"{word}.{symbol}", topic, frame(topic, subject, told.data), (told.item,))


def _orders(symbol: str, told: Told) -> list[Push]:
    """The same for who listens to all symbols, and for who listens to one."""
    all_of_them = frame(ORDERS_PATH, "orderChange", told.data, private=True)
    topic = f"{ORDERS_PATH}:{symbol}"
    one_symbol = frame(topic, "symbolOrderChange", told.data, private=True)
    return [
        Push("tradeOrders", ORDERS_PATH, all_of_them, (told.item,)),
        Push(f"tradeOrders.{symbol}", topic, one_symbol, (told.item._replace(),)),
    ]


def _own_position(symbol: str, told: Told) -> Push:
    topic = f"{POSITION_PATH}:{symbol}"
    return Push(f"position.{symbol}", topic, frame(topic, "position.change", told.data, private=True), (told.item,))
