"""One row of a frame or of a list, and the event it is. Pure; the same ids whichever way a row came."""

import hashlib
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

import msgspec

from bridge.core.channel import Link, Step
from bridge.core.event import Event, digest_of
from bridge.sources.base import Malformed
from bridge.sources.poloniex_v3.fields import Number, moment, ms_of, normal, text_of, whole_of

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
SNAPSHOT, UPDATE = "snapshot", "update"


class Item(NamedTuple):
    """One event and where it belongs. ``sent_ms`` is when the venue pushed it, None where it does not say.

    ``number`` is a trade's, ``born_ms`` when an order was made.
    """

    symbol: str
    event: Event
    sent_ms: int | None
    link: Link | None = None
    step: Step | None = None
    number: int | None = None
    born_ms: int | None = None


class _Row(msgspec.Struct):
    s: str = ""
    symbol: str = ""
    id: Number | None = None
    lid: Number | None = None
    cT: Number | None = None  # noqa: N815 (the venue's name)
    ts: Number | None = None


class _Order(msgspec.Struct):
    symbol: str
    ordId: str  # noqa: N815 (the venue's name)
    uTime: Number  # noqa: N815 (the venue's name)
    state: str
    execQty: Decimal  # noqa: N815 (the venue's name)
    cTime: Number | None = None  # noqa: N815 (the venue's name)
    ts: Number | None = None


class _Fill(msgspec.Struct):
    symbol: str
    trdId: Number  # noqa: N815 (the venue's name)
    ordId: Number  # noqa: N815 (the venue's name)
    uTime: Number | None = None  # noqa: N815 (the venue's name)
    cTime: Number | None = None  # noqa: N815 (the venue's name)
    ts: Number | None = None


class _Position(msgspec.Struct):
    symbol: str
    qty: Decimal
    uTime: Number  # noqa: N815 (the venue's name)
    posSide: str = ""  # noqa: N815 (the venue's name)
    mgnMode: str = ""  # noqa: N815 (the venue's name)
    oldQty: Decimal | None = None  # noqa: N815 (the venue's name)
    ts: Number | None = None


class _Account(msgspec.Struct):
    details: list[msgspec.Raw]
    ts: Number | None = None


class _Detail(msgspec.Struct):
    ccy: str
    eq: Decimal
    uTime: Number  # noqa: N815 (the venue's name)


_row = msgspec.json.Decoder(_Row).decode
_order = msgspec.json.Decoder(_Order).decode
_fill = msgspec.json.Decoder(_Fill).decode
_position = msgspec.json.Decoder(_Position).decode
_account = msgspec.json.Decoder(_Account).decode
_detail = msgspec.json.Decoder(_Detail).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_cells = msgspec.json.Decoder(list[str | int | float]).decode
_CELLS_MIN = 8


def items_of(word: str, raw: bytes, *, symbol: str = "") -> list[Item]:
    """The events in one row of the channel ``word``. ``symbol`` is whose list was asked. Raises Malformed."""
    try:
        return _READERS.get(word, _candle if "candles" in word else _stamped)(word, raw, symbol)
    except UNREADABLE:
        raise Malformed(f"a row of {word} that has another shape") from None


def book_item(raw: bytes, payload: bytes, action: str) -> Item:
    """The event of one row of ``book_lv2``; its payload is the frame, which says what kind of row it is."""
    try:
        row = _row(raw)
    except UNREADABLE:
        raise Malformed("a row of book_lv2 that has another shape") from None
    if row.id is None or action not in (SNAPSHOT, UPDATE):
        raise Malformed("a book without an id or an action")
    number = whole_of(row.id, "the book's id")
    snapshot = action == SNAPSHOT
    if row.lid is None and not snapshot:
        raise Malformed("an update of a book that names no predecessor")
    previous = None if snapshot or row.lid is None else whole_of(row.lid, "the book's lid")
    sent_ms = _sent(row.ts)
    at_ms = sent_ms if sent_ms is not None else _stamp(row.cT)
    name = text_of(row.s, "the symbol")
    kind = "s" if snapshot else "u"
    event = _event(f"{name}:{number}:{kind}", "book_lv2", name, payload, at_ms)
    return Item(name, event, sent_ms, Link(number, previous, snapshot))


def _book(word: str, raw: bytes, symbol: str) -> list[Item]:
    row = _row(raw)
    if row.id is None:
        raise Malformed("a book without an id")
    name = text_of(row.s or symbol, "the symbol")
    sent_ms = _sent(row.ts)
    at_ms = sent_ms if sent_ms is not None else _stamp(row.cT)
    return [Item(name, _event(f"{name}:{whole_of(row.id, 'the id')}", word, name, raw, at_ms), sent_ms)]


def _trade(word: str, raw: bytes, symbol: str) -> list[Item]:
    row = _row(raw)
    if row.id is None:
        raise Malformed("a trade without an id")
    name = text_of(row.s or symbol, "the symbol")
    number = whole_of(row.id, "the trade's id")
    event = _event(f"{name}:{number}", word, name, raw, _stamp(row.cT))
    return [Item(name, event, _sent(row.ts), number=number)]


