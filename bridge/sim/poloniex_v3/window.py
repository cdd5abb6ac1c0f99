"""The twenty best levels of each side of one book, as ``book_lv2`` tells of them: linked, and with jumps."""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from bridge.sim.market.facts import BookChange, BookSnapshot, Side
from bridge.sim.poloniex_v3.words import plain

LEVELS_MAX = 20

Levels = list[list[str]]


class Update(NamedTuple):
    """What changed in the window between two numbers."""

    previous: int
    number: int
    bids: Levels
    asks: Levels


class Window:
    """Keeps the whole book, and shows the best of it."""

    def __init__(self, book: BookSnapshot) -> None:
        self._sides: dict[Side, dict[Decimal, Decimal]] = {Side.BUY: dict(book.bids), Side.SELL: dict(book.asks)}
        self.previous = self.number = book.number
        self._shown = {side: self._best(side) for side in Side}

    def apply(self, change: BookChange) -> Update | None:
        """What to tell of ``change``: nothing where it lies outside of the window."""
        for level in change.levels:
            if level.quantity:
                self._sides[level.side][level.price] = level.quantity
            else:
                self._sides[level.side].pop(level.price, None)
        shown = {side: self._best(side) for side in Side}
        changed = {side: self._changed(self._shown[side], shown[side]) for side in Side}
        self._shown = shown
        if not any(changed.values()):
            return None
        self.previous, self.number = self.number, change.number
        return Update(self.previous, self.number, changed[Side.BUY], changed[Side.SELL])

    def levels(self, side: Side, depth: int = LEVELS_MAX) -> Levels:
        """The best of one side, best first."""
        return _told(list(self._shown[side].items())[:depth])

    def _best(self, side: Side) -> dict[Decimal, Decimal]:
        prices = sorted(self._sides[side], reverse=side is Side.BUY)[:LEVELS_MAX]
        return {price: self._sides[side][price] for price in prices}

    @staticmethod
    def _changed(before: dict[Decimal, Decimal], after: dict[Decimal, Decimal]) -> Levels:
        """Levels that are new or other than before, and with a size of 0 those that left the window."""
        gone = [(price, Decimal(0)) for price in before if price not in after]
        return _told(gone + [(price, size) for price, size in after.items() if before.get(price) != size])


def _told(levels: Iterable[tuple[Decimal, Decimal]]) -> Levels:
    return [[plain(price), plain(size)] for price, size in levels]
