"""What happens at a market, in no venue's words: trades, our orders and fills, balances, positions, books.

Times are the venue's own, aware UTC, and never go back. Amounts are decimals. ``nth`` counts every fact of a
market from 1 in the order in which the venue decided them.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class Status(StrEnum):
    """Where an order of ours stands."""

    NEW = "new"
    PARTLY_FILLED = "partly_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self in (Status.FILLED, Status.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """What is traded: ``base`` for ``quote``, from ``price`` on, in steps of ``tick`` and ``lot``."""

    symbol: str
    base: str
    quote: str
    price: Decimal = Decimal("100.00")
    tick: Decimal = Decimal("0.01")
    lot: Decimal = Decimal("0.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A public print. ``number`` is dense per symbol from 1; ``token`` is 32 hex digits, unique.

    ``side`` is the taker's. Two trades may be equal in time, price, quantity and side: twins.
    """

    nth: int
    at: datetime
    symbol: str
    number: int
    token: str
    price: Decimal
    quantity: Decimal
    side: Side
    taker_order: str
    maker_order: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidation:
    """Somebody was closed by force; no id anywhere. ``side`` is that of the position."""

    nth: int
    at: datetime
    symbol: str
    price: Decimal
    quantity: Decimal
    side: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChange:
    """An order of ours after a change; ``number`` counts the changes of this order from 1."""

    nth: int
    at: datetime
    symbol: str
    order_id: str
    number: int
    side: Side
    status: Status
    price: Decimal
    quantity: Decimal
    filled: Decimal
    filled_value: Decimal
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """Our part in the trade ``number`` of the symbol, whose ``token`` is the fill's too."""

    nth: int
    at: datetime
    symbol: str
    order_id: str
    number: int
    token: str
    price: Decimal
    quantity: Decimal
    side: Side
    maker: bool
    fee: Decimal
    fee_currency: str
    order_price: Decimal
    order_quantity: Decimal
    order_filled: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceChange:
    """One wallet before and after: ``old`` is what the change before it said is ``new``."""

    nth: int
    at: datetime
    wallet_id: str
    currency: str
    old: Decimal
    new: Decimal

    @property
    def symbol(self) -> str:
        """What its history is kept under."""
        return self.currency


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionChange:
    """Our position in a symbol before and after; quantities are signed, long is positive."""

    nth: int
    at: datetime
    symbol: str
    old: Decimal
    new: Decimal
    entry_price: Decimal
    mark_price: Decimal


@dataclass(frozen=True, slots=True)
class Level:
    """A price level after a change, absolute: quantity 0 takes it away. ``number`` is the change's own."""

    side: Side
    price: Decimal
    quantity: Decimal
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookChange:
    """A step of a book. It follows the step whose ``number`` is ``previous``; numbers may jump.

    ``index`` is dense per symbol, for venues that count steps. Every level has a number of its own with
    previous < number <= the step's, ascending; the last one has the step's.
    """

    nth: int
    at: datetime
    symbol: str
    index: int
    previous: int
    number: int
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookSnapshot:
    """The whole book after the step ``number``: (price, quantity), best first."""

    at: datetime
    symbol: str
    index: int
    number: int
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """The last price and the best of the book."""

    nth: int
    at: datetime
    symbol: str
    price: Decimal
    bid: Decimal
    ask: Decimal


Fact = Trade | Liquidation | OrderChange | Fill | BalanceChange | PositionChange | BookChange | Tick