def _stamped(word: str, raw: bytes, symbol: str) -> list[Item]:
    """A row whose only identity is when it was pushed."""
    row = _row(raw)
    name = text_of(row.s or row.symbol or symbol, "the symbol")
    at_ms = _stamp(row.ts)
    return [Item(name, _event(f"{name}:{at_ms}", word, name, raw, at_ms), at_ms)]


def _candle(word: str, raw: bytes, symbol: str) -> list[Item]:
    """A row of cells: the symbol first; the period's start, its end and the push last."""
    cells = _cells(raw)
    if len(cells) < _CELLS_MIN:
        raise Malformed("a candle with too few cells")
    first, start, push = cells[0], cells[-3], cells[-1]
    if isinstance(first, str) and not isinstance(start, float) and not isinstance(push, float):
        name, at_ms = text_of(first, "the symbol"), ms_of(push, "the push")
        event_id = f"{name}:{ms_of(start, 'the start')}:{at_ms}"
        return [Item(name, _event(event_id, word, name, raw, at_ms), at_ms)]
    raise Malformed("a candle whose cells have other kinds")


def _liquidation(word: str, raw: bytes, symbol: str) -> list[Item]:
    """A row without any identity: twins are equal, and are two all the same."""
    row, members = _row(raw), _members(raw)
    name = text_of(row.s or row.symbol or symbol, "the symbol")
    sent_ms = _sent(row.ts)
    at_ms = _stamp(row.cT) if row.cT is not None else _stamp(row.ts)
    content = b",".join(key.encode() + b"=" + bytes(members[key]) for key in sorted(members) if key != "ts")
    event_id = f"{name}:{hashlib.sha256(content).hexdigest()[:32]}"
    return [Item(name, _event(event_id, word, name, raw, at_ms), sent_ms)]


def _own_order(word: str, raw: bytes, symbol: str) -> list[Item]:
    row = _order(raw)
    at_ms = _stamp(row.uTime)
    number, state = text_of(row.ordId, "the order's id"), text_of(row.state, "the state")
    event_id = f"{number}:{at_ms}:{state}:{normal(row.execQty, 'execQty')}"
    event = _event(event_id, word, text_of(row.symbol, "the symbol"), raw, at_ms)
    return [Item("", event, _sent(row.ts), born_ms=_sent(row.cTime))]


def _own_fill(word: str, raw: bytes, symbol: str) -> list[Item]:
    row = _fill(raw)
    at_ms = _stamp(row.uTime if row.uTime is not None else row.cTime)
    name = text_of(row.symbol, "the symbol")
    event_id = f"{name}:{text_of(str(row.trdId), 'trdId')}:{text_of(str(row.ordId), 'ordId')}"
    return [Item("", _event(event_id, word, name, raw, at_ms), _sent(row.ts))]


def _own_position(word: str, raw: bytes, symbol: str) -> list[Item]:
    row = _position(raw)
    at_ms = _stamp(row.uTime)
    name = text_of(row.symbol, "the symbol")
    scope = text_of(f"{name}|{row.posSide}|{row.mgnMode}", "the position")
    after = normal(row.qty, "qty")
    before = after if row.oldQty is None else normal(row.oldQty, "oldQty")
    event = _event(f"{scope}:{at_ms}:{after}", word, name, raw, at_ms)
    return [Item("", event, _sent(row.ts), step=Step(scope, before, after))]


def _own_account(word: str, raw: bytes, symbol: str) -> list[Item]:
    """An event for each currency: each has its own time of change."""
    account = _account(raw)
    sent_ms = _sent(account.ts)
    items = []
    for part in account.details:
        payload = bytes(part)
        detail = _detail(payload)
        at_ms, currency = _stamp(detail.uTime), text_of(detail.ccy, "the currency")
        event_id = f"{currency}:{at_ms}:{normal(detail.eq, 'eq')}"
        items.append(Item("", _event(event_id, word, currency, payload, at_ms), sent_ms))
    return items


def _event(event_id: str, word: str, key: str, payload: bytes, at_ms: int) -> Event:
    return Event(event_id, word, key, payload, digest_of(payload), None, moment(at_ms))


def _stamp(value: Number | None) -> int:
    if value is None:
        raise Malformed("a row without its time")
    return ms_of(value, "the time")


def _sent(value: Number | None) -> int | None:
    """A time that only goes along; an absurd one is none, and no reason to lose the row."""
    try:
        return None if value is None else ms_of(value, "the time")
    except Malformed:
        return None


_READERS: dict[str, Callable[[str, bytes, str], list[Item]]] = {
    "book": _book,
    "trades": _trade,
    "liquidation_orders": _liquidation,
    "orders": _own_order,
    "trade": _own_fill,
    "positions": _own_position,
    "account": _own_account,
}
