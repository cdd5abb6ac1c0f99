"""Our orders as the venue's lists show them at any recent time: open with their last state, completed with fills."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from bridge.sim.cryptomus.words import Row, fill_words, order_id, padded, state_of, written
from bridge.sim.market.facts import Fill, OrderChange
from bridge.sim.market.ids import ulid_of


@dataclass(slots=True)
class _Order:
    changes: list[OrderChange] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)


class Orders:
    """Everything since the venue's start, by order."""

    def __init__(self) -> None:
        self._orders: dict[str, _Order] = {}
        self._ended: list[OrderChange] = []

    def changed(self, change: OrderChange) -> None:
        self._of(change.order_id).changes.append(change)
        if change.status.final:
            self._ended.append(change)

    def filled(self, fill: Fill) -> str:
        """Keep a fill; the id of the deal that it is part of."""
        order = self._of(fill.order_id)
        order.fills.append(fill)
        return deal_id(order.changes[0])

    def open(self, as_of: datetime) -> Iterator[OrderChange]:
        """The last state of each order that was open, the newest first."""
        for order in reversed(self._orders.values()):
            known = bisect_right(order.changes, as_of, key=lambda change: change.at)
            if known and not order.changes[known - 1].status.final:
                yield order.changes[known - 1]

    def completed(self, as_of: datetime) -> Iterator[OrderChange]:
        """The last state of each order that had ended, the newest end first."""
        known = bisect_right(self._ended, as_of, key=lambda change: change.at)
        return reversed(self._ended[:known])

    def completed_row(self, change: OrderChange) -> Row:
        """An order with its fills; the times have no zone."""
        fills = self._of(change.order_id).fills
        transactions = [
            {"id": ulid_of(fill.token, fill.at), **fill_words(fill), "committedAt": written(fill.at)}
            for fill in fills
        ]
        deal = (
            {
                "id": deal_id(change),
                "state": "completed",
                "createdAt": written(fills[0].at),
                "completedAt": written(change.at),
                "averageFilledPrice": padded(change.filled_value / change.filled),
                "transactions": transactions,
            }
            if fills
            else None
        )
        return {
            "id": order_id(change),
            "type": "limit",
            "direction": change.side.value,
            "symbol": change.symbol,
            "quantity": padded(change.quantity),
            "filledQuantity": padded(change.filled),
            "filledValue": padded(change.filled_value),
            **state_of(change),
            "createdAt": written(change.created_at),
            "finishedAt": written(change.at),
            "deal": deal,
        }

    def _of(self, token: str) -> _Order:
        return self._orders.setdefault(token, _Order())


def open_row(change: OrderChange) -> Row:
    """An open order. When it was filled last is not said."""
    return {
        "id": order_id(change),
        "direction": change.side.value,
        "symbol": change.symbol,
        "price": padded(change.price),
        "quantity": padded(change.quantity),
        "value": padded(change.price * change.quantity),
        "filledQuantity": padded(change.filled),
        "filledValue": padded(change.filled_value),
        "createdAt": written(change.created_at),
        "clientOrderId": None,
        "stopLossPrice": None,
    }


def deal_id(change: OrderChange) -> str:
    return ulid_of(change.order_id[::-1], change.created_at)
