"""The venue's channels as data: how each hangs together, what can be noticed, and what repairs a hole.

A channel is configured as ``kind:what``: a market, a market with its scale, a currency, or ``all``.
"""

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

from bridge.core.channel import Channel, Model, Repair

ALL = "all"
SETTLE_S = 2.0
"""Stamps are floored to whole seconds: what bears a second may be told until the end of the next one."""
LAG_S = 3.0
SWALLOWED = "an event that the venue never sends on a healthy connection shows only when a list is read again"

_MARKET = re.compile(r"[A-Z0-9]{1,20}_[A-Z0-9]{1,20}", re.ASCII)
_BOOK = re.compile(r"[A-Z0-9]{1,20}_[A-Z0-9]{1,20}:[0-9]{1,2}", re.ASCII)
_CURRENCY = re.compile(r"[A-Z0-9]{1,20}", re.ASCII)


class Topic(NamedTuple):
    """A channel taken apart: the venue's word for the data, and what stands in ``params`` of the subscription."""

    kind: str
    what: str


@dataclass(frozen=True, slots=True)
class _Row:
    """A kind of channel: its row of the table, without the names, and what may be asked of it."""

    channel: Channel
    what: re.Pattern[str]
    form: str
    line: str
    all: bool = True


def _row(kind: str, what: re.Pattern[str], form: str, line: str, channel: Channel, *, every: bool = True) -> _Row:
    return _Row(replace(channel, series=kind, topic=kind), what, form, line, every)


_STATE = Channel(
    series="",
    topic="",
    model=Model.STATE,
    repair=Repair.SNAPSHOT,
    id_fields=("symbol", "timestamp"),
    scope="symbol",
    settle_s=SETTLE_S,
    lag_s=LAG_S,
    reach="the present state",
    unnoticed="a state that was missed is superseded by the next one; of one second, nobody knows the order",
)
_PRIVATE = replace(_STATE, private=True, repair=Repair.HISTORY, reach="10,000 completed orders")

_TABLE = {
    "lastprice": _row("lastprice", _MARKET, "BASE_QUOTE", "public", _STATE),
    "ticker": _row("ticker", _MARKET, "BASE_QUOTE", "public", _STATE),
    "depth": _row(
        "depth",
        _BOOK,
        "BASE_QUOTE:scale",
        "depth",
        replace(
            _STATE,
            model=Model.MERGE,
            id_fields=(),
            scope="symbol, scale",
            reach="the whole book, after subscribing again",
            unnoticed="a change that is lost on a healthy connection shows in nothing until the book is told anew",
        ),
        every=False,
    ),
    "trade": _row(
        "trade",
        _MARKET,
        "BASE_QUOTE",
        "public",
        replace(
            _STATE,
            model=Model.NONE,
            repair=Repair.HISTORY,
            id_fields=("symbol", "timestamp", "price", "quantity", "direction"),
            reach="the newest trades of the market, about 100",
            unnoticed=f"{SWALLOWED}; and a print that is told twice looks like two equal ones",
        ),
    ),
    "order": _row(
        "order",
        _MARKET,
        "BASE_QUOTE",
        "private",
        replace(
            _PRIVATE,
            id_fields=("id", "type", "filledQuantity"),
            scope="order",
            unnoticed="the lists hold an order's newest state only: it supersedes the ones before it",
        ),
    ),
    "deal": _row(
        "deal",
        _MARKET,
        "BASE_QUOTE",
        "private",
        replace(
            _PRIVATE,
            model=Model.KEYED,
            id_fields=("transactionId",),
            scope="account",
            reach="10,000 completed orders; the fills of an open order are in no list before it is completed",
            unnoticed=SWALLOWED,
        ),
    ),
    "balance": _row(
        "balance",
        _CURRENCY,
        "CURRENCY",
        "private",
        replace(
            _PRIVATE,
            model=Model.VALUE_LINKED,
            repair=Repair.SNAPSHOT,
            id_fields=("walletId", "oldBalance", "newBalance", "time of hearing"),
            scope="walletId",
            reach="the present balances",
            unnoticed="changes that were missed and together came to nothing; "
            "the venue names no time: a change bears the venue's time of its hearing",
        ),
    ),
}
KINDS = tuple(_TABLE)

PAYMENTS = Channel(
    series="payments",
    topic="url_callback",
    model=Model.STATE,
    repair=Repair.NOTHING,
    id_fields=("uuid", "status", "txid"),
    scope="uuid",
    private=True,
    settle_s=0.0,
    reach="nothing: the venue repeats a callback that was not taken for a while, and is not asked for payments",
    unnoticed="a callback that never came, or that the venue gave up: no list is read that would show it",
)
"""What callbacks of payments tell. Nobody subscribes to it: the venue delivers it, signed with keys of its own."""


def topic_of(text: str) -> Topic:
    """``kind:what`` taken apart. Raises ValueError that says what a channel looks like."""
    kind, _, what = text.partition(":")
    row = _TABLE.get(kind)
    if row is None:
        raise ValueError(f"{text!r} is no channel: it begins with one of {', '.join(_TABLE)} and a colon")
    if what == ALL and not row.all:
        raise ValueError(f"{text!r} cannot be followed: a book's changes need its own snapshot, so name each book")
    if what != ALL and not row.what.fullmatch(what):
        raise ValueError(f"{text!r} is no channel: write {kind}:{row.form}" + (f" or {kind}:all" if row.all else ""))
    return Topic(kind, what)


def channel_of(text: str, *, hold_s: float = SETTLE_S) -> Channel:
    """The row of the table for a configured channel. ``hold_s``: how long balances wait for their order.

    Raises ValueError for one that the venue does not have.
    """
    topic = topic_of(text)
    series = topic.kind if topic.what == ALL else f"{topic.kind}.{topic.what.replace(':', '.')}"
    channel = replace(_TABLE[topic.kind].channel, series=series, topic=text)
    return replace(channel, settle_s=hold_s) if topic.kind == "balance" else channel


def line_of(channel: Channel) -> str:
    """The connection that a channel is heard on: books stay apart, because subscribing again resets all of them."""
    return _TABLE[topic_of(channel.topic).kind].line
