"""The venue's channels as data: how each hangs together, what its events are known by, and what repairs it."""

from dataclasses import dataclass
from enum import Enum, auto

from bridge.core.channel import Model, Repair

CATEGORIES = ("spot", "linear", "inverse", "option")
"""The products. A public socket speaks of one of them, a private one of all."""

_FUTURES = ("linear", "inverse")
_UNIFIED = ("spot", *_FUTURES)
_SYMBOL = r"(?P<key>[A-Za-z0-9_-]{1,48})"
_PRODUCT = r"(?:\.(?P<category>spot|linear|inverse|option))?"
_COIN = r"(?P<key>USDT|USDC|inverse)"
_BETWEEN = "states between two that were heard: the venue shows only the present one"
_SWALLOWED = "what the venue does not push while the line is up"


class Form(Enum):
    """How a channel's frames and rows are read."""

    BOOK = auto()
    TOP = auto()
    TRADE = auto()
    TICKER = auto()
    KLINE = auto()
    LIQUIDATION = auto()
    WHOLE = auto()
    ORDER = auto()
    EXECUTION = auto()
    POSITION = auto()
    ACCOUNT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One row of the table. ``word`` is the venue's word for the channel, without symbol, depth or product."""

    word: str
    pattern: str
    form: Form
    model: Model
    repair: Repair
    id_fields: tuple[str, ...]
    scope: str
    categories: tuple[str, ...] = CATEGORIES
    private: bool = False
    settle_s: float = 0.5
    lag_s: float = 2.0
    reach: str = "the present state"
    unnoticed: str | None = None


