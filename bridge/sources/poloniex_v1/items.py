"""What the data of a frame, or a row of a list, says of itself: its natural id, its key, its time, its link.

One reader per kind of channel. The same event has the same id whichever way it was heard.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from bridge.core.channel import Channel, Link, Told
from bridge.core.event import Event, digest_of
from bridge.sources.base import Malformed
from bridge.sources.poloniex_v1.channels import Kind, kind_of, symbol_of
from bridge.sources.poloniex_v1.values import UNREADABLE, first_stamp, ident, owned, print_of, sequence, whole

SETTLEMENT = "position.settlement"


class Item(NamedTuple):
    """One event before it is given its series. ``number`` is what the venue says of the order, if anything."""

    event_id: str
    key: str
    at: datetime | None
    link: Link | None = None
    number: int | None = None


class _Book(msgspec.Struct):
    sequence: Any
    lastSequence: Any = None  # noqa: N815 (the venue's name)
    symbol: Any = None
    timestamp: Any = None
    ts: Any = None


class _Trade(msgspec.Struct):
    tradeId: Any  # noqa: N815 (the venue's name)
    sequence: Any = None
    symbol: Any = None
    ts: Any = None
    time: Any = None


class _Order(msgspec.Struct):
    orderId: Any  # noqa: N815 (the venue's name)
    type: Any = None
    tradeId: Any = None  # noqa: N815 (the venue's name)
    symbol: Any = None
    ts: Any = None
    tradeTime: Any = None  # noqa: N815 (the venue's name)
    createdAt: Any = None  # noqa: N815 (the venue's name)


class _State(msgspec.Struct):
    symbol: Any = None
    currency: Any = None
    sequence: Any = None
    fundingTime: Any = None  # noqa: N815 (the venue's name)
    ts: Any = None
    timestamp: Any = None
    currentTimestamp: Any = None  # noqa: N815 (the venue's name)


_book = msgspec.json.Decoder(_Book).decode
_trade = msgspec.json.Decoder(_Trade).decode
_order = msgspec.json.Decoder(_Order).decode
_state = msgspec.json.Decoder(_State).decode


def _level2(subject: str, data: bytes) -> Item:
    """A frame may bundle several numbers: it then has an id of its own, which none of its parts has."""
    said = _book(data)
    number = sequence(said.sequence)
    at = first_stamp(said.timestamp, said.ts)
    if said.lastSequence is None:
        return Item(str(number), _key(said.symbol), at, Link(number))
    previous = sequence(said.lastSequence)
    if previous >= number:
        raise Malformed("a change that follows itself")
    event_id = str(number) if previous + 1 == number else f"{previous + 1}-{number}"
    return Item(event_id, _key(said.symbol), at, Link(number, previous))


def _level3(subject: str, data: bytes) -> Item:
    said = _book(data)
    number = sequence(said.sequence)
    return Item(str(number), _key(said.symbol), first_stamp(said.ts, said.timestamp), Link(number))


def _execution(subject: str, data: bytes) -> Item:
    said = _trade(data)
    trade_id = ident(said.tradeId, "the trade's id")
    return Item(trade_id, _key(said.symbol), _required(said.ts, said.time), number=whole(said.sequence))


def _ticker(subject: str, data: bytes) -> Item:
    said = _state(data)
    at = _required(said.ts, said.timestamp)
    stamp = whole(said.ts if said.ts is not None else said.timestamp)
    return Item(f"{sequence(said.sequence)}:{stamp}", _key(said.symbol), at)


def _trade_orders(subject: str, data: bytes) -> Item:
    said = _order(data)
    kind = ident(said.type, "the type")
    at = _required(said.ts)
    if kind == "match" and said.tradeId not in (None, ""):
        return Item(fill_id(said.orderId, said.tradeId), _key(said.symbol), at)
    order_id = ident(said.orderId, "the order's id")
    return Item(f"{order_id}:{kind}:{whole(said.ts)}", _key(said.symbol), at)


def _advanced_orders(subject: str, data: bytes) -> Item:
    said = _order(data)
    event_id = f"{ident(said.orderId, 'the order')}:{ident(said.type, 'the type')}"
    return Item(event_id, _key(said.symbol), _required(said.ts, said.createdAt))


def _announcement(subject: str, data: bytes) -> Item:
    said = _state(data)
    symbol, funding = _key(said.symbol), whole(said.fundingTime)
    if not symbol or funding is None:
        raise Malformed("an announcement of nothing")
    return Item(f"{subject}:{symbol}:{funding}", symbol, _required(said.timestamp, said.ts))


def _state_of(subject: str, data: bytes) -> Item:
    """A state has no id: its time and its content are one."""
    said = _state(data)
    at = _required(said.ts, said.timestamp)
    event_id = f"{subject}:{_micros(at)}:{print_of(data)}"
    return Item(event_id, _key(said.symbol if said.symbol is not None else said.currency), at)


def _position(subject: str, data: bytes) -> Item:
    said = _state(data)
    key, funding = _key(said.symbol), whole(said.fundingTime)
    at = first_stamp(said.currentTimestamp, said.ts, said.timestamp)
    if subject == SETTLEMENT and funding is not None:
        return Item(f"{subject}:{funding}", key, at, Link(None))
    return Item(f"{subject}:{0 if at is None else _micros(at)}:{print_of(data)}", key, at, Link(None))


Reader = Callable[[str, bytes], Item]

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "level2": _level2,
        "level3v2": _level3,
        "execution": _execution,
        "ticker": _ticker,
        "level2Depth5": _state_of,
        "level2Depth50": _state_of,
        "instrument": _state_of,
        "announcement": _announcement,
        "snapshot": _state_of,
        "tradeOrders": _trade_orders,
        "advancedOrders": _advanced_orders,
        "wallet": _state_of,
        "position": _position,
    }
)


def fill_id(order_id: object, trade_id: object) -> str:
    """The id of a match of one of our orders. Both orders of a trade with ourselves name the same trade."""
    return f"{ident(order_id, 'the order')}:match:{ident(trade_id, 'the trade')}"


def read(channel: Channel, subject: str, data: bytes) -> Item:
    """What ``data`` says of itself. Raises Malformed."""
    return read_as(READERS[kind_of(channel).word], subject, data)


def read_as(reader: Reader, subject: str, data: bytes) -> Item:
    """What ``data`` says of itself to ``reader``. Raises Malformed."""
    try:
        return reader(subject, data)
    except UNREADABLE:
        raise Malformed("the data is no object of its channel") from None


def read_fill(row: bytes) -> Item:
    """The match that a row of the list of fills tells of. Raises Malformed."""
    try:
        said = _order(row)
    except UNREADABLE:
        raise Malformed("a fill is no object") from None
    at = _required(said.tradeTime, said.createdAt)
    return Item(fill_id(said.orderId, said.tradeId), _key(said.symbol), at)


def told_of(channel: Channel, kind: Kind, item: Item, payload: bytes) -> Told:
    """The event in its series. Raises Malformed for a payload that cannot be kept."""
    payload = owned(payload)
    key = item.key or symbol_of(channel)
    event = Event(item.event_id, kind.word, key, payload, digest_of(payload), None, item.at)
    return Told(channel.series, event, item.link)


def _key(value: object) -> str:
    return "" if value is None else ident(value, "the symbol")


def _required(*values: object) -> datetime:
    at = first_stamp(*values)
    if at is None:
        raise Malformed("an event without a time")
    return at


def _micros(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000 + at.microsecond
