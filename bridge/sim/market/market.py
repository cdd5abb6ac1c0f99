"""The market itself, without I/O: seeded, endless, and asked for what happened. Time is an argument.

It never learns which venue speaks for it, nor who listens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from random import Random

from bridge.sim.market.account import FEE_RATE, OPEN_ORDERS_MAX, Account, Order, token_of
from bridge.sim.market.book import Book
from bridge.sim.market.facts import (
    BalanceChange,
    BookChange,
    BookSnapshot,
    Fact,
    Fill,
    Instrument,
    Liquidation,
    OrderChange,
    PositionChange,
    Side,
    Status,
    Tick,
    Trade,
)
from bridge.sim.market.history import History

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is traded and how often what happens: weights, of which 0 means never.

    ``jump_max``: how many numbers a book may leave out before a level. ``twin_rate``: the chance that a trade or
    a liquidation comes with a second one that is equal in time, price, quantity and side.
    """

    instruments: tuple[Instrument, ...]
    trades: float = 4.0
    books: float = 4.0
    orders: float = 3.0
    ticks: float = 0.5
    liquidations: float = 0.2
    twin_rate: float = 0.1
    jump_max: int = 0
    retention_s: float = DAY_S
    kept_max: int = 100_000

    def __post_init__(self) -> None:
        if not self.instruments:
            raise ValueError("a market needs an instrument")
        weights = (self.trades, self.books, self.orders, self.ticks, self.liquidations)
        if min(weights) < 0 or not 0 <= self.twin_rate <= 1:
            raise ValueError("weights are at least 0, and twin_rate is from 0 to 1")


