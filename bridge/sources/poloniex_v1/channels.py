"""The venue's channels as data: how the events of each hang together, and what repairs a hole."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

from bridge.core.channel import Channel, Model, Repair

SYMBOL_CHARS_MAX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A row of the table. ``symbols``: whether a topic of it names one: it must, it may, or it never does.

    ``framed``: an event's payload is the whole frame, because what it means stands around its data. ``stamped``: its
    times are those of the matching engine, so that hearing one proves how late it is at the venue.
    """

    word: str
    path: str
    model: Model
    repair: Repair
    id_fields: tuple[str, ...]
    scope: str
    symbols: str = "must"
    private: bool = False
    framed: bool = False
    stamped: bool = False
    settle_s: float = 0.5
    lag_s: float = 2.0
    reach: str = ""
    unnoticed: str | None = None


_REPLACED = "a state that was replaced before it was heard"
_LINKED_REACH = "500 numbers by the pull route, beyond that a snapshot"

KINDS = (
    Kind(
        word="level2",
        path="/contractMarket/level2",
        model=Model.LINKED,  # contiguous where the venue leaves lastSequence out
        repair=Repair.PULL,
        id_fields=("lastSequence", "sequence"),
        scope="symbol",
        framed=True,
        stamped=True,
        reach=_LINKED_REACH,
    ),
    Kind(
        word="level3v2",
        path="/contractMarket/level3v2",
        model=Model.CONTIGUOUS,
        repair=Repair.PULL,
        id_fields=("sequence",),
        scope="symbol",
        framed=True,
        stamped=True,
        reach=_LINKED_REACH,
    ),
    Kind(
        word="execution",
        path="/contractMarket/execution",
        model=Model.KEYED,  # its sequence is said to be dense; what contradicts that is asked for, not believed
        repair=Repair.HISTORY,
        id_fields=("tradeId",),
        scope="symbol",
        stamped=True,
        reach="the last 100 trades of the symbol",
        unnoticed="a trade that a healthy connection swallowed, once 100 more came before the next audit",
    ),
    Kind(
        word="ticker",
        path="/contractMarket/ticker",
        model=Model.SPARSE,
        repair=Repair.SNAPSHOT,
        id_fields=("sequence", "ts"),
        scope="symbol",
        stamped=True,
        reach="the present ticker",
        unnoticed="any: the venue itself tells only the last trade of a burst",
    ),
    Kind(
        word="level2Depth5",
        path="/contractMarket/level2Depth5",
        model=Model.STATE,
        repair=Repair.SNAPSHOT,
        id_fields=("ts",),
        scope="symbol",
        stamped=True,
        reach="the next push",
        unnoticed=_REPLACED,
    ),
    Kind(
        word="level2Depth50",
        path="/contractMarket/level2Depth50",
        model=Model.STATE,
        repair=Repair.SNAPSHOT,
        id_fields=("ts",),
        scope="symbol",
        stamped=True,
        reach="the next push",
        unnoticed=_REPLACED,
    ),
    Kind(
        word="instrument",
        path="/contract/instrument",
        model=Model.STATE,
        repair=Repair.SNAPSHOT,
        id_fields=("subject", "timestamp"),
        scope="symbol",
        framed=True,
        settle_s=2.0,
        reach="the next push",
        unnoticed=_REPLACED,
    ),
    Kind(
        word="announcement",
        path="/contract/announcement",
        model=Model.KEYED,
        repair=Repair.NOTHING,
        id_fields=("symbol", "fundingTime", "subject"),
        scope="symbol",
        symbols="never",
        framed=True,
        settle_s=2.0,
        reach="nothing",
        unnoticed="an announcement that a healthy connection swallowed",
    ),
    Kind(
        word="snapshot",
        path="/contractMarket/snapshot",
        model=Model.STATE,
        repair=Repair.SNAPSHOT,
        id_fields=("ts",),
        scope="symbol",
        settle_s=2.0,
        reach="the next push, after 5 s",
        unnoticed=_REPLACED,
    ),
    Kind(
        word="tradeOrders",
        path="/contractMarket/tradeOrders",
        model=Model.KEYED,
        repair=Repair.HISTORY,
        id_fields=("orderId", "type", "tradeId", "ts"),
        scope="order",
        symbols="may",
        private=True,
        stamped=True,
        settle_s=1.0,
        lag_s=5.0,
        reach="fills of the venue's retention; no list tells that an order was opened, changed or cancelled",
        unnoticed="an opening, change or cancellation that a healthy connection swallowed",
    ),
    Kind(
        word="advancedOrders",
        path="/contractMarket/advancedOrders",
        model=Model.KEYED,
        repair=Repair.NOTHING,
        id_fields=("orderId", "type"),
        scope="order",
        symbols="never",
        private=True,
        settle_s=1.0,
        reach="nothing: the lists know stop orders, not what became of them",
        unnoticed="any change that a healthy connection swallowed",
    ),
    Kind(
        word="wallet",
        path="/contractAccount/wallet",
        model=Model.STATE,
        repair=Repair.SNAPSHOT,
        id_fields=("subject", "timestamp"),
        scope="subject, currency",
        symbols="never",
        private=True,
        framed=True,
        settle_s=1.0,
        reach="the present balances",
        unnoticed=_REPLACED,
    ),
    Kind(
        word="position",
        path="/contract/position",
        model=Model.MERGE,
        repair=Repair.SNAPSHOT,
        id_fields=("subject", "currentTimestamp"),
        scope="symbol",
        private=True,
        framed=True,
        reach="the present position; a funding settlement that was missed is not told again",
        unnoticed="a partial change, or a settlement, that a healthy connection swallowed",
    ),
)
_BY_WORD = MappingProxyType({kind.word: kind for kind in KINDS})
_BY_PATH = MappingProxyType({kind.path: kind for kind in KINDS} | {"/contractMarket/level3": _BY_WORD["level3v2"]})


