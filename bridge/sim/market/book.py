"""A book that is kept: each step moves a few levels, and the whole can be shown at any time."""

from datetime import datetime
from decimal import Decimal
from random import Random

from bridge.sim.market.facts import BookSnapshot, Instrument, Level, Side

DEPTH = 25
"""How many ticks from the middle levels come and go."""


class Book:
    """One instrument's. Bids lie below the middle and asks above it, always."""

    def __init__(self, instrument: Instrument, *, rng: Random, jump_max: int) -> None:
        self._instrument = instrument
        self._rng = rng
        self._jump_max = jump_max
        self._middle = int(instrument.price / instrument.tick)
        self._sides: dict[Side, dict[int, Decimal]] = {Side.BUY: {}, Side.SELL: {}}
        self.index = 0
        self.number = rng.randint(1_000, 9_000)
        for offset in range(1, DEPTH + 1):
            self._sides[Side.BUY][self._middle - offset] = self._quantity()
            self._sides[Side.SELL][self._middle + offset] = self._quantity()

    @property
    def bid(self) -> Decimal:
        return self._price(max(self._sides[Side.BUY], default=self._middle - 1))

    @property
    def ask(self) -> Decimal:
        return self._price(min(self._sides[Side.SELL], default=self._middle + 1))

    def step(self) -> tuple[int, tuple[Level, ...]]:
        """Change one to five levels. Returns the number before and what changed."""
        previous = self.number
        changed = dict(self._move())
        for _ in range(self._rng.randint(1, 3)):
            side = self._rng.choice((Side.BUY, Side.SELL))
            offset = self._rng.randint(1, DEPTH)
            ticks = self._middle - offset if side is Side.BUY else self._middle + offset
            gone = ticks in self._sides[side] and len(self._sides[side]) > 2 and self._rng.random() < 0.3
            changed[side, ticks] = Decimal(0) if gone else self._quantity()
        levels = []
        for (side, ticks), quantity in changed.items():
            if quantity:
                self._sides[side][ticks] = quantity
            else:
                self._sides[side].pop(ticks, None)
            self.number += 1 + (self._rng.randint(0, self._jump_max) if self._jump_max else 0)
            levels.append(Level(side, self._price(ticks), quantity, self.number))
        self.index += 1
        return previous, tuple(levels)

    def snapshot(self, at: datetime, depth: int | None = None) -> BookSnapshot:
        """The book as it stands; at most ``depth`` levels a side."""
        bids = sorted(self._sides[Side.BUY].items(), reverse=True)[:depth]
        asks = sorted(self._sides[Side.SELL].items())[:depth]
        return BookSnapshot(
            at=at,
            symbol=self._instrument.symbol,
            index=self.index,
            number=self.number,
            bids=tuple((self._price(ticks), quantity) for ticks, quantity in bids),
            asks=tuple((self._price(ticks), quantity) for ticks, quantity in asks),
        )

    def _move(self) -> dict[tuple[Side, int], Decimal]:
        """Let the middle walk; what it has passed, or has left far behind, goes."""
        if self._rng.random() < 0.3:
            self._middle = max(4 * DEPTH, self._middle + self._rng.choice((-1, 1)))
        gone: dict[tuple[Side, int], Decimal] = {}
        for ticks in self._sides[Side.BUY]:
            if not self._middle - 4 * DEPTH <= ticks < self._middle:
                gone[Side.BUY, ticks] = Decimal(0)
        for ticks in self._sides[Side.SELL]:
            if not self._middle < ticks <= self._middle + 4 * DEPTH:
                gone[Side.SELL, ticks] = Decimal(0)
        return gone

    def _quantity(self) -> Decimal:
        return self._instrument.lot * self._rng.randint(1, 40)

    def _price(self, ticks: int) -> Decimal:
        return self._instrument.tick * ticks
