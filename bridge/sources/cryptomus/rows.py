"""The rows of the venue's lists. Pure: an answer's bytes in, events out, with the same ids as on the socket."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from bridge.core.errors import VenueError
from bridge.core.event import Event, digest_of
from bridge.sources.base import Malformed
from bridge.sources.cryptomus import identity
from bridge.sources.cryptomus.fields import UNREADABLE, decimal_of, payload_of, seconds_of, text_of, written_of

_T = TypeVar("_T")


class Completed(NamedTuple):
    """A completed order: when it ended, its last state, and its fills."""

    order_id: str
    ended_at: datetime
    state: Event
    fills: tuple[Event, ...]


class Open(NamedTuple):
    """An order that is not completed: ``filled`` says whether it has fills, which no list shows yet."""

    order_id: str
    created_at: datetime
    filled: bool
    state: Event


class _Answer(msgspec.Struct):
    result: list[msgspec.Raw] | None = None
    data: list[msgspec.Raw] | None = None


class _Token(msgspec.Struct):
    token: str


class _Transaction(msgspec.Struct):
    id: str
    committedAt: int | str  # noqa: N815 (the venue's name)


class _Deal(msgspec.Struct):
    transactions: list[msgspec.Raw] | None = None


class _Completed(msgspec.Struct):
    id: str
    symbol: str
    filledQuantity: Decimal  # noqa: N815 (the venue's name)
    finishedAt: int | str  # noqa: N815 (the venue's name)
    deal: _Deal | None = None


class _Open(msgspec.Struct):
    id: str
    symbol: str
    filledQuantity: Decimal  # noqa: N815 (the venue's name)
    createdAt: int | str  # noqa: N815 (the venue's name)


class _Trade(msgspec.Struct):
    price: Decimal
    base_volume: Decimal
    quote_volume: Decimal
    timestamp: int
    type: str


class _Balance(msgspec.Struct):
    ticker: str
    available: Decimal
    held: Decimal


class _Ticker(msgspec.Struct):
    currency_pair: str
    last_price: Decimal


class _Market(msgspec.Struct):
    symbol: str


_answer = msgspec.json.Decoder(_Answer).decode
_token = msgspec.json.Decoder(_Token).decode
_transaction = msgspec.json.Decoder(_Transaction).decode
_completed = msgspec.json.Decoder(_Completed).decode
_open = msgspec.json.Decoder(_Open).decode
_trade = msgspec.json.Decoder(_Trade).decode
_balance = msgspec.json.Decoder(_Balance).decode
_ticker = msgspec.json.Decoder(_Ticker).decode
_market = msgspec.json.Decoder(_Market).decode


def rows_of(body: bytes) -> list[bytes]:
    """The rows of an answer, each as its bytes. Raises VenueError when it is no list."""
    try:
        answer = _answer(body)
    except UNREADABLE:
        raise VenueError("the venue's answer cannot be read") from None
    rows = answer.result if answer.result is not None else answer.data
    if rows is None:
        raise VenueError("the venue's answer holds no list")
    return [bytes(row) for row in rows]


def token_of(body: bytes) -> str:
    """The one-time token. Raises VenueError, which does not quote it."""
    try:
        token = _token(body).token
    except UNREADABLE:
        raise VenueError("the venue's answer holds no token") from None
    if not token.isascii() or not token.isalnum():
        raise VenueError("the venue's token is none")
    return token


def completed(row: bytes, zone: ZoneInfo) -> Completed:
    """Raises Malformed."""
    said = _read(_completed, row)
    order_id, symbol = text_of(said.id, "the order"), text_of(said.symbol, "the symbol")
    ended_at = written_of(said.finishedAt, zone)
    listed = said.deal.transactions if said.deal is not None else None
    fills = tuple(_fill(bytes(item), symbol, zone) for item in listed or ())
    return Completed(
        order_id, ended_at, _order(order_id, identity.FINISHED, said.filledQuantity, symbol, row, ended_at), fills
    )


def open_order(row: bytes, zone: ZoneInfo, now: datetime) -> Open:
    """``now`` is the venue's time of the answer: no list says when an open order was filled. Raises Malformed."""
    said = _read(_open, row)
    order_id, symbol = text_of(said.id, "the order"), text_of(said.symbol, "the symbol")
    created_at, filled = written_of(said.createdAt, zone), bool(said.filledQuantity)
    word, at = (identity.OPEN, now) if filled else (identity.CREATED, created_at)
    return Open(order_id, created_at, filled, _order(order_id, word, said.filledQuantity, symbol, row, at))


def trade(row: bytes, symbol: str) -> Event:
    """A public trade. The list's ``quote_volume`` holds what was traded, ``base_volume`` what it cost.

    Raises Malformed.
    """
    said = _read(_trade, row)
    price, quantity = decimal_of(said.price), decimal_of(said.quote_volume)
    event_id = identity.trade(symbol, said.timestamp, price, quantity, text_of(said.type, "the side"))
    return _event(event_id, "trade", symbol, row, seconds_of(said.timestamp))


def balance(row: bytes, answered_at: datetime, now: datetime) -> Event:
    """A present balance, at ``now`` by the clock that stamps its changes too. Raises Malformed."""
    said = _read(_balance, row)
    currency = text_of(said.ticker, "the currency")
    content = f"{decimal_of(said.available)}:{decimal_of(said.held)}"
    event_id = identity.present(currency, int(answered_at.timestamp()), content)
    return _event(event_id, "balance", currency, row, now)


def quote(row: bytes, kind: str, now: datetime) -> Event:
    """A market's present price, as ``kind``; it has no time but that of the answer. Raises Malformed."""
    said = _read(_ticker, row)
    symbol = text_of(said.currency_pair, "the symbol")
    event_id = identity.present(symbol, int(now.timestamp()), decimal_of(said.last_price))
    return _event(event_id, kind, symbol, row, now)


def market(row: bytes) -> str:
    """The name of a market. Raises Malformed."""
    return text_of(_read(_market, row).symbol, "the symbol")


def _read(decode: Callable[[bytes], _T], row: bytes) -> _T:
    try:
        return decode(payload_of(row))
    except UNREADABLE:
        raise Malformed("no row of the venue's form") from None


def _fill(row: bytes, symbol: str, zone: ZoneInfo) -> Event:
    said = _read(_transaction, row)
    return _event(text_of(said.id, "the transaction"), "deal", symbol, row, written_of(said.committedAt, zone))


def _order(order_id: str, word: str, filled: Decimal, symbol: str, row: bytes, at: datetime) -> Event:
    return _event(identity.order(order_id, word, decimal_of(filled)), "order", symbol, row, at)


def _event(event_id: str, kind: str, key: str, row: bytes, at: datetime) -> Event:
    return Event(event_id, kind, key, row, digest_of(row), None, at)
