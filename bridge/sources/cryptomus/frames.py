"""One frame of the socket, taken apart. Pure: what is an event, what answers a request, and what is neither.

An answer may lack its ``method``: it is known by its ``id`` alone. An update's ``id`` means nothing.
"""

import hashlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from bridge.core.channel import Link, Step
from bridge.core.event import Event, digest_of
from bridge.sources.base import Malformed
from bridge.sources.cryptomus import identity
from bridge.sources.cryptomus.fields import UNREADABLE, decimal_of, payload_of, seconds_of, text_of

REASON_CHARS_MAX = 120
_UPDATE = "_update"


class Update(NamedTuple):
    """Events of one kind and one scope, with what they say of their place.

    A balance's event has neither time nor id yet.
    """

    kind: str
    what: str
    events: tuple[Event, ...]
    link: Link | None = None
    step: Step | None = None


class Answered(NamedTuple):
    """The venue did what request ``request`` asked for."""

    request: int


class Refused(NamedTuple):
    """The venue did not do it. ``request`` is None where the answer names none."""

    request: int | None
    reason: str


class Pong(NamedTuple):
    """The answer to a ping."""


class Unknown(NamedTuple):
    """A frame of a method nobody knows."""

    method: str


Frame = Update | Answered | Refused | Pong | Unknown


class _Envelope(msgspec.Struct):
    id: Any = None
    method: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Status(msgspec.Struct):
    status: str


class _Error(msgspec.Struct):
    code: int | str | None = None
    message: str | None = None


class _Price(msgspec.Struct):
    symbol: str
    timestamp: int
    price: Decimal


class _Depth(msgspec.Struct):
    symbol: str
    timestamp: int
    full_reload: bool
    scale_index: int


class _Trades(msgspec.Struct):
    symbol: str
    trades: list[msgspec.Raw]


class _Trade(msgspec.Struct):
    price: Decimal
    quantity: Decimal
    timestamp: int
    direction: str


class _OrderInfo(msgspec.Struct):
    id: str
    symbol: str
    filledQuantity: Decimal  # noqa: N815 (the venue's name)
    createTs: int  # noqa: N815 (the venue's name)
    updateTs: int | None = None  # noqa: N815 (the venue's name)
    finishTs: int | None = None  # noqa: N815 (the venue's name)


class _Order(msgspec.Struct):
    type: str
    info: _OrderInfo


class _DealInfo(msgspec.Struct):
    transactionId: str  # noqa: N815 (the venue's name)
    symbol: str
    committedAt: int  # noqa: N815 (the venue's name)


class _Deal(msgspec.Struct):
    info: _DealInfo


class _BalanceInfo(msgspec.Struct):
    walletId: str  # noqa: N815 (the venue's name)
    currencyCode: str  # noqa: N815 (the venue's name)
    oldBalance: Decimal  # noqa: N815 (the venue's name)
    newBalance: Decimal  # noqa: N815 (the venue's name)


class _Balance(msgspec.Struct):
    info: _BalanceInfo


_envelope = msgspec.json.Decoder(_Envelope).decode
_status = msgspec.json.Decoder(_Status).decode
_error = msgspec.json.Decoder(_Error).decode
_price = msgspec.json.Decoder(_Price).decode
_depth = msgspec.json.Decoder(_Depth).decode
_trades = msgspec.json.Decoder(_Trades).decode
_trade = msgspec.json.Decoder(_Trade).decode
_order = msgspec.json.Decoder(_Order).decode
_deal = msgspec.json.Decoder(_Deal).decode
_balance = msgspec.json.Decoder(_Balance).decode


def read_frame(frame: bytes) -> Frame:
    """What ``frame`` says. Raises Malformed when it is none of the venue's forms."""
    payload_of(frame)
    try:
        envelope = _envelope(frame)
        method = envelope.method or ""
        if method.endswith(_UPDATE):
            read = _READERS.get(method.removesuffix(_UPDATE))
            return Unknown(_safe(method)) if read is None else read(bytes(envelope.data), frame)
        return _answer(envelope, method)
    except UNREADABLE:
        raise Malformed("no frame of the venue's form") from None


def _answer(envelope: _Envelope, method: str) -> Frame:
    request = _request(envelope.id)
    if bytes(envelope.error) not in (b"", b"null"):
        return Refused(request, _reason(bytes(envelope.error)))
    if method == "pong":
        return Pong()
    if method and not method.endswith(("_subscribe", "_unsubscribe")):
        return Unknown(_safe(method))
    if request is None:
        raise Malformed("an answer that names no request")
    status = _status(envelope.data).status
    return Answered(request) if status == "success" else Refused(request, _safe(status))