class Market:
    """``emit`` makes things happen; ``history`` and ``book`` tell of them."""

    def __init__(self, shape: Shape, *, seed: int) -> None:
        self.shape = shape
        self.history = History(retention_s=shape.retention_s, kept_max=shape.kept_max)
        self.now = datetime.min.replace(tzinfo=UTC)
        self._rng = Random(f"{seed}:market")
        self._account = Account(Random(f"{seed}:account"))
        self._instruments = {instrument.symbol: instrument for instrument in shape.instruments}
        self._books = {
            symbol: Book(instrument, rng=Random(f"{seed}:book:{symbol}"), jump_max=shape.jump_max)
            for symbol, instrument in self._instruments.items()
        }
        self._last = {symbol: instrument.price for symbol, instrument in self._instruments.items()}
        self._trades = dict.fromkeys(self._instruments, 0)
        self._nth = count(1)
        self._happenings: dict[Callable[[Instrument], list[Fact]], float] = {
            self._trade: shape.trades,
            self._step: shape.books,
            self._order: shape.orders,
            self._tick: shape.ticks,
            self._liquidate: shape.liquidations,
        }

    @property
    def symbols(self) -> Sequence[str]:
        return tuple(self._instruments)

    def instrument(self, symbol: str) -> Instrument | None:
        return self._instruments.get(symbol)

    def emit(self, now: datetime, happenings: int = 1) -> list[Fact]:
        """Let that many things happen at ``now``; each is one fact or several. A time gone back stands still."""
        self.now = max(self.now, now)
        facts: list[Fact] = []
        kinds, weights = list(self._happenings), list(self._happenings.values())
        for kind in self._rng.choices(kinds, weights, k=happenings) if any(weights) else ():
            facts += kind(self._rng.choice(self.shape.instruments))
        for fact in facts:
            self.history.add(fact)
        return facts

    def book(self, symbol: str, *, depth: int | None = None) -> BookSnapshot:
        """The whole book now; KeyError for an unknown symbol."""
        return self._books[symbol].snapshot(self.now, depth)

    def tick(self, symbol: str) -> Tick:
        """The last price and the best of the book now; KeyError for an unknown symbol."""
        book = self._books[symbol]
        return Tick(nth=0, at=self.now, symbol=symbol, price=self._last[symbol], bid=book.bid, ask=book.ask)

    # What happens.

    def _trade(self, instrument: Instrument) -> list[Fact]:
        book = self._books[instrument.symbol]
        side = self._rng.choice((Side.BUY, Side.SELL))
        price = book.ask if side is Side.BUY else book.bid
        quantity = instrument.lot * self._rng.randint(1, 6)
        twins = 2 if self._rng.random() < self.shape.twin_rate else 1
        return [self._printed(instrument, side, price, quantity) for _ in range(twins)]

    def _printed(
        self, instrument: Instrument, side: Side, price: Decimal, quantity: Decimal, ours: str | None = None
    ) -> Trade:
        self._trades[instrument.symbol] += 1
        self._last[instrument.symbol] = price
        return Trade(
            nth=next(self._nth),
            at=self.now,
            symbol=instrument.symbol,
            number=self._trades[instrument.symbol],
            token=token_of(self._rng),
            price=price,
            quantity=quantity,
            side=side,
            taker_order=token_of(self._rng),
            maker_order=ours or token_of(self._rng),
        )

    def _step(self, instrument: Instrument) -> list[Fact]:
        book = self._books[instrument.symbol]
        previous, levels = book.step()
        return [
            BookChange(
                nth=next(self._nth),
                at=self.now,
                symbol=instrument.symbol,
                index=book.index,
                previous=previous,
                number=book.number,
                levels=levels,
            )
        ]

    def _tick(self, instrument: Instrument) -> list[Fact]:
        book = self._books[instrument.symbol]
        price = self._last[instrument.symbol]
        return [
            Tick(nth=next(self._nth), at=self.now, symbol=instrument.symbol, price=price, bid=book.bid, ask=book.ask)
        ]

    def _liquidate(self, instrument: Instrument) -> list[Fact]:
        side, quantity = self._rng.choice((Side.BUY, Side.SELL)), instrument.lot * self._rng.randint(1, 3)
        price = self._last[instrument.symbol]
        return [
            Liquidation(
                nth=next(self._nth), at=self.now, symbol=instrument.symbol, price=price, quantity=quantity, side=side
            )
            for _ in range(2 if self._rng.random() < self.shape.twin_rate else 1)
        ]

    # Our orders.

    def _order(self, instrument: Instrument) -> list[Fact]:
        roll = self._rng.random()
        open_orders = len(self._account.orders)
        if open_orders < OPEN_ORDERS_MAX and (roll < 0.5 or not open_orders):
            order = self._account.place(instrument, self._last[instrument.symbol], self.now)
            return [self._changed(order, order.status)]
        order = self._account.pick()
        if roll < 0.85:
            return self._filled(order)
        self._account.close(order)
        return [self._changed(order, Status.CANCELLED)]

    def _filled(self, order: Order) -> list[Fact]:
        """A trade of ours: the public print, the fill, the order, both wallets and the position."""
        instrument, buys = order.instrument, order.side is Side.BUY
        quantity = self._account.fill(order)
        cost, signed = quantity * order.price, quantity if buys else -quantity
        fee = (cost * FEE_RATE).quantize(Decimal("0.00000001"))
        taker = Side.SELL if buys else Side.BUY
        trade = self._printed(instrument, taker, order.price, quantity, ours=order.order_id)
        fill = Fill(
            nth=next(self._nth),
            at=self.now,
            symbol=instrument.symbol,
            order_id=order.order_id,
            number=trade.number,
            token=trade.token,
            price=order.price,
            quantity=quantity,
            side=order.side,
            maker=True,
            fee=fee,
            fee_currency=instrument.quote,
            order_price=order.price,
            order_quantity=order.quantity,
            order_filled=order.filled,
        )
        money = -cost - fee if buys else cost - fee
        return [
            trade,
            fill,
            self._changed(order, order.status),
            self._booked(instrument.base, signed),
            self._booked(instrument.quote, money),
            self._moved(instrument, signed, order.price),
        ]

    def _changed(self, order: Order, status: Status) -> OrderChange:
        order.changes += 1
        return OrderChange(
            nth=next(self._nth),
            at=self.now,
            symbol=order.instrument.symbol,
            order_id=order.order_id,
            number=order.changes,
            side=order.side,
            status=status,
            price=order.price,
            quantity=order.quantity,
            filled=order.filled,
            filled_value=order.filled_value,
            created_at=order.created_at,
        )

    def _booked(self, currency: str, amount: Decimal) -> BalanceChange:
        step = self._account.book(currency, amount)
        return BalanceChange(
            nth=next(self._nth),
            at=self.now,
            wallet_id=self._account.wallet_id(currency),
            currency=currency,
            old=step.old,
            new=step.new,
        )

    def _moved(self, instrument: Instrument, quantity: Decimal, price: Decimal) -> PositionChange:
        step = self._account.move(instrument.symbol, quantity, price)
        return PositionChange(
            nth=next(self._nth),
            at=self.now,
            symbol=instrument.symbol,
            old=step.old,
            new=step.new,
            entry_price=self._account.entry_price(instrument.symbol),
            mark_price=self._last[instrument.symbol],
        )
