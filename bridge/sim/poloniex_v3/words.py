"""The venue's words for what happened: rows as they are told, each with the id and the time it goes by."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec

from bridge.sim.market import Assigned
from bridge.sim.market.facts import BalanceChange, Fill, Liquidation, OrderChange, PositionChange, Status, Trade

_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)
_STATES = {
    Status.NEW: "NEW",
    Status.PARTLY_FILLED: "PARTIALLY_FILLED",
    Status.FILLED: "FILLED",
    Status.CANCELLED: "CANCELED",
}
Row = dict[str, object]


class Told(NamedTuple):
    """A row, and the event it is."""

    row: Row
    item: Assigned


def plain(value: Decimal) -> str:
    """A decimal without zeros at its end and without an exponent."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ms_of(at: datetime) -> int:
    return (at - _ORIGIN) // timedelta(milliseconds=1)


def at_ms(ms: int) -> datetime:
    return _ORIGIN + timedelta(milliseconds=ms)


def frame(word: str, rows: list[Row] | list[list[object]], action: str | None = None) -> bytes:
    told: Row = {"channel": word, "data": rows}
    return msgspec.json.encode(told if action is None else {**told, "action": action})


def trade_row(trade: Trade) -> Row:
    """As the list has it; a push has its symbol and its own time beside."""
    return {
        "id": trade.number,
        "px": plain(trade.price),
        "qty": plain(trade.quantity),
        "amt": plain(trade.price * trade.quantity),
        "side": trade.side.value,
        "cT": ms_of(trade.at),
    }


def trade_told(trade: Trade, now_ms: int) -> Told:
    item = Assigned(f"{trade.symbol}:{trade.number}", at_ms(ms_of(trade.at)))
    return Told({**trade_row(trade), "s": trade.symbol, "ts": now_ms}, item)


def liquidation_row(liquidation: Liquidation) -> Row:
    return {
        "s": liquidation.symbol,
        "side": liquidation.side.value.upper(),
        "px": plain(liquidation.price),
        "sz": plain(liquidation.quantity),
        "cT": ms_of(liquidation.at),
    }


def order_told(change: OrderChange, number: str) -> Told:
    """``number`` is the order's id in the venue's way of counting."""
    at, state = ms_of(change.at), _STATES[change.status]
    average = change.filled_value / change.filled if change.filled else Decimal(0)
    row: Row = {
        "symbol": change.symbol,
        "side": change.side.value.upper(),
        "type": "LIMIT",
        "mgnMode": "CROSS",
        "posSide": "BOTH",
        "timeInForce": "GTC",
        "ordId": number,
        "clOrdId": "",
        "sz": plain(change.quantity),
        "px": plain(change.price),
        "reduceOnly": "false",
        "state": state,
        "source": "API",
        "avgPx": plain(average.quantize(Decimal("0.00000001"))),
        "execQty": plain(change.filled),
        "execAmt": plain(change.filled_value),
        "cTime": str(ms_of(change.created_at)),
        "uTime": str(at),
    }
    return Told(row, Assigned(f"{number}:{at}:{state}:{plain(change.filled)}", at_ms(at)))


def fill_told(fill: Fill, order: str) -> Told:
    """As the socket tells it."""
    at = ms_of(fill.at)
    row: Row = {
        "symbol": fill.symbol,
        "side": fill.side.value.upper(),
        "ordId": order,
        "clOrdId": "",
        "role": "MAKER" if fill.maker else "TAKER",
        "trdId": str(fill.number),
        "feeCcy": fill.fee_currency,
        "feeAmt": plain(fill.fee),
        "deductCcy": "0",
        "deductAmt": "0",
        "fpx": plain(fill.price),
        "fqty": plain(fill.quantity),
        "uTime": str(at),
    }
    return Told(row, Assigned(f"{fill.symbol}:{fill.number}:{order}", at_ms(at)))


def fill_row(fill: Fill, order: str) -> Row:
    """As the list has it: other names for price and quantity, and an id that pages go by."""
    row = fill_told(fill, order).row
    price, quantity = row.pop("fpx"), row.pop("fqty")
    return {**row, "id": str(fill.nth), "type": "TRADE", "px": price, "qty": quantity, "cTime": row["uTime"]}


def position_told(change: PositionChange, at: int) -> Told:
    """``at`` is the time of the change; no two changes of a position have the same."""
    scope = f"{change.symbol}|BOTH|CROSS"
    row: Row = {
        "symbol": change.symbol,
        "posSide": "BOTH",
        "side": "BUY" if change.new >= 0 else "SELL",
        "mgnMode": "CROSS",
        "openAvgPx": plain(change.entry_price),
        "qty": plain(change.new),
        "oldQty": plain(change.old),
        "availQty": plain(abs(change.new)),
        "lever": "5",
        "markPx": plain(change.mark_price),
        "state": "NORMAL",
        "cTime": str(at),
        "uTime": str(at),
    }
    return Told(row, Assigned(f"{scope}:{at}:{plain(change.new)}", at_ms(at)))


def balance_told(change: BalanceChange, at: int) -> Told:
    """One currency's part of an account row."""
    row: Row = {
        "ccy": change.currency,
        "eq": plain(change.new),
        "isoEq": "0",
        "avail": plain(change.new),
        "upl": "0",
        "im": "0",
        "mm": "0",
        "cTime": str(at),
        "uTime": str(at),
    }
    return Told(row, Assigned(f"{change.currency}:{at}:{plain(change.new)}", at_ms(at)))


def account_row(details: list[Row], now_ms: int) -> Row:
    return {
        "state": "NORMAL",
        "eq": "0",
        "im": "0",
        "mm": "0",
        "upl": "0",
        "cTime": str(now_ms),
        "uTime": str(now_ms),
        "details": details,
    }
