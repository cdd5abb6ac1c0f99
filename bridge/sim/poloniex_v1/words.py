"""The venue's words for what happened: frames and rows, each event with the id and the time it goes by."""

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec

from bridge.sim.market import Assigned
from bridge.sim.market.facts import BookChange, BookSnapshot, Fill, Level, OrderChange, Status, Trade
from bridge.sim.market.ids import ms_of, us_of

USER = "sim-user-1"
ORDERS_PATH = "/contractMarket/tradeOrders"
_TYPES = {Status.NEW: ("open", "open"), Status.FILLED: ("filled", "done"), Status.CANCELLED: ("canceled", "done")}
Row = dict[str, object]


class Told(NamedTuple):
    """The data of a frame as it travels, and the event it is."""

    data: bytes
    item: Assigned


def plain(value: Decimal) -> str:
    """A decimal without zeros at its end and without an exponent."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ns_of(at: datetime) -> int:
    return us_of(at) * 1000


def id_of(token: str) -> str:
    """24 hex digits, as this venue's ids are."""
    return token[:24]


def frame(topic: str, subject: str, data: bytes, *, private: bool = False) -> bytes:
    told: Row = {"type": "message", "topic": topic, "subject": subject, "data": msgspec.Raw(data)}
    return msgspec.json.encode({**told, "userId": USER, "channelType": "private"} if private else told)


def state_told(subject: str, row: Row, at: datetime) -> Told:
    """A state, which has no id: its subject, its time and its content stand for one."""
    data = msgspec.json.encode(row)
    return Told(data, Assigned(f"{subject}:{us_of(at)}:{print_of(data)}", at))


def print_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def change_of(level: Level) -> str:
    return f"{plain(level.price)},{level.side.value},{plain(level.quantity)}"


def book_told(changes: list[BookChange]) -> Told:
    """Steps that follow each other, in one frame: of a level that changed twice only the last is told."""
    levels = [level for change in changes for level in change.levels]
    last = {(level.side, level.price): level for level in levels}
    previous, number, at = changes[0].previous, changes[-1].number, changes[-1].at
    told = [change_of(level) for level in sorted(last.values(), key=lambda level: level.number)]
    row: Row = {
        "lastSequence": previous,
        "sequence": number,
        "change": told[-1],
        "changes": told,
        "timestamp": ms_of(at),
    }
    parts = tuple((str(level.number), level.number) for level in levels)
    single = number == previous + 1
    event_id = str(number) if single else f"{previous + 1}-{number}"
    item = Assigned(event_id, _whole_ms(at), previous, number, () if single else parts)
    return Told(msgspec.json.encode(row), item)


def level_told(change: BookChange, level: Level) -> Told:
    """One number, as older servers tell it: they do not say what it follows."""
    row: Row = {"sequence": level.number, "change": change_of(level), "timestamp": ms_of(change.at)}
    item = Assigned(str(level.number), _whole_ms(change.at), level.number - 1, level.number)
    return Told(msgspec.json.encode(row), item)


def book_row(book: BookSnapshot, *, depth: int | None = None) -> Row:
    sides = {
        name: [[plain(price), int(quantity)] for price, quantity in levels[:depth]]
        for name, levels in (("asks", book.asks), ("bids", book.bids))
    }
    return {**sides, "ts": ns_of(book.at)}


def trade_row(trade: Trade) -> Row:
    return {
        "symbol": trade.symbol,
        "sequence": trade.number,
        "side": trade.side.value,
        "size": int(trade.quantity),
        "price": plain(trade.price),
        "takerOrderId": id_of(trade.taker_order),
        "makerOrderId": id_of(trade.maker_order),
        "tradeId": id_of(trade.token),
        "ts": ns_of(trade.at),
    }


def trade_told(trade: Trade) -> Told:
    return Told(msgspec.json.encode(trade_row(trade)), Assigned(id_of(trade.token), trade.at))


