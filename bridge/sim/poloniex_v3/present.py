"""What the venue shows of our account now: positions and balances, as they were known at any recent time."""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

from bridge.sim.market.facts import BalanceChange, PositionChange
from bridge.sim.poloniex_v3.words import Told, balance_told, ms_of, position_told

REMEMBERED_MAX = 2_000


class Present:
    """Each change of a position or a balance gets a time of its own, so that none is taken for another."""

    def __init__(self) -> None:
        self._orders: dict[str, str] = {}
        self._changes: dict[tuple[str, str], deque[tuple[datetime, Told]]] = {}

    def order(self, order_id: str) -> str:
        """The venue's number of an order: later orders have larger ones."""
        return self._orders.setdefault(order_id, str(331_000_000_000 + len(self._orders)))

    def moved(self, change: PositionChange) -> Told:
        """The row of a position after a change."""
        return self._keep("positions", change.symbol, lambda at: position_told(change, at), change.at)

    def booked(self, change: BalanceChange) -> Told:
        """The row of a currency after a change."""
        return self._keep("account", change.currency, lambda at: balance_told(change, at), change.at)

    def as_of(self, word: str, now: datetime) -> Sequence[Told]:
        """The last row of each position, or of each currency, that was known at ``now``."""
        found = []
        for (kind, _), changes in self._changes.items():
            known = [told for at, told in changes if at <= now] if kind == word else []
            found += known[-1:]
        return found

    def _keep(self, word: str, key: str, told: Callable[[int], Told], at: datetime) -> Told:
        changes = self._changes.setdefault((word, key), deque(maxlen=REMEMBERED_MAX))
        last = ms_of(changes[-1][1].item.at) if changes else 0
        changes.append((at, told(max(ms_of(at), last + 1))))
        return changes[-1][1]
