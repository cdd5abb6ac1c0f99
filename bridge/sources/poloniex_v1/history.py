"""What the venue's lists tell of a channel: past events where it keeps them, the present state where it does not.

A fill is told by the lists under the same id as on the socket. That an order was opened, changed or cancelled is
told by none; the lists of orders only show when such things may have happened, and so where nothing is proven.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.core.channel import Channel, Link, Repair, Told
from bridge.core.errors import VenueError
from bridge.sources.base import Malformed
from bridge.sources.market import Recalled
from bridge.sources.poloniex_v1.answers import RangeRefused
from bridge.sources.poloniex_v1.channels import kind_of, symbol_of
from bridge.sources.poloniex_v1.items import Item, read, read_fill, told_of
from bridge.sources.poloniex_v1.lists import Lists, Rows
from bridge.sources.poloniex_v1.orders import quiet_from
from bridge.sources.poloniex_v1.suspicion import Suspicion
from bridge.sources.poloniex_v1.values import print_of

TRADES = "/api/v1/trade/history"
TICKER = "/api/v1/ticker"
OVERVIEW = "/api/v1/account-overview"
FILLS = "/api/v1/fills"
RECENT_FILLS = "/api/v1/recentFills"
ORDERS = "/api/v1/orders"
RECENT_ORDERS = "/api/v1/recentDoneOrders"
POSITION = "/api/v1/position"
SNAPSHOTS = {"level2": "/api/v1/level2/snapshot", "level3v2": "/api/v2/level3/snapshot"}
PULLS = {"level2": "/api/v1/level2/message/query", "level3v2": "/api/v1/level3/message/query"}
PRIVATE_PATHS = (FILLS, RECENT_FILLS, ORDERS, RECENT_ORDERS, OVERVIEW, POSITION)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Asks the lists of one source. ``currencies`` are those whose balances are asked for."""

    lists: Lists
    currencies: tuple[str, ...] = ("USDT",)
    suspicion: Suspicion | None = None

    async def recall(self, channel: Channel, since: datetime, until: datetime) -> Recalled:
        """What the lists hold of ``channel`` between the two times. Raises KeyRefused, VenueError."""
        match kind_of(channel).word:
            case "execution":
                return await self._trades(channel, since)
            case "tradeOrders":
                return await self._fills(channel, since, until)
            case "ticker":
                return await self._ticker(channel)
            case "wallet":
                return await self._balances(channel)
        return Recalled((), None, superseding=channel.repair is Repair.SNAPSHOT)

    async def pull(self, channel: Channel, first: int, last: int) -> tuple[Told, ...]:
        """The changes from ``first`` to ``last``, one per number; empty where the venue does not give all of them.

        The socket may bundle several numbers in one event; these rows then stand for it, each by itself.
        """
        kind = kind_of(channel)
        if kind.word not in PULLS or not 0 < last - first + 1 <= self.lists.limits.pull_numbers_max:
            return ()
        params: dict[str, str | int] = {"symbol": symbol_of(channel), "start": first, "end": last}
        try:
            listed = await self.lists.rows(PULLS[kind.word], params, urgent=True)
        except RangeRefused:
            return ()
        told: dict[int, Told] = {}
        for row in listed.rows:
            item = _read(channel, row)
            if item.link is not None and item.link.number is not None and first <= item.link.number <= last:
                told.setdefault(item.link.number, _told(channel, item, row))
        complete = len(told) == last - first + 1
        return tuple(told[number] for number in sorted(told)) if complete else ()

    async def snapshot(self, channel: Channel) -> Told | None:
        """The whole present state of a channel that follows its connection: the socket never tells it."""
        kind = kind_of(channel)
        if kind.word in SNAPSHOTS:
            data, _ = await self.lists.one(SNAPSHOTS[kind.word], {"symbol": symbol_of(channel)})
            item = _read(channel, data)
            assert item.link is not None
            link = Link(item.link.number, snapshot=True)
            return _told(channel, item._replace(event_id=f"snapshot:{link.number}", link=link), data)
        if kind.word == "position":
            data, _ = await self.lists.one(POSITION, {"symbol": symbol_of(channel)})
            item = _read(channel, data)
            link = Link(None, snapshot=True)
            return _told(channel, item._replace(event_id=f"snapshot:{print_of(data)}", link=link), data)
        return None

    async def _trades(self, channel: Channel, since: datetime) -> Recalled:
        """The last trades. They are the newest without a hole, so they prove the time behind the oldest of them."""
        listed = await self._last_trades(channel)
        if len(listed) < self.lists.limits.trades_max and not _reaches(listed.items, since):
            listed = listed.joined(await self._last_trades(channel))  # it may have come short
        if self.suspicion is not None:
            self.suspicion.listed(channel.series, (item.number for item in listed.items if item.number is not None))
        times = [item.at for item in listed.items if item.at is not None]
        # Others of the oldest one's own moment may have been cut off with what is before it.
        return Recalled(listed.told, min(times) + _MICROSECOND if times else None, venue_now=listed.venue_now)

    async def _last_trades(self, channel: Channel) -> "_Listed":
        listed = await self.lists.rows(TRADES, {"symbol": symbol_of(channel)})
        items = tuple(_read(channel, row) for row in listed.rows)
        return _listed(channel, items, listed)

    async def _fills(self, channel: Channel, since: datetime, until: datetime) -> Recalled:
        symbol = symbol_of(channel)
        params = {"symbol": symbol} if symbol else {}
        # The orders first: what happens while the fills are asked for is then not taken for quiet.
        done = await self.lists.rows(RECENT_ORDERS, params)
        active = await self.lists.pages(ORDERS, {**params, "status": "active"})
        recent = await self.lists.rows(RECENT_FILLS, params)
        rows = dict.fromkeys(recent.rows)
        for begin, end in _windows(since, until, timedelta(days=self.lists.limits.window_days)):
            bounds = {"startAt": int(begin.timestamp() * 1000), "endAt": int(end.timestamp() * 1000) + 1}
            rows.update(dict.fromkeys((await self.lists.pages(FILLS, {**params, **bounds}, slow=True)).rows))
        items = tuple(_read_fill(row) for row in rows)
        told = _listed(channel, items, Rows(tuple(rows), recent.venue_now)).told
        now = done.venue_now or self.lists.clock.now()
        known_from = now - timedelta(hours=self.lists.limits.recent_hours)
        proven = quiet_from(
            done.rows, active.rows, since, until, known_from=known_from, recent_max=self.lists.limits.recent_max
        )
        return Recalled(told, proven, venue_now=recent.venue_now)

    async def _ticker(self, channel: Channel) -> Recalled:
        data, venue_now = await self.lists.one(TICKER, {"symbol": symbol_of(channel)})
        told = _told(channel, _read(channel, data), data)
        return Recalled((told,), None, superseding=True, venue_now=venue_now)

    async def _balances(self, channel: Channel) -> Recalled:
        told: list[Told] = []
        asked_at: datetime | None = None
        for currency in self.currencies:
            data, venue_now = await self.lists.one(OVERVIEW, {"currency": currency})
            asked_at = asked_at or venue_now
            at = venue_now or self.lists.clock.now()  # the row says no time of its own
            event_id = f"overview:{currency}:{int(at.timestamp())}:{print_of(data)}"
            told.append(_told(channel, Item(event_id, currency, at), data))
        return Recalled(tuple(told), None, superseding=True, venue_now=asked_at)


