"""What a venue still remembers: every fact by kind and symbol, in the order of time, for a while."""

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from operator import attrgetter
from typing import TypeVar, cast

from bridge.sim.market.facts import BalanceChange, BookChange, Fact, OrderChange, PositionChange

F = TypeVar("F", bound=Fact)
_at = attrgetter("at")
_nth = attrgetter("nth")
_number = attrgetter("number")


class History:
    """``kept_max`` facts of each kind and symbol at most, none older than ``retention_s``."""

    def __init__(self, *, retention_s: float, kept_max: int) -> None:
        self._retention = timedelta(seconds=retention_s)
        self._kept_max = kept_max
        self._kept: dict[tuple[type[Fact], str], list[Fact]] = {}
        self._before: dict[type[Fact], dict[str, Fact]] = {}

    def add(self, fact: Fact) -> None:
        """Keep ``fact``, which is the newest."""
        kept = self._kept.setdefault((type(fact), fact.symbol), [])
        kept.append(fact)
        if len(kept) > self._kept_max or (len(kept) % 256 == 0 and kept[0].at < fact.at - self._retention):
            stale = bisect_left(kept, fact.at - self._retention, key=_at)
            self._forget(kept, max(stale, len(kept) - self._kept_max * 3 // 4))

    def between(
        self,
        kind: type[F],
        since: datetime | None,
        until: datetime | None,
        *,
        symbol: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> list[F]:
        """Facts of ``kind`` with ``since`` <= at <= ``until``, oldest first unless told otherwise; then ``limit``.

        None is no bound. ``symbol`` None is every symbol.
        """
        runs = [self._run(kept, since, until, newest_first) for kept in self._of(kind, symbol)]
        merged = runs[0] if len(runs) == 1 else heapq.merge(*runs, key=_nth, reverse=newest_first)
        return list(islice(merged, limit))

    def numbered(self, symbol: str, first: int, last: int) -> list[BookChange]:
        """The steps of a book that touch the numbers from ``first`` to ``last``, both inclusive, ascending."""
        kept = next(iter(self._of(BookChange, symbol)), [])
        begin = bisect_left(kept, first, key=_number)
        end = bisect_left(kept, last, key=_number)
        return [change for change in kept[begin : end + 1] if change.previous < last]

    def latest(self, kind: type[F], as_of: datetime, *, symbol: str | None = None) -> list[F]:
        """The last fact of each order, wallet or position that was known at ``as_of``, oldest first."""
        before = cast("dict[str, F]", self._before.get(cast("type[Fact]", kind), {}))
        found = {key: fact for key, fact in before.items() if symbol in (None, fact.symbol)}
        for fact in self.between(kind, None, as_of, symbol=symbol):
            found[key_of(fact)] = fact
        return sorted(found.values(), key=_nth)

    def _of(self, kind: type[F], symbol: str | None) -> Iterable[list[F]]:
        for (known, its_symbol), kept in self._kept.items():
            if known is kind and symbol in (None, its_symbol):
                yield cast("list[F]", kept)

    def _run(self, kept: list[F], since: datetime | None, until: datetime | None, newest_first: bool) -> Iterator[F]:
        begin = 0 if since is None else bisect_left(kept, since, key=_at)
        end = len(kept) if until is None else bisect_left(kept, until + timedelta(microseconds=1), key=_at)
        span = range(begin, end)
        return (kept[place] for place in (reversed(span) if newest_first else span))

    def _forget(self, kept: list[Fact], count: int) -> None:
        for fact in kept[:count]:
            if isinstance(fact, OrderChange) and fact.status.final:
                self._before.get(OrderChange, {}).pop(fact.order_id, None)
            elif isinstance(fact, OrderChange | BalanceChange | PositionChange):
                self._before.setdefault(type(fact), {})[key_of(fact)] = fact
        del kept[:count]


def key_of(fact: Fact) -> str:
    """What a later fact of the same kind replaces."""
    match fact:
        case OrderChange(order_id=key) | BalanceChange(wallet_id=key):
            return key
    return fact.symbol