def ticker_told(trade: Trade, bid: tuple[Decimal, Decimal], ask: tuple[Decimal, Decimal]) -> Told:
    names = ("symbol", "sequence", "side", "price", "size", "tradeId", "ts")
    row = {name: value for name, value in trade_row(trade).items() if name in names}
    row |= {"bestBidPrice": plain(bid[0]), "bestBidSize": int(bid[1])}
    row |= {"bestAskPrice": plain(ask[0]), "bestAskSize": int(ask[1])}
    return Told(msgspec.json.encode(row), Assigned(f"{trade.number}:{ns_of(trade.at)}", trade.at))


def order_told(change: OrderChange) -> Told | None:
    """What is said of an order beside its fills; None where only a fill is told."""
    if change.status not in _TYPES:
        return None
    kind, status = _TYPES[change.status]
    ts = ns_of(change.at)
    left = change.quantity - change.filled
    cancelled = left if change.status is Status.CANCELLED else Decimal(0)
    row: Row = {
        "orderId": id_of(change.order_id),
        "symbol": change.symbol,
        "type": kind,
        "status": status,
        "orderType": "limit",
        "side": change.side.value,
        "price": plain(change.price),
        "size": plain(change.quantity),
        "remainSize": plain(left - cancelled),
        "filledSize": plain(change.filled),
        "canceledSize": plain(cancelled),
        "orderTime": ns_of(change.created_at),
        "oldSize ": "",
        "marginType": 1,
        "ts": ts,
    }
    return Told(msgspec.json.encode(row), Assigned(f"{id_of(change.order_id)}:{kind}:{ts}", change.at))


def match_told(fill: Fill) -> Told:
    row: Row = {
        "orderId": id_of(fill.order_id),
        "symbol": fill.symbol,
        "type": "match",
        "status": "match",
        "matchSize": plain(fill.quantity),
        "matchPrice": plain(fill.price),
        "orderType": "limit",
        "side": fill.side.value,
        "price": plain(fill.order_price),
        "size": plain(fill.order_quantity),
        "remainSize": plain(fill.order_quantity - fill.order_filled),
        "filledSize": plain(fill.order_filled),
        "canceledSize": "0",
        "tradeId": id_of(fill.token),
        "liquidity": "maker" if fill.maker else "taker",
        "marginType": 1,
        "ts": ns_of(fill.at),
    }
    event_id = f"{id_of(fill.order_id)}:match:{id_of(fill.token)}"
    return Told(msgspec.json.encode(row), Assigned(event_id, fill.at))


def fill_row(fill: Fill) -> Row:
    """The same match as the lists have it."""
    return {
        "symbol": fill.symbol,
        "tradeId": id_of(fill.token),
        "orderId": id_of(fill.order_id),
        "side": fill.side.value,
        "liquidity": "maker" if fill.maker else "taker",
        "price": plain(fill.price),
        "size": int(fill.quantity),
        "value": plain(fill.price * fill.quantity),
        "fee": plain(fill.fee),
        "feeCurrency": fill.fee_currency,
        "orderType": "limit",
        "tradeType": "trade",
        "createdAt": ms_of(fill.at),
        "settleCurrency": fill.fee_currency,
        "tradeTime": ns_of(fill.at),
    }


def order_row(change: OrderChange) -> Row:
    """An order as the lists show it: what it is now, and not how it came to be."""
    return {
        "id": id_of(change.order_id),
        "symbol": change.symbol,
        "type": "limit",
        "side": change.side.value,
        "price": plain(change.price),
        "size": int(change.quantity),
        "dealSize": int(change.filled),
        "isActive": not change.status.final,
        "cancelExist": change.status is Status.CANCELLED,
        "createdAt": ms_of(change.created_at),
        "updatedAt": ms_of(change.at),
        "orderTime": ns_of(change.created_at),
    }


def _whole_ms(at: datetime) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms_of(at))