@dataclass(frozen=True, slots=True)
class _Listed:
    """The rows of a list as events, each once."""

    items: tuple[Item, ...]
    told: tuple[Told, ...]
    venue_now: datetime | None

    def __len__(self) -> int:
        return len(self.items)

    def joined(self, other: "_Listed") -> "_Listed":
        known = {item.event_id for item in self.items}
        fresh = [place for place, item in enumerate(other.items) if item.event_id not in known]
        return _Listed(
            self.items + tuple(other.items[place] for place in fresh),
            self.told + tuple(other.told[place] for place in fresh),
            self.venue_now,
        )


def _listed(channel: Channel, items: tuple[Item, ...], listed: Rows) -> _Listed:
    once = {item.event_id: (item, row) for item, row in zip(items, listed.rows, strict=True)}
    told = tuple(_told(channel, item, row) for item, row in once.values())
    return _Listed(tuple(item for item, _ in once.values()), told, listed.venue_now)


def _told(channel: Channel, item: Item, row: bytes) -> Told:
    try:
        return told_of(channel, kind_of(channel), item, row)
    except Malformed as error:
        raise VenueError(f"the venue's list holds a row that cannot be kept: {error}") from None


def _read(channel: Channel, row: bytes) -> Item:
    try:
        return read(channel, "", row)
    except Malformed as error:
        raise VenueError(f"the venue's list holds a row that cannot be read: {error}") from None


def _read_fill(row: bytes) -> Item:
    try:
        return read_fill(row)
    except Malformed as error:
        raise VenueError(f"the venue's list holds a row that cannot be read: {error}") from None


def _reaches(items: Iterable[Item], since: datetime) -> bool:
    return any(item.at is not None and item.at < since for item in items)


def _windows(since: datetime, until: datetime, most: timedelta) -> list[tuple[datetime, datetime]]:
    windows = []
    while since < until:
        end = min(until, since + most - timedelta(seconds=1))
        windows.append((since, end))
        since = end
    return windows
