"""What happens at the venue: a seeded, endless, believable course of trading.

Knows orders, fills and the ten event types; knows no numbers, no commits and no transports.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import msgspec

EVENT_TYPES = (
    "MARKET_CREATED",
    "MARKET_STATUS_CHANGED",
    "MARKET_RESOLVED",
    "ORDER_BOOK_UPDATE",
    "PRICE_UPDATED",
    "ORDER_PLACED",
    "ORDER_MATCHED",
    "ORDER_CANCELLED",
    "POSITION_UPDATED",
    "SETTLEMENT_COMPLETED",
)
OPEN_ORDERS_MAX = 64


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened to us, before it has a number. ``payload`` is JSON text."""

    event_type: str
    market_id: str
    payload: bytes


@dataclass(slots=True)
class _Order:
    order_id: str
    market_id: str
    outcome_id: str
    side: str
    type: str
    shares: int
    price: float
    filled: int = 0


def uuid_of(rng: Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


class Trading:
    """One operator's life at the venue; every value comes from ``rng``."""

    def __init__(self, rng: Random, *, operator_id: str, markets: Sequence[str]) -> None:
        if not markets:
            raise ValueError("trading needs a market")
        self._rng = rng
        self._operator_id = operator_id
        self._markets = tuple(markets)
        self._outcomes = {m: (f"a{m[1:]}", f"b{m[1:]}") for m in markets}
        self._orders: list[_Order] = []
        self._next: deque[tuple[str, str, dict[str, object]]] = deque()
        self._suspended: set[str] = set()

    def fact(self, at_ms: int) -> Fact:
        """The next thing that happens, at ``at_ms`` (Unix milliseconds)."""
        if not self._next:
            self._happen(at_ms)
        event_type, market_id, payload = self._next.popleft()
        return Fact(event_type, market_id, msgspec.json.encode(payload))

    def _happen(self, at_ms: int) -> None:
        roll = self._rng.random()
        market_id = self._rng.choice(self._markets)
        if roll < 0.45 or (roll < 0.88 and not self._orders):
            self._place(market_id, at_ms)
        elif roll < 0.84:
            self._match(at_ms)
        elif roll < 0.88:
            self._cancel(at_ms)
        elif roll < 0.92:
            self._position(market_id, at_ms)
        elif roll < 0.95:
            self._add("PRICE_UPDATED", market_id, self._prices(market_id, at_ms))
        elif roll < 0.98:
            self._add("ORDER_BOOK_UPDATE", market_id, self._book(market_id, at_ms))
        elif roll < 0.995:
            self._status(market_id, at_ms)
        else:
            self._side_market(at_ms)

    def _add(self, event_type: str, market_id: str, payload: dict[str, object]) -> None:
        self._next.append((event_type, market_id, payload))

    def _order_fields(self, order: _Order) -> dict[str, object]:
        return {
            "orderId": order.order_id,
            "marketId": order.market_id,
            "outcomeId": order.outcome_id,
            "operatorId": self._operator_id,
        }

    def _place(self, market_id: str, at_ms: int) -> None:
        rng = self._rng
        order = _Order(
            order_id=uuid_of(rng),
            market_id=market_id,
            outcome_id=rng.choice(self._outcomes[market_id]),
            side=rng.choice(("BUY", "SELL")),
            type="LIMIT",
            shares=rng.randint(1, 500),
            price=rng.randint(1, 99) / 100,
        )
        if len(self._orders) >= OPEN_ORDERS_MAX:
            self._orders.pop(0)
        self._orders.append(order)
        placed = self._order_fields(order)
        placed |= {"side": order.side, "type": order.type, "shares": order.shares, "price": order.price}
        placed |= {"status": "PENDING", "filledShares": 0, "timestamp": at_ms}
        self._add("ORDER_PLACED", market_id, placed)

    def _match(self, at_ms: int) -> None:
        """One trade: one row, or two that share its id when both orders are ours."""
        rng = self._rng
        first = rng.choice(self._orders)
        sides = [first]
        others = [o for o in self._orders if o.market_id == first.market_id and o.side != first.side]
        if others and rng.random() < 0.25:
            sides.append(rng.choice(others))
        size = rng.randint(1, min(o.shares - o.filled for o in sides))
        trade_id = uuid_of(rng)
        for order in sides:
            order.filled += size
            left = order.shares - order.filled
            matched = self._order_fields(order)
            matched |= {"tradeId": trade_id, "side": order.side, "price": first.price, "shares": size}
            matched |= {"filledShares": order.filled, "remainingShares": left}
            matched |= {"status": "PARTIAL" if left else "FILLED", "timestamp": at_ms}
            self._add("ORDER_MATCHED", order.market_id, matched)
            if not left:
                self._orders.remove(order)

    def _cancel(self, at_ms: int) -> None:
        order = self._orders.pop(self._rng.randrange(len(self._orders)))
        cancelled = self._order_fields(order)
        cancelled |= {"side": order.side, "type": order.type, "shares": order.shares, "price": order.price}
        cancelled |= {"filledShares": order.filled, "remainingShares": order.shares - order.filled}
        cancelled |= {"status": "CANCELLED", "timestamp": at_ms}
        self._add("ORDER_CANCELLED", order.market_id, cancelled)

    def _position(self, market_id: str, at_ms: int) -> None:
        rng = self._rng
        shares, price = rng.randint(0, 5000), rng.randint(1, 99)
        outcome_id = rng.choice(self._outcomes[market_id])
        position = {
            "id": f"pos-{outcome_id}",
            "marketId": market_id,
            "outcomeId": outcome_id,
            "operatorId": self._operator_id,
            "shares": str(shares),
            "avgPrice": f"0.{price:02d}",
            "totalCost": f"{shares * price / 100:.2f}",
            "realizedPnl": f"{rng.randint(-9999, 9999) / 100:.2f}",
        }
        told = {"marketId": market_id, "operatorId": self._operator_id, "position": position}
        self._add("POSITION_UPDATED", market_id, {**told, "timestamp": at_ms})

    def _prices(self, market_id: str, at_ms: int) -> dict[str, object]:
        bid = self._rng.randint(2, 95)
        prices = [
            {
                "marketId": market_id,
                "outcomeId": outcome_id,
                "outcomeName": name,
                "bestBid": low / 100,
                "bestAsk": (low + 3) / 100,
                "lastPrice": (low + 1) / 100,
                "midPrice": (2 * low + 3) / 200,
                "spread": 0.03,
                "volume24h": self._rng.randint(100, 90_000),
            }
            for outcome_id, name, low in zip(self._outcomes[market_id], ("Yes", "No"), (bid, 97 - bid), strict=True)
        ]
        return {"marketId": market_id, "prices": prices, "timestamp": at_ms}

    def _book(self, market_id: str, at_ms: int) -> dict[str, object]:
        rng = self._rng
        outcome_id = rng.choice(self._outcomes[market_id])
        bid = rng.randint(5, 90)

        def level(cents: int) -> dict[str, object]:
            return {"price": cents / 100, "shares": rng.randint(1, 900), "orderCount": rng.randint(1, 9)}

        book = {
            "marketId": market_id,
            "outcomeId": outcome_id,
            "bids": [level(bid - step) for step in range(3)],
            "asks": [level(bid + 2 + step) for step in range(3)],
            "bestBid": bid / 100,
            "bestAsk": (bid + 2) / 100,
            "spread": 0.02,
            "timestamp": at_ms,
        }
        return {"marketId": market_id, "outcomeId": outcome_id, "orderBook": book, "timestamp": at_ms}

    def _status(self, market_id: str, at_ms: int) -> None:
        self._suspended ^= {market_id}
        status = "SUSPENDED" if market_id in self._suspended else "OPEN"
        told: dict[str, object] = {"marketId": market_id, "status": status, "timestamp": at_ms}
        self._add("MARKET_STATUS_CHANGED", market_id, told)

    def _side_market(self, at_ms: int) -> None:
        """A market of its own is created, resolved and settled, so that ours can trade for ever."""
        rng = self._rng
        market_id, winner, loser = uuid_of(rng), uuid_of(rng), uuid_of(rng)
        outcomes = [{"id": winner, "name": "Yes"}, {"id": loser, "name": "No"}]
        created = {"marketId": market_id, "title": f"Will it rain on day {rng.randint(1, 365)}?"}
        self._add("MARKET_CREATED", market_id, {**created, "status": "DRAFT", "outcomes": outcomes})
        resolved = {"marketId": market_id, "winningOutcomeId": winner, "timestamp": at_ms}
        self._add("MARKET_RESOLVED", market_id, resolved)
        shares = rng.randint(1, 500)
        settled = {"id": uuid_of(rng), "positionId": uuid_of(rng), "marketId": market_id, "outcomeId": winner}
        settled |= {"operatorId": self._operator_id, "playerId": f"player-{rng.randint(1, 99)}"}
        settled |= {"shares": str(shares), "payoutPerShare": "1", "totalPayout": str(shares)}
        self._add("SETTLEMENT_COMPLETED", market_id, {**settled, "transactionId": None, "status": "COMPLETED"})

    def snapshot(self, market_id: str, at_ms: int) -> list[tuple[str, dict[str, object]]]:
        """What a new subscriber is told of ``market_id``: (event type, payload) of prices and a book."""
        return [
            ("PRICE_UPDATED", self._prices(market_id, at_ms)),
            ("ORDER_BOOK_UPDATE", self._book(market_id, at_ms)),
        ]
