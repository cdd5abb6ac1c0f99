"""The dialect: what the venue says of each fact, in seconds and without numbers."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from bridge.sim.cryptomus.lists import Lists, refused
from bridge.sim.cryptomus.orders import Orders
from bridge.sim.cryptomus.session import Manners, Rejected, Rules, Subscriber
from bridge.sim.cryptomus.tokens import Tokens
from bridge.sim.cryptomus.words import (
    Data,
    Ours,
    book_changed,
    book_id,
    book_whole,
    frame,
    plain,
    prices,
    trades_push,
)
from bridge.sim.market import Answer, Assigned, Handshake, Push, Refuse, Say, Scene, Session, Trouble, Way
from bridge.sim.market.facts import BalanceChange, BookChange, Fact, Fill, OrderChange, Tick, Trade
from bridge.sim.market.ids import ulid_of, whole_s

SOCKET_PATH = "/ws"
_STATUS = {Trouble.THROTTLED: 429, Trouble.BANNED: 403, Trouble.BROKEN: 500, Trouble.DOWN: 503}


class Cryptomus:
    """One venue. Its options are those of ``Manners``."""

    def __init__(self, scene: Scene) -> None:
        if unknown := set(scene.options) - set(Manners.__dataclass_fields__):
            raise ValueError(f"unknown options: {', '.join(sorted(unknown))}")
        try:
            manners = msgspec.convert(dict(scene.options), Manners)
        except msgspec.ValidationError as wrong:
            raise ValueError(str(wrong)) from None
        self._market = market = scene.market
        self._manners = manners
        self._tokens = Tokens(seed=scene.seed, lasts_s=manners.token_lasts_s)
        self._orders = Orders()
        self._ours = Ours()
        self._lists = Lists(market, self._orders, self._tokens, requests_per_s=manners.requests_per_s)
        self._started_at = market.now
        self._said: dict[str, tuple[int, set[str]]] = {}
        markets = frozenset(market.symbols)
        instruments = [one for symbol in market.symbols if (one := market.instrument(symbol)) is not None]
        known = dict.fromkeys(("lastprice", "ticker", "trade", "order", "deal"), markets)
        known["depth"] = frozenset(f"{symbol}:0" for symbol in market.symbols)
        known["balance"] = frozenset(name for one in instruments for name in (one.base, one.quote))
        self._rules = Rules(manners, known, self._whole_book)

    def ways(self) -> Sequence[Way]:
        return self._lists.ways()

    def sockets(self) -> Sequence[str]:
        return [SOCKET_PATH]

    def meet(self, handshake: Handshake, now: datetime) -> Session | Refuse:
        """A token is good once; the fault that lets it expire spends it all the same."""
        good = self._tokens.take(handshake.query.get("token", ""), now)
        if good and not handshake.expired:
            return Subscriber(self._rules, now)
        if self._manners.refusal == "http401":
            return Refuse(401, b'{"message":"Unauthorized","state":1}')
        return Rejected()

    def trouble(self, trouble: Trouble) -> Answer:
        return refused(_STATUS[trouble], trouble.name.lower())

    def render(self, facts: Sequence[Fact], now: datetime) -> Sequence[Push]:
        pushes: list[Push] = []
        trades: dict[str, list[Trade]] = {}
        for fact in facts:
            match fact:
                case Trade():
                    trades.setdefault(fact.symbol, []).append(fact)
                case OrderChange():
                    self._orders.changed(fact)
                    pushes.append(self._ours.order(fact))
                case Fill():
                    pushes.append(self._ours.deal(fact, self._orders.filled(fact)))
                case BalanceChange():
                    wallet_id = ulid_of(fact.wallet_id, self._started_at)
                    pushes.append(self._ours.balance(fact, wallet_id))
                case BookChange():
                    data = book_changed(fact)
                    pushes.append(self._state("depth", fact.symbol, book_id(fact.symbol, data), data, fact.at))
                case Tick():
                    pushes += self._priced(fact)
                case _:
                    pass
        return [*(trades_push(symbol, told) for symbol, told in trades.items()), *pushes]

    def _priced(self, tick: Tick) -> list[Push]:
        last, ticker = prices(tick)
        head = f"{tick.symbol}:{last.at_s}"
        return [
            self._state("lastprice", tick.symbol, f"{head}:{plain(tick.price)}", last, tick.at),
            self._state("ticker", tick.symbol, f"{head}:{ticker.digest}", ticker, tick.at),
        ]

    def _state(self, kind: str, symbol: str, event_id: str, data: Data, at: datetime) -> Push:
        """A frame whose content is all there is to know it by: what was said in this second already is a repeat.

        Of a book only what was said last is one: a level may go and come back.
        """
        topic = f"{kind}:{symbol}" + (":0" if kind == "depth" else "")
        second, said = self._said.get(topic, (0, set()))
        item = Assigned(event_id, whole_s(at), optional=event_id in said)
        kept = said if second == data.at_s and kind != "depth" else set()
        self._said[topic] = data.at_s, kept | {event_id}
        return Push(topic.replace(":", "."), topic, frame(kind, data.text), (item,))

    def _whole_book(self, what: str, now: datetime) -> Say:
        symbol = what.partition(":")[0]
        data = book_whole(self._market.book(symbol), now)
        item = Assigned(book_id(symbol, data), whole_s(now), optional=True)
        return Say(frame("depth", data.text), f"depth.{symbol}.0", (item,))