def channel_of(topic: str) -> Channel:
    """The channel that ``topic`` names, such as ``/contractMarket/level2:BTCUSDTPERP``.

    Raises ValueError for what the venue does not have.
    """
    path, colon, symbol = topic.partition(":")
    kind = _BY_PATH.get(path)
    if kind is None:
        raise ValueError(f"{topic!r} is no channel of this venue: it has {', '.join(sorted(_BY_PATH))}")
    if colon and (kind.symbols == "never" or not _is_symbol(symbol)):
        wanted = "none here" if kind.symbols == "never" else "one symbol in letters and digits behind the colon"
        raise ValueError(f"{topic!r}: {wanted}")
    if not colon and kind.symbols == "must":
        raise ValueError(f"{topic!r} needs a symbol, as in {path}:BTCUSDTPERP")
    return Channel(
        series=f"{kind.word}.{symbol}" if symbol else kind.word,
        topic=topic,
        model=kind.model,
        repair=kind.repair,
        id_fields=kind.id_fields,
        scope=kind.scope,
        private=kind.private,
        settle_s=kind.settle_s,
        lag_s=kind.lag_s,
        reach=kind.reach,
        unnoticed=kind.unnoticed,
    )


def channels_of(topics: Iterable[str]) -> tuple[Channel, ...]:
    """The channels that ``topics`` name. Raises ValueError for unknown ones, and for two that are one."""
    channels = tuple(channel_of(topic) for topic in topics)
    series = [channel.series for channel in channels]
    if twice := sorted({one for one in series if series.count(one) > 1}):
        raise ValueError(f"named twice: {', '.join(twice)}")
    return channels


def kind_of(channel: Channel) -> Kind:
    """The row of the table that ``channel`` was made from."""
    return _BY_WORD[channel.series.partition(".")[0]]


def symbol_of(channel: Channel) -> str:
    """The symbol of ``channel``, "" where it has none."""
    return channel.topic.partition(":")[2]


def _is_symbol(symbol: str) -> bool:
    return symbol.isascii() and symbol.isalnum() and len(symbol) <= SYMBOL_CHARS_MAX