KINDS = (
    Kind(
        word="orderbook",
        pattern=rf"orderbook\.(?:50|200|1000|rpi)\.{_SYMBOL}",
        form=Form.BOOK,
        model=Model.CONTIGUOUS,
        repair=Repair.SNAPSHOT,
        id_fields=("u", "seq"),
        scope="topic",
        categories=_UNIFIED,
    ),
    Kind(
        word="orderbook",
        pattern=rf"orderbook\.(?:25|100)\.{_SYMBOL}",
        form=Form.BOOK,
        model=Model.CONTIGUOUS,
        repair=Repair.SNAPSHOT,
        id_fields=("u", "seq"),
        scope="topic",
        categories=("option",),
    ),
    Kind(
        word="orderbook.full",
        pattern=rf"orderbook\.full\.{_SYMBOL}",
        form=Form.BOOK,
        model=Model.CONTIGUOUS,
        repair=Repair.SNAPSHOT,
        id_fields=("u", "seq"),
        scope="symbol",
        categories=_UNIFIED,
    ),
    Kind(
        word="orderbook.1",
        pattern=rf"orderbook\.1\.{_SYMBOL}",
        form=Form.TOP,
        model=Model.STATE,
        repair=Repair.SNAPSHOT,
        id_fields=("u", "seq"),
        scope="topic",
        categories=_UNIFIED,
        unnoticed=_BETWEEN,
    ),
    Kind(
        word="publicTrade",
        pattern=rf"publicTrade\.{_SYMBOL}",
        form=Form.TRADE,
        model=Model.KEYED,
        repair=Repair.HISTORY,
        id_fields=("s", "i"),
        scope="symbol",
        reach="the newest 1,000 trades (spot: 60)",
        unnoticed="trades not pushed while the line is up that have left the list before an audit reads it",
    ),
    Kind(
        word="tickers",
        pattern=rf"tickers\.{_SYMBOL}",
        form=Form.TICKER,
        model=Model.MERGE,
        repair=Repair.SNAPSHOT,
        id_fields=("cs", "ts"),
        scope="symbol",
        categories=_FUTURES,
        unnoticed="a change that is lost on the way, until the next snapshot",
    ),
    Kind(
        word="tickers",
        pattern=rf"tickers\.{_SYMBOL}",
        form=Form.TICKER,
        model=Model.STATE,
        repair=Repair.SNAPSHOT,
        id_fields=("cs", "ts"),
        scope="symbol",
        categories=("spot", "option"),
        unnoticed=_BETWEEN,
    ),
    Kind(
        word="kline",
        pattern=rf"kline\.(?P<interval>1|3|5|15|30|60|120|240|360|720|D|W|M)\.{_SYMBOL}",
        form=Form.KLINE,
        model=Model.STATE,
        repair=Repair.HISTORY,
        id_fields=("start", "confirm", "timestamp"),
        scope="symbol, interval, start",
        categories=_UNIFIED,
        settle_s=5.0,
        reach="closed candles, as far back as the venue keeps them",
        unnoticed="states of a candle before it is closed",
    ),
    Kind(
        word="allLiquidation",
        pattern=rf"allLiquidation\.{_SYMBOL}",
        form=Form.LIQUIDATION,
        model=Model.NONE,
        repair=Repair.NOTHING,
        id_fields=("T", "S", "p", "v"),
        scope="symbol",
        categories=_FUTURES,
        settle_s=1.5,
        reach="nothing",
        unnoticed=_SWALLOWED,
    ),
    Kind(
        word="insurance",
        pattern=rf"insurance\.{_COIN}",
        form=Form.WHOLE,
        model=Model.STATE,
        repair=Repair.NOTHING,
        id_fields=("ts",),
        scope="topic",
        categories=_FUTURES,
        settle_s=1.5,
        reach="nothing",
        unnoticed=_SWALLOWED,
    ),
    Kind(
        word="adlAlert",
        pattern=rf"adlAlert\.{_COIN}",
        form=Form.WHOLE,
        model=Model.STATE,
        repair=Repair.NOTHING,
        id_fields=("ts",),
        scope="topic",
        categories=_FUTURES,
        settle_s=1.5,
        reach="nothing",
        unnoticed=_SWALLOWED,
    ),
    Kind(
        word="priceLimit",
        pattern=rf"priceLimit\.{_SYMBOL}",
        form=Form.WHOLE,
        model=Model.STATE,
        repair=Repair.NOTHING,
        id_fields=("ts",),
        scope="symbol",
        categories=_UNIFIED,
        reach="nothing",
        unnoticed=_SWALLOWED,
    ),
    Kind(
        word="order",
        pattern=rf"order{_PRODUCT}",
        form=Form.ORDER,
        model=Model.STATE,
        repair=Repair.HISTORY,
        id_fields=("orderId", "updatedTime", "orderStatus", "cumExecQty", "cancelType", "rejectReason"),
        scope="order",
        private=True,
        settle_s=1.0,
        lag_s=5.0,
        reach="two years if filled; 24 hours if cancelled, rejected or deactivated without a fill",
        unnoticed="states of an order between two that were heard: the lists show only its last one",
    ),
    Kind(
        word="execution.fast",
        pattern=rf"execution\.fast{_PRODUCT}",
        form=Form.EXECUTION,
        model=Model.KEYED,
        repair=Repair.HISTORY,
        id_fields=("category", "execId"),
        scope="category",
        private=True,
        settle_s=1.0,
        lag_s=5.0,
        reach="two years",
    ),
    Kind(
        word="execution",
        pattern=rf"execution{_PRODUCT}",
        form=Form.EXECUTION,
        model=Model.KEYED,
        repair=Repair.HISTORY,
        id_fields=("category", "execId"),
        scope="category",
        private=True,
        settle_s=1.0,
        lag_s=5.0,
        reach="two years",
    ),
    Kind(
        word="position",
        pattern=r"position(?:\.(?P<category>linear|inverse|option))?",
        form=Form.POSITION,
        model=Model.STATE,
        repair=Repair.SNAPSHOT,
        id_fields=("category", "symbol", "positionIdx", "updatedTime", "seq", "size"),
        scope="category, symbol, positionIdx",
        private=True,
        settle_s=1.0,
        unnoticed=_BETWEEN,
    ),
    Kind(
        word="wallet",
        pattern=r"wallet",
        form=Form.ACCOUNT,
        model=Model.STATE,
        repair=Repair.SNAPSHOT,
        id_fields=("id",),
        scope="accountType, coin",
        private=True,
        settle_s=1.0,
        unnoticed=_BETWEEN,
    ),
    Kind(
        word="greeks",
        pattern=r"greeks",
        form=Form.ACCOUNT,
        model=Model.STATE,
        repair=Repair.NOTHING,
        id_fields=("id",),
        scope="baseCoin",
        private=True,
        settle_s=1.0,
        reach="nothing",
        unnoticed=_SWALLOWED,
    ),
)
