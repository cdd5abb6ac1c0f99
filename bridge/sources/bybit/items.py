"""One item of a frame, or one row of a list, as an event: what it is known by is decided here, once for both ways.

Pure. Raises Malformed for what is no item of its channel.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from bridge.core.channel import Link, Model, Told
from bridge.core.event import SEQUENCE_MAX, Event, digest_of
from bridge.sources.base import Malformed
from bridge.sources.bybit.channels import Topic
from bridge.sources.bybit.values import (
    UNREADABLE,
    amount_of,
    maybe_time,
    millis,
    moment,
    ms_of,
    payload_of,
    text_of,
    time_of,
)

T = TypeVar("T")
_NO_CANCEL = frozenset({"", "UNKNOWN"})
_NO_REASON = frozenset({"", "EC_NoError"})
_DIGEST_BYTES = 6
_MINUTES = {"D": 1440, "W": 7 * 1440}


class _Trade(msgspec.Struct, rename={"at": "T", "symbol": "s", "id": "i"}):
    at: Any
    symbol: Any
    id: Any


class _TradeRow(msgspec.Struct, rename={"at": "time", "id": "execId"}):
    at: Any
    symbol: Any
    id: Any


class _Execution(msgspec.Struct, rename="camel"):
    exec_id: Any
    exec_time: Any
    symbol: Any
    category: Any = None


class _Order(msgspec.Struct, rename="camel"):
    order_id: Any
    updated_time: Any
    order_status: Any
    symbol: Any
    cum_exec_qty: Any = None
    created_time: Any = None
    cancel_type: str = ""
    reject_reason: str = ""


class _Position(msgspec.Struct, rename="camel"):
    symbol: Any
    size: Any
    category: Any = None
    position_idx: int = 0
    updated_time: Any = None
    seq: int = -1


class _Liquidation(msgspec.Struct, rename={"at": "T", "symbol": "s", "side": "S", "size": "v", "price": "p"}):
    at: Any
    symbol: Any
    side: Any
    size: Any
    price: Any


class _Candle(msgspec.Struct):
    start: Any
    end: Any
    confirm: bool
    timestamp: Any


class _Account(msgspec.Struct, rename="camel"):
    account_type: str = ""
    base_coin: str = ""


class _Book(msgspec.Struct, rename={"symbol": "s"}):
    symbol: Any
    u: int
    seq: int = 0


def _reader(kind: type[T]) -> Callable[[bytes], T]:
    decode = msgspec.json.Decoder(kind).decode

    def read(payload: bytes) -> T:
        try:
            return decode(payload)
        except UNREADABLE:
            raise Malformed("an item lacks what its channel promises") from None

    return read


_trade, _trade_row = _reader(_Trade), _reader(_TradeRow)
_execution, _order, _position = _reader(_Execution), _reader(_Order), _reader(_Position)
_account, _book, _liquidation = _reader(_Account), _reader(_Book), _reader(_Liquidation)
_candle, _candle_row = _reader(_Candle), _reader(list[Any])


def told(topic: Topic, event_id: str, key: str, payload: bytes, at: datetime, link: Link | None = None) -> Told:
    """An event of ``topic`` whose payload stays as it came."""
    payload = payload_of(payload)
    event = Event(event_id, topic.kind.word, key, payload, digest_of(payload), None, at)
    return Told(topic.name, event, link)


def trade(topic: Topic, payload: bytes, *, row: bool = False) -> Told:
    """A public trade: a ``row`` of the list has other names for the same."""
    said = _trade_row(payload) if row else _trade(payload)
    symbol = text_of(said.symbol, "the symbol")
    return told(
        topic, f"{symbol}:{text_of(said.id, 'the trade')}", symbol, payload, time_of(said.at, "a trade's time")
    )


def execution(topic: Topic, payload: bytes, category: str = "") -> Told:
    """A fill of ours. Rows of the list do not name the ``category`` they were asked for."""
    said = _execution(payload)
    product = text_of(said.category or category, "the category")
    event_id = f"{product}:{text_of(said.exec_id, 'the execution')}"
    return told(topic, event_id, text_of(said.symbol, "the symbol"), payload, time_of(said.exec_time, "the time"))


def order(topic: Topic, payload: bytes) -> Told:
    """A state of an order. Two that differ only in why they ended are two."""
    said = _order(payload)
    at = ms_of(said.updated_time, "the time")
    parts = [
        text_of(said.order_id, "the order"),
        str(at),
        text_of(said.order_status, "the status"),
        amount_of(said.cum_exec_qty, "the quantity"),
        "" if said.cancel_type in _NO_CANCEL else text_of(said.cancel_type, "the cancel type"),
        "" if said.reject_reason in _NO_REASON else text_of(said.reject_reason, "the reason"),
    ]
    return told(topic, ":".join(parts), text_of(said.symbol, "the symbol"), payload, moment(at))


def changed_before(payload: bytes, until: datetime) -> bool:
    """Whether the order may have been in other states before ``until`` than the one it is in here."""
    said = _order(payload)
    born = maybe_time(said.created_time)
    return born is None or (born < until and said.created_time != said.updated_time)


def position(topic: Topic, payload: bytes, category: str = "", *, otherwise: datetime | None = None) -> Told:
    """A state of a position, at ``otherwise`` where it was never changed and has no time of its own."""
    said = _position(payload)
    symbol = text_of(said.symbol, "the symbol")
    if otherwise is not None and said.updated_time in (None, "", "0"):
        at = millis(otherwise)
    else:
        at = ms_of(said.updated_time, "the time")
    product = text_of(said.category or category, "the category")
    size = amount_of(said.size, "the size")
    event_id = f"{product}:{symbol}:{said.position_idx}:{at}:{said.seq}:{size}"
    return told(topic, event_id, symbol, payload, moment(at))


def liquidation(topic: Topic, payload: bytes) -> Told:
    """A liquidation, known by its content only: twins have the same id."""
    said = _liquidation(payload)
    at = ms_of(said.at, "the time")
    side, symbol = text_of(said.side, "the side"), text_of(said.symbol, "the symbol")
    event_id = f"{at}:{side}:{amount_of(said.price, 'the price')}:{amount_of(said.size, 'the size')}"
    return told(topic, event_id, symbol, payload, moment(at))


def candle(topic: Topic, payload: bytes) -> Told:
    """A state of a candle. A closed one happens when its time is over, whenever it is told."""
    said = _candle(payload)
    start = ms_of(said.start, "the start")
    if said.confirm:
        return told(topic, f"{start}:closed", topic.key, payload, closes_at(start, topic.interval))
    at = ms_of(said.timestamp, "the time")
    return told(topic, f"{start}:{at}:{digest_of(payload)[:_DIGEST_BYTES].hex()}", topic.key, payload, moment(at))


def candle_row(topic: Topic, payload: bytes) -> Told:
    """A row of the list of candles, as if it were closed."""
    said = _candle_row(payload)
    start = ms_of(said[0] if said else None, "the start")
    return told(topic, f"{start}:closed", topic.key, payload, closes_at(start, topic.interval))


def closes_at(start_ms: int, interval: str) -> datetime:
    """When the candle that begins at ``start_ms`` is over."""
    start = moment(start_ms)
    if interval == "M":
        return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return start + timedelta(minutes=_MINUTES.get(interval) or int(interval))


def account(topic: Topic, payload: bytes, event_id: str, at: datetime) -> Told:
    """The state of an account, which has neither an id nor a time of its own."""
    said = _account(payload)
    return told(topic, event_id, said.account_type or said.base_coin, payload, at)


def book(topic: Topic, data: bytes, payload: bytes, at: datetime, *, snapshot: bool, listed: bool = False) -> Told:
    """A book, or a change of one, in ``data``. ``listed``: it was asked for, and did not come on the line.

    The update id 1 says that the venue began anew: what carries it stands for the whole, whatever it calls itself.
    """
    said = _book(data)
    if not 0 <= said.u <= SEQUENCE_MAX:
        raise Malformed("the update id is out of bounds")
    whole = snapshot or said.u == 1
    mark = f"{'listed' if listed else 'whole'}:{millis(at)}:" if whole else ""
    link = Link(said.u if topic.channel.model is Model.CONTIGUOUS else None, snapshot=whole)
    return told(topic, f"{mark}{said.u}:{said.seq}", text_of(said.symbol, "the symbol"), payload, at, link)


def top(topic: Topic, data: bytes, payload: bytes, at: datetime, *, listed: bool = False) -> Told:
    """The best bid and ask. The same update told again is the same event."""
    said = _book(data)
    mark = "listed:" if listed else ""
    return told(topic, f"{mark}{said.u}:{said.seq}", text_of(said.symbol, "the symbol"), payload, at)


def whole(topic: Topic, payload: bytes, at: datetime, *, number: int | None = None, link: Link | None = None) -> Told:
    """A frame, or an answer, that is one event as it stands and has no id."""
    counted = "" if number is None else f"{number}:"
    event_id = f"{millis(at)}:{counted}{digest_of(payload)[:_DIGEST_BYTES].hex()}"
    return told(topic, event_id, topic.key, payload, at, link)
