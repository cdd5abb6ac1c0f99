"""The books as they are pushed: changes that count by one, the best that is repeated, and services that restart."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.sim.bybit.words import Row, encode, seq_of
from bridge.sim.market import Assigned, Market, Push, Say
from bridge.sim.market.facts import BookChange, Side, Tick
from bridge.sim.market.ids import ms_of, whole_ms

DEPTHS = ("50", "200", "1000", "full")
"""Those that are told as changes. The full book has no snapshot on the line."""
TOP = "1"
REPEAT_AFTER = timedelta(seconds=3)
_UPDATES_BASE = 900_000


@dataclass(slots=True)
class _Series:
    """One symbol. ``offset`` is what a step's index lacks to its update id, ``at`` the time of the last step."""

    offset: int
    at: datetime
    seq: int
    u: int
    changes: int = 0
    best: tuple[object, ...] = ()
    top_at: datetime | None = None
    top_u: int = 0
    top_seq: int = 0
    pushed_at: datetime | None = None


class Books:
    """``restart_every``: after so many steps of a symbol its service starts anew, at the update id 1; 0 for never."""

    def __init__(self, market: Market, *, restart_every: int) -> None:
        self._market = market
        self._restart_every = restart_every
        self._kept = {
            symbol: _Series(_UPDATES_BASE, market.now, seq_of(0), market.book(symbol).index + _UPDATES_BASE)
            for symbol in market.symbols
        }
        self._wanted: set[str] = set()
        self._ticks = 0

    def want(self, topic: str) -> None:
        """Somebody asked for it: what nobody ever asked for is not told."""
        self._wanted.add(topic)

    def pushes(self, fact: BookChange, now: datetime) -> list[Push]:
        """The frames that tell of a step."""
        kept = self._kept[fact.symbol]
        kept.changes += 1
        restarts = bool(self._restart_every) and kept.changes % self._restart_every == 0
        if restarts:
            kept.offset = 1 - fact.index
        kept.u, kept.seq, kept.at = fact.index + kept.offset, seq_of(fact.nth), fact.at
        return [
            self._restarted(topic, now) if restarts else self._changed(topic, fact, now)
            for topic in (f"orderbook.{depth}.{fact.symbol}" for depth in DEPTHS)
            if topic in self._wanted
        ]

    def tops(self, changed: set[str], now: datetime) -> list[Push]:
        """The best of each book that changed, and of those that were not told for a while."""
        pushes: list[Push] = []
        for symbol, kept in self._kept.items():
            topic = f"orderbook.{TOP}.{symbol}"
            if topic not in self._wanted:
                continue
            again = kept.pushed_at is not None and now - kept.pushed_at >= REPEAT_AFTER
            if symbol in changed or kept.pushed_at is None or again:
                pushes += self._top(topic, kept, now, again=again)
        return pushes

    def snapshot(self, topic: str, now: datetime) -> Say | None:
        """What is told of ``topic`` to one who has just subscribed to it; None where nothing is."""
        word, _, symbol = topic.rpartition(".")
        if word == "tickers":
            push = self.ticker(self._market.tick(symbol), now, snapshot=True)
            return Say(push.frame, topic, push.items)
        if word.removeprefix("orderbook.") not in DEPTHS or word.endswith(".full"):
            return None
        frame, item = self._whole(topic, now)
        return Say(frame, topic, (item,))

    def ticker(self, tick: Tick, now: datetime, *, snapshot: bool = False) -> Push:
        """The ticker's change, or all of it."""
        topic, stamp = f"tickers.{tick.symbol}", ms_of(now)
        self._ticks += 1
        data: Row = {"symbol": tick.symbol, "lastPrice": str(tick.price)}
        if snapshot:
            data |= {"bid1Price": str(tick.bid), "ask1Price": str(tick.ask)}
        number = seq_of(self._ticks)
        kind = "snapshot" if snapshot else "delta"
        frame = encode({"topic": topic, "type": kind, "data": data, "cs": number, "ts": stamp})
        event_id = f"{stamp}:{number}:{hashlib.sha256(frame).hexdigest()[:12]}"
        return Push(topic, topic, frame, (Assigned(event_id, whole_ms(now), optional=snapshot),))

    def listed(self, symbol: str, depth: int | None) -> tuple[Row, Assigned]:
        """The whole as REST tells it, and the event in it."""
        kept, at = self._kept[symbol], whole_ms(self._kept[symbol].at)
        row = {**self._data(symbol, depth), "ts": ms_of(self._market.now), "cts": ms_of(at)}
        mark = "listed:" if depth == 1 else f"listed:{ms_of(at)}:"
        return row, Assigned(f"{mark}{kept.u}:{kept.seq}", at, number=kept.u)

    def _changed(self, topic: str, fact: BookChange, now: datetime) -> Push:
        kept = self._kept[fact.symbol]
        sides: dict[Side, list[list[str]]] = {Side.BUY: [], Side.SELL: []}
        for level in fact.levels:
            sides[level.side].append([str(level.price), str(level.quantity) if level.quantity else "0"])
        data: Row = {"s": fact.symbol, "b": sides[Side.BUY], "a": sides[Side.SELL], "u": kept.u, "seq": kept.seq}
        frame = encode({"topic": topic, "type": "delta", "ts": ms_of(now), "data": data, "cts": ms_of(fact.at)})
        item = Assigned(f"{kept.u}:{kept.seq}", whole_ms(fact.at), kept.u - 1, kept.u)
        return Push(topic, topic, frame, (item,))

    def _restarted(self, topic: str, now: datetime) -> Push:
        frame, item = self._whole(topic, now)
        return Push(topic, topic, frame, (item,))

    def _whole(self, topic: str, now: datetime) -> tuple[bytes, Assigned]:
        symbol = topic.rpartition(".")[2]
        kept, at = self._kept[symbol], whole_ms(self._kept[symbol].at)
        frame = encode(
            {
                "topic": topic,
                "type": "snapshot",
                "ts": ms_of(now),
                "data": self._data(symbol, None),
                "cts": ms_of(at),
            }
        )
        return frame, Assigned(f"whole:{ms_of(at)}:{kept.u}:{kept.seq}", at, number=kept.u, optional=True)

    def _top(self, topic: str, kept: _Series, now: datetime, *, again: bool) -> Sequence[Push]:
        symbol = topic.rpartition(".")[2]
        best = self._market.book(symbol, depth=1)
        fresh = (best.bids, best.asks) != kept.best
        if not fresh and not again:
            return ()
        if fresh:
            kept.best, kept.top_at, kept.top_seq = (best.bids, best.asks), kept.at, kept.seq
            kept.top_u += 1
        kept.pushed_at = now
        at = whole_ms(kept.top_at or kept.at)
        data = {**self._data(symbol, 1), "u": kept.top_u, "seq": kept.top_seq}
        frame = encode({"topic": topic, "type": "snapshot", "ts": ms_of(now), "data": data, "cts": ms_of(at)})
        item = Assigned(f"{kept.top_u}:{kept.top_seq}", at, optional=not fresh)
        return (Push(topic, topic, frame, (item,)),)

    def _data(self, symbol: str, depth: int | None) -> Row:
        book, kept = self._market.book(symbol, depth=depth), self._kept[symbol]
        return {
            "s": symbol,
            "b": [[str(price), str(quantity)] for price, quantity in book.bids],
            "a": [[str(price), str(quantity)] for price, quantity in book.asks],
            "u": kept.u,
            "seq": kept.seq,
        }
