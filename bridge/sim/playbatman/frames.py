"""What the socket says of a row: no id, no sequence, and for some rows nothing at all."""

from dataclasses import dataclass
from decimal import Decimal

import msgspec

from bridge.sim.playbatman.row import Row

_SAME_PAYLOAD = {
    "PRICE_UPDATED": "PRICE_UPDATE",
    "ORDER_BOOK_UPDATE": "ORDERBOOK_UPDATE",
    "MARKET_STATUS_CHANGED": "MARKET_STATUS",
    "POSITION_UPDATED": "POSITION_UPDATE",
}
_ORDER_TYPES = frozenset({"ORDER_MATCHED", "ORDER_CANCELLED"})


@dataclass(frozen=True, slots=True)
class Frame:
    """One text frame and the market whose subscribers get it."""

    market_id: str
    body: bytes


def frame_of(frame_type: str, payload: object) -> bytes:
    return msgspec.json.encode({"type": frame_type, "payload": payload})


def frames_of(row: Row, *, trades_seen: dict[str, None]) -> list[Frame]:
    """The frames that ``row`` causes; ``trades_seen`` grows so that a trade of two rows is told once."""
    if frame_type := _SAME_PAYLOAD.get(row.event_type):
        body = b'{"type":"%b","payload":%b}' % (frame_type.encode(), row.payload)
        return [Frame(row.market_id, body)]
    if row.event_type == "MARKET_RESOLVED":
        told = {"marketId": row.market_id, "status": "RESOLVED", "timestamp": _fields(row)["timestamp"]}
        return [Frame(row.market_id, frame_of("MARKET_STATUS", told))]
    if row.event_type not in _ORDER_TYPES:
        return []
    fields = _fields(row)
    frames = [Frame(row.market_id, frame_of("ORDER_UPDATE", _order_update(fields)))]
    trade_id = fields.get("tradeId")
    if isinstance(trade_id, str) and trade_id not in trades_seen:
        trades_seen[trade_id] = None
        names = ("marketId", "outcomeId", "price", "shares", "side", "timestamp")
        frames.append(Frame(row.market_id, frame_of("TRADE", {name: fields[name] for name in names})))
    return frames


def _fields(row: Row) -> dict[str, object]:
    return msgspec.json.decode(row.payload, type=dict[str, object])


def _order_update(fields: dict[str, object]) -> dict[str, object]:
    """The order as the socket shows it: under ``order``, quantities as strings."""
    filled, left = Decimal(str(fields["filledShares"])), Decimal(str(fields["remainingShares"]))
    order = {
        "id": fields["orderId"],
        "marketId": fields["marketId"],
        "outcomeId": fields["outcomeId"],
        "operatorId": fields["operatorId"],
        "playerId": f"player-{str(fields['orderId'])[:4]}",
        "side": fields["side"],
        "type": fields.get("type", "LIMIT"),
        "shares": str(filled + left),
        "price": str(fields["price"]),
        "filledShares": str(filled),
        "avgFillPrice": str(fields["price"]),
        "remainingShares": str(left),
        "status": fields["status"],
        "transactionId": None,
    }
    return {
        "marketId": fields["marketId"],
        "operatorId": fields["operatorId"],
        "order": order,
        "timestamp": fields["timestamp"],
    }
