"""The venue's channels as a table: what a user may name, and what is known of each."""

import re
from dataclasses import dataclass

from bridge.core.channel import Channel, Model, Repair

ALL = "all"
WITHOUT_SYMBOL = ""
_SYMBOL = re.compile(r"[A-Z0-9]{1,32}(?:_[A-Z0-9]{1,32}){1,4}", re.ASCII)
_PERIODS = (
    *(f"minute_{minutes}" for minutes in (1, 5, 10, 15, 30)),
    *(f"hour_{hours}" for hours in (1, 2, 4, 6, 12)),
    "day_1",
    "day_3",
    "week_1",
)
_NEXT_PUSH = "the next push, which stands for whatever was missed"
_STATES_BETWEEN = "states that came and went between two that were heard"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One row of the table. ``symbols``: whether it has any. ``all_symbols``: whether the venue takes ``all``."""

    model: Model
    repair: Repair
    id_fields: tuple[str, ...]
    scope: str = "symbol"
    private: bool = False
    symbols: bool = True
    all_symbols: bool = False
    settle_s: float = 0.5
    lag_s: float = 2.0
    reach: str = _NEXT_PUSH
    unnoticed: str | None = None


def _state(*id_fields: str, all_symbols: bool = False) -> _Row:
    return _Row(
        model=Model.STATE,
        repair=Repair.SNAPSHOT,
        id_fields=id_fields,
        all_symbols=all_symbols,
        unnoticed=f"{_STATES_BETWEEN}, where the socket swallows them",
    )


_STAMPED = _state("s", "ts", all_symbols=True)
TABLE: dict[str, _Row] = {
    "book_lv2": _Row(
        model=Model.LINKED,
        repair=Repair.SNAPSHOT,
        id_fields=("lid", "id"),
        reach="the book as it is after subscribing anew; the changes between are superseded",
    ),
    "book": _state("s", "id"),
    "trades": _Row(
        model=Model.KEYED,
        repair=Repair.HISTORY,
        id_fields=("s", "id"),
        settle_s=1.0,
        reach="the newest 1,000 trades of a symbol",
        unnoticed="a swallowed trade, until the audit reads the list; a jump of the ids is a suspicion only",
    ),
    "tickers": _STAMPED,
    "index_price": _STAMPED,
    "mark_price": _STAMPED,
    "funding_rate": _STAMPED,
    "symbol": _STAMPED,
    "limit_price": _STAMPED,
    "open_interest": _STAMPED,
    "liquidation_orders": _Row(
        model=Model.NONE,
        repair=Repair.NOTHING,
        id_fields=("content",),
        all_symbols=True,
        reach="none: the rows of the list cannot be told to be those of the socket",
        unnoticed="whatever the socket swallows, and which of two equal rows is a repetition",
    ),
    **{
        f"{family}_{period}": _state("s", "start", "push")
        for family in ("candles", "mark_price_candles", "index_candles")
        for period in _PERIODS
    },
    "orders": _Row(
        model=Model.STATE,
        repair=Repair.HISTORY,
        id_fields=("ordId", "uTime", "state", "execQty"),
        scope="order",
        private=True,
        symbols=False,
        settle_s=2.0,
        reach="the last state of each order and none before it; fully cancelled ones for hours, others for 90 days",
        unnoticed=_STATES_BETWEEN,
    ),
    "trade": _Row(
        model=Model.KEYED,
        repair=Repair.HISTORY,
        id_fields=("symbol", "trdId", "ordId"),
        private=True,
        symbols=False,
        settle_s=2.0,
        reach="90 days of fills",
        unnoticed="a swallowed fill, until the audit reads the list",
    ),
    "positions": _Row(
        model=Model.VALUE_LINKED,
        repair=Repair.HISTORY,
        id_fields=("symbol", "posSide", "mgnMode", "uTime", "qty"),
        scope="symbol, posSide, mgnMode",
        private=True,
        symbols=False,
        settle_s=2.0,
        reach="the positions that are open now; one that was closed meanwhile is not among them",
        unnoticed="changes of one position that cancel each other out",
    ),
    "account": _Row(
        model=Model.STATE,
        repair=Repair.HISTORY,
        id_fields=("ccy", "uTime", "eq"),
        scope="ccy",
        private=True,
        symbols=False,
        settle_s=2.0,
        reach="the balances as they are now",
        unnoticed=_STATES_BETWEEN,
    ),
}


def split(topic: str) -> tuple[str, str]:
    """The channel's word and its symbol, the latter empty for a channel without. Raises ValueError."""
    word, colon, symbol = topic.partition(":")
    row = TABLE.get(word)
    if row is None:
        raise ValueError(f"{word[:64]!r} is no channel of this venue")
    if not row.symbols:
        if colon:
            raise ValueError(f"{word} has no symbol: it tells of the whole account")
        return word, WITHOUT_SYMBOL
    if symbol == ALL:
        if not row.all_symbols:
            raise ValueError(f"{word} is refused for all symbols: name each one")
    elif not _SYMBOL.fullmatch(symbol):
        raise ValueError(f"{word} needs a symbol: {word}:BTC_USDT_PERP")
    return word, symbol


def channel_of(topic: str) -> Channel:
    """What is known of ``topic``, such as ``trades:BTC_USDT_PERP`` or ``orders``. Raises ValueError."""
    word, symbol = split(topic)
    row = TABLE[word]
    return Channel(
        series=f"{word}.{symbol}" if symbol else word,
        topic=topic,
        model=row.model,
        repair=row.repair,
        id_fields=row.id_fields,
        scope=row.scope,
        private=row.private,
        settle_s=row.settle_s,
        lag_s=row.lag_s,
        reach=row.reach,
        unnoticed=row.unnoticed,
    )
