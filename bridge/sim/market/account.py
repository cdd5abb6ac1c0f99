"""Our account at the market: orders that live and die, wallets that chain, positions that follow."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random

from bridge.sim.market.facts import Instrument, Side, Status

OPEN_ORDERS_MAX = 32
FEE_RATE = Decimal("0.0005")
STARTING_BALANCE = Decimal("1000000.00")


@dataclass(slots=True)
class Order:
    """An open order as it stands."""

    order_id: str
    instrument: Instrument
    side: Side
    price: Decimal
    quantity: Decimal
    created_at: datetime
    filled: Decimal = Decimal(0)
    filled_value: Decimal = Decimal(0)
    changes: int = 0

    @property
    def status(self) -> Status:
        if not self.filled:
            return Status.NEW
        return Status.FILLED if self.filled == self.quantity else Status.PARTLY_FILLED


@dataclass(frozen=True, slots=True)
class Step:
    """A value before and after."""

    old: Decimal
    new: Decimal


class Account:
    """Knows amounts; knows no time and tells nobody."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.orders: list[Order] = []
        self._balances: dict[str, Decimal] = {}
        self._wallets: dict[str, str] = {}
        self._positions: dict[str, Decimal] = {}
        self._entries: dict[str, Decimal] = {}

    def wallet_id(self, currency: str) -> str:
        """32 hex digits, the same for ever."""
        if currency not in self._wallets:
            self._wallets[currency] = token_of(self._rng)
        return self._wallets[currency]

    def place(self, instrument: Instrument, price: Decimal, at: datetime) -> Order:
        order = Order(
            order_id=token_of(self._rng),
            instrument=instrument,
            side=self._rng.choice((Side.BUY, Side.SELL)),
            price=price,
            quantity=instrument.lot * self._rng.randint(1, 12),
            created_at=at,
        )
        self.orders.append(order)
        return order

    def pick(self) -> Order:
        """One of the open orders."""
        return self._rng.choice(self.orders)

    def fill(self, order: Order) -> Decimal:
        """Fill a part of ``order``, or what remains of it. Returns how much."""
        left = int((order.quantity - order.filled) / order.instrument.lot)
        quantity = order.instrument.lot * (left if self._rng.random() < 0.5 else self._rng.randint(1, left))
        order.filled += quantity
        order.filled_value += quantity * order.price
        if order.filled == order.quantity:
            self.close(order)
        return quantity

    def close(self, order: Order) -> None:
        self.orders.remove(order)

    def book(self, currency: str, amount: Decimal) -> Step:
        """Add ``amount`` to the wallet."""
        old = self._balances.get(currency, STARTING_BALANCE)
        self._balances[currency] = old + amount
        return Step(old, old + amount)

    def move(self, symbol: str, quantity: Decimal, price: Decimal) -> Step:
        """Add a signed ``quantity`` to the position."""
        old = self._positions.get(symbol, Decimal(0))
        self._positions[symbol] = old + quantity
        if abs(old + quantity) > abs(old):
            self._entries[symbol] = price
        return Step(old, old + quantity)

    def entry_price(self, symbol: str) -> Decimal:
        return self._entries.get(symbol, Decimal(0))


def token_of(rng: Random) -> str:
    """32 hex digits that nobody else gets."""
    return f"{rng.getrandbits(128):032x}"
