"""The present state of what is a state: it stands for every state that was missed before it."""

from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from bridge.core.channel import Told
from bridge.core.errors import VenueError
from bridge.sources.base import Malformed
from bridge.sources.bybit import items
from bridge.sources.bybit.channels import Topic
from bridge.sources.bybit.lists import Lists
from bridge.sources.bybit.reach import Reach
from bridge.sources.bybit.rows import MILLISECOND, Rows
from bridge.sources.bybit.values import UNREADABLE, maybe_time, millis
from bridge.sources.market import Recalled

POSITIONS_PAGE = 200


class _Book(msgspec.Struct):
    cts: Any = None
    ts: Any = None


_decode_book = msgspec.json.Decoder(_Book).decode


class Present:
    """What one source may ask of the venue's present."""

    def __init__(self, lists: Lists, reach: Reach) -> None:
        self._lists = lists
        self._reach = reach

    async def positions(self, topic: Topic, since: datetime) -> Recalled:
        """The positions that changed. One that never did has no time, and nothing was missed of it."""
        since = self._reach.earlier(since)
        rows = Rows(self._reach.rows_max)
        whole = True
        for category in self._reach.of(topic):
            read = partial(items.position, topic, category=category, otherwise=since - MILLISECOND)
            for coin in () if category == "spot" else self._reach.coins(category):
                asked: dict[str, str | int] = {"category": category, "limit": POSITIONS_PAGE, **coin}
                whole &= await rows.fill(self._lists.pages("/v5/position/list", asked), read)
        rows.keep(lambda at: at >= since)
        return rows.recalled(since if whole else None, superseding=True)

    async def wallet(self, topic: Topic, since: datetime) -> Recalled:
        """The balances. The answer has no id that a push would repeat: it is an event of its own."""
        listing = await self._lists.page("/v5/account/wallet-balance", {"accountType": self._reach.account_type})
        rows = Rows(self._reach.rows_max)
        now = _known(listing.venue_now)
        rows.note(now)
        for at, row in enumerate(listing.rows):
            rows.take((row,), partial(items.account, topic, event_id=f"listed:{millis(now)}:{at}", at=now))
        return rows.recalled(since if rows.told else None, superseding=True)

    async def ticker(self, topic: Topic, since: datetime) -> Recalled:
        """The ticker, as an event of its own."""
        listing = await self._lists.page("/v5/market/tickers", self._public(topic))
        rows = Rows(self._reach.rows_max)
        now = _known(listing.venue_now)
        rows.note(now)
        rows.take(listing.rows, partial(items.whole, topic, at=now))
        return rows.recalled(since if rows.told else None, superseding=True)

    async def top(self, topic: Topic, since: datetime) -> Recalled:
        """The best bid and ask, as an event of its own: its update id is of another count than the pushed ones."""
        result, venue_now = await self._lists.single("/v5/market/orderbook", {**self._public(topic), "limit": 1})
        rows = Rows(self._reach.rows_max)
        rows.note(venue_now)
        at = _stamp(result, venue_now)
        rows.take((result,), lambda row: items.top(topic, row, row, at, listed=True))
        return rows.recalled(since if rows.told else None, superseding=True)

    async def book(self, topic: Topic) -> Told:
        """The full book, which the venue does not push. Raises VenueError."""
        result, venue_now = await self._lists.single("/v5/market/full_orderbook", self._public(topic))
        try:
            return items.book(topic, result, result, _stamp(result, venue_now), snapshot=True, listed=True)
        except Malformed as error:
            raise VenueError(f"the full book cannot be read: {error}") from None

    def _public(self, topic: Topic) -> dict[str, str | int]:
        return {"category": self._reach.category, "symbol": topic.key}


def _known(venue_now: datetime | None) -> datetime:
    if venue_now is None:
        raise VenueError("the venue does not say of when its answer is")
    return venue_now


def _stamp(result: bytes, venue_now: datetime | None) -> datetime:
    try:
        said = _decode_book(result)
    except UNREADABLE:
        raise VenueError("a book cannot be read") from None
    return maybe_time(said.cts) or maybe_time(said.ts) or _known(venue_now)
