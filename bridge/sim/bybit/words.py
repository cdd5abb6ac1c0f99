"""The venue's words for facts: rows as the sockets push them and as the lists show them, and what they are known by.

Rows are made of a fact alone, so that both ways tell the same. Pure.
"""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec

from bridge.sim.market import Assigned
from bridge.sim.market.facts import BalanceChange, Fill, Liquidation, OrderChange, PositionChange, Side, Status, Trade
from bridge.sim.market.ids import ms_of, uuid_of, whole_ms

CATEGORY = "linear"
SEQ_BASE = 77_000_000
Row = dict[str, object]

_SIDES = {Side.BUY: "Buy", Side.SELL: "Sell"}
_STATUSES = {
    Status.NEW: "New",
    Status.PARTLY_FILLED: "PartiallyFilled",
    Status.FILLED: "Filled",
    Status.CANCELLED: "Cancelled",
}


class Told(NamedTuple):
    """A row, and the event in it."""

    row: Row
    item: Assigned


def encode(row: Row) -> bytes:
    return msgspec.json.encode(row)


def plain(amount: Decimal) -> str:
    """One spelling for equal amounts."""
    text = format(amount, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def seq_of(nth: int) -> int:
    """The cross sequence of the ``nth`` fact: it grows, and is never dense in one channel."""
    return SEQ_BASE + nth


def trade_told(fact: Trade, seq: int) -> Told:
    row: Row = {
        "T": ms_of(fact.at),
        "s": fact.symbol,
        "S": _SIDES[fact.side],
        "v": str(fact.quantity),
        "p": str(fact.price),
        "L": "ZeroMinusTick",
        "i": uuid_of(fact.token),
        "BT": False,
        "RPI": False,
        "seq": seq,
    }
    return Told(row, Assigned(f"{fact.symbol}:{uuid_of(fact.token)}", whole_ms(fact.at)))


def trade_listed(fact: Trade) -> Row:
    return {
        "execId": uuid_of(fact.token),
        "symbol": fact.symbol,
        "price": str(fact.price),
        "size": str(fact.quantity),
        "side": _SIDES[fact.side],
        "time": str(ms_of(fact.at)),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": str(seq_of(fact.nth)),
    }


def liquidation_told(fact: Liquidation) -> Told:
    at, side = ms_of(fact.at), _SIDES[fact.side]
    row: Row = {"T": at, "s": fact.symbol, "S": side, "v": str(fact.quantity), "p": str(fact.price)}
    return Told(row, Assigned(f"{at}:{side}:{plain(fact.price)}:{plain(fact.quantity)}", whole_ms(fact.at)))


def fill_told(fact: Fill) -> Told:
    exec_id = uuid_of(fact.token)
    row: Row = {
        "category": CATEGORY,
        "symbol": fact.symbol,
        "execFee": str(fact.fee),
        "execId": exec_id,
        "execPrice": str(fact.price),
        "execQty": str(fact.quantity),
        "execType": "Trade",
        "execValue": str(fact.price * fact.quantity),
        "feeRate": "0.0005",
        "feeCurrency": fact.fee_currency,
        "isMaker": fact.maker,
        "leavesQty": str(fact.order_quantity - fact.order_filled),
        "orderId": uuid_of(fact.order_id),
        "orderLinkId": "",
        "orderPrice": str(fact.order_price),
        "orderQty": str(fact.order_quantity),
        "orderType": "Limit",
        "side": _SIDES[fact.side],
        "execTime": str(ms_of(fact.at)),
        "execPnl": "0",
        "closedSize": "0",
        "seq": seq_of(fact.nth),
    }
    return Told(row, Assigned(f"{CATEGORY}:{exec_id}", whole_ms(fact.at)))


FAST_FIELDS = (
    "category",
    "symbol",
    "execId",
    "execPrice",
    "execQty",
    "orderId",
    "isMaker",
    "orderLinkId",
    "side",
    "execTime",
    "seq",
)


def order_told(fact: OrderChange, *, raced: bool = False) -> Told:
    """``raced``: filled while it was being cancelled, which is told a second time with other reasons."""
    at, status = str(ms_of(fact.at)), _STATUSES[fact.status]
    by_user = raced or fact.status is Status.CANCELLED
    cancel = "CancelByUser" if by_user else "UNKNOWN"
    reason = "EC_PerCancelRequest" if by_user else "EC_NoError"
    row: Row = {
        "category": CATEGORY,
        "symbol": fact.symbol,
        "orderId": uuid_of(fact.order_id),
        "orderLinkId": "",
        "side": _SIDES[fact.side],
        "orderType": "Limit",
        "price": str(fact.price),
        "qty": str(fact.quantity),
        "orderStatus": status,
        "cancelType": cancel,
        "rejectReason": reason,
        "avgPrice": "" if not fact.filled else str(fact.filled_value / fact.filled),
        "leavesQty": "0" if fact.status.final else str(fact.quantity - fact.filled),
        "cumExecQty": str(fact.filled),
        "cumExecValue": str(fact.filled_value),
        "timeInForce": "GTC",
        "createdTime": str(ms_of(fact.created_at)),
        "updatedTime": at,
    }
    known_by = (uuid_of(fact.order_id), at, status, plain(fact.filled), *((cancel, reason) if by_user else ("", "")))
    return Told(row, Assigned(":".join(known_by), whole_ms(fact.at)))


def position_told(fact: PositionChange, *, again: bool = False) -> Told:
    at, seq, size = ms_of(fact.at), seq_of(fact.nth), abs(fact.new)
    row: Row = {
        "category": CATEGORY,
        "symbol": fact.symbol,
        "positionIdx": 0,
        "side": "" if not fact.new else "Buy" if fact.new > 0 else "Sell",
        "size": str(size),
        "entryPrice": str(fact.entry_price),
        "leverage": "10",
        "positionValue": str(size * fact.entry_price),
        "markPrice": str(fact.mark_price),
        "liqPrice": "",
        "positionStatus": "Normal",
        "updatedTime": str(at),
        "seq": seq,
    }
    event_id = f"{CATEGORY}:{fact.symbol}:0:{at}:{seq}:{plain(size)}"
    return Told(row, Assigned(event_id, whole_ms(fact.at), optional=again))


def wallet_row(changes: list[BalanceChange]) -> Row:
    coins = [
        {
            "coin": change.currency,
            "equity": str(change.new),
            "walletBalance": str(change.new),
            "locked": "0",
            "borrowAmount": "0",
        }
        for change in changes
    ]
    return {"accountType": "UNIFIED", "totalEquity": "", "totalWalletBalance": "", "coin": coins}


def private_frame(topic: str, rows: list[Row], now: datetime, number: str = "") -> bytes:
    """A message of a private topic; the fast executions carry no ``number``."""
    named: Row = {"id": number} if number else {}
    return encode({**named, "topic": topic, "creationTime": ms_of(now), "data": rows})