def _request(value: Any) -> int | None:
    """The number of a request, which the venue may write as text."""
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    return value if type(value) is int else None


def _reason(error: bytes) -> str:
    try:
        told = _error(error)
    except UNREADABLE:
        return "refused"
    return _safe(f"{told.message or 'refused'} (code {told.code})")


def _safe(text: str) -> str:
    """What may be shown of the venue's own words."""
    return "".join(sign if " " <= sign <= "~" else "?" for sign in text[:REASON_CHARS_MAX])


def _last_price(payload: bytes, _frame: bytes) -> Update:
    said = _price(payload)
    symbol, at = text_of(said.symbol, "the symbol"), seconds_of(said.timestamp)
    event_id = identity.price(symbol, said.timestamp, decimal_of(said.price))
    return Update("lastprice", symbol, (Event(event_id, "lastprice", symbol, payload, digest_of(payload), None, at),))


def _ticker(payload: bytes, _frame: bytes) -> Update:
    said = _price(payload)
    symbol, at = text_of(said.symbol, "the symbol"), seconds_of(said.timestamp)
    digest = digest_of(payload)
    event_id = identity.state(symbol, said.timestamp, digest)
    return Update("ticker", symbol, (Event(event_id, "ticker", symbol, payload, digest, None, at),))


def _book(payload: bytes, frame: bytes) -> Update:
    said = _depth(payload)
    symbol, at = text_of(said.symbol, "the symbol"), seconds_of(said.timestamp)
    digest = digest_of(frame)
    what = f"{symbol}:{said.scale_index}"
    event = Event(
        identity.state(what, said.timestamp, hashlib.sha256(payload).digest()),
        "depth",
        symbol,
        frame,
        digest,
        None,
        at,
    )
    return Update("depth", what, (event,), link=Link(None, snapshot=said.full_reload))


def _prints(payload: bytes, _frame: bytes) -> Update:
    said = _trades(payload)
    symbol = text_of(said.symbol, "the symbol")
    return Update("trade", symbol, tuple(_print(symbol, bytes(item)) for item in said.trades))


def _print(symbol: str, payload: bytes) -> Event:
    said = _trade(payload)
    event_id = identity.trade(
        symbol, said.timestamp, decimal_of(said.price), decimal_of(said.quantity), text_of(said.direction, "the side")
    )
    return Event(event_id, "trade", symbol, payload, digest_of(payload), None, seconds_of(said.timestamp))


def _order_state(payload: bytes, _frame: bytes) -> Update:
    said = _order(payload)
    info, word = said.info, text_of(said.type, "the order's state")
    symbol = text_of(info.symbol, "the symbol")
    stamp = info.createTs
    if word != identity.CREATED:
        ended = info.finishTs if word == identity.FINISHED else info.updateTs
        stamp = ended or info.finishTs or info.updateTs or info.createTs
    event_id = identity.order(text_of(info.id, "the order"), word, decimal_of(info.filledQuantity))
    event = Event(event_id, "order", symbol, payload, digest_of(payload), None, seconds_of(stamp))
    return Update("order", symbol, (event,))


def _fill(payload: bytes, _frame: bytes) -> Update:
    info = _deal(payload).info
    symbol, event_id = text_of(info.symbol, "the symbol"), text_of(info.transactionId, "the transaction")
    event = Event(event_id, "deal", symbol, payload, digest_of(payload), None, seconds_of(info.committedAt))
    return Update("deal", symbol, (event,))


def _change(payload: bytes, _frame: bytes) -> Update:
    info = _balance(payload).info
    currency, wallet = text_of(info.currencyCode, "the currency"), text_of(info.walletId, "the wallet")
    step = Step(wallet, decimal_of(info.oldBalance), decimal_of(info.newBalance))
    event = Event("", "balance", currency, payload, digest_of(payload), None, None)
    return Update("balance", currency, (event,), step=step)


_READERS: dict[str, Callable[[bytes, bytes], Update]] = {
    "lastprice": _last_price,
    "ticker": _ticker,
    "depth": _book,
    "trade": _prints,
    "order": _order_state,
    "deal": _fill,
    "balance": _change,
}
