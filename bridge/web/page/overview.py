"""The overview: what needs a person first, then gaps by their deadline, streams, sources and destinations."""

from collections import deque
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request

from bridge.clock import Clock
from bridge.store import alerts, board, budgets
from bridge.store.board import Taker
from bridge.store.budgets import UpstreamBudget
from bridge.store.overview import GapRow, gaps_at_a_glance
from bridge.store.tokens import Scope
from bridge.web import parameters
from bridge.web.destinations import Routes
from bridge.web.fresh import Fresh
from bridge.web.page.live import EVERY_S, REST, Context, Live
from bridge.web.page.rows import lines
from bridge.web.pull import Reads

ALERTS_SHOWN = 8
GAPS_SHOWN = 12
ENDED_SHOWN = 5
STREAMS_SHOWN = 20
SOURCES_SHOWN = 50
BUDGETS_SHOWN = 200
DESTINATIONS_SHOWN = 50
RATE_OVER_S = 30.0


class Overview:
    """The page at ``/``. However many look, it is read once."""

    def __init__(self, live: Live, reads: Reads, clock: Clock) -> None:
        self._live = live
        self._reads = reads
        self._clock = clock
        self._fresh = Fresh(self._read, clock, for_s=EVERY_S / 2, rest=REST)
        self._takers = Fresh(self._read_takers, clock, for_s=EVERY_S / 2, rest=REST)
        self._pace = Pace()

    def routes(self) -> Routes:
        """By the scope that they need."""
        blocks = ("figures", "attention", "gaps", "streams", "sources", "destinations")
        return {Scope.READ: [self._live.page("/", "overview.html", self.read, blocks=blocks)]}

    async def read(self, request: Request) -> Context:
        """What it shows."""
        parameters.only(request)
        return await self._fresh.get()

    async def _read(self) -> Context:
        now = self._clock.now()
        takers, rates = await self._takers.get()
        async with self._reads.connection() as connection:
            return {
                "totals": await board.totals(connection),
                "firing": await alerts.listing(connection, resolved=False, limit=ALERTS_SHOWN),
                "counts": await alerts.firing(connection),
                **await _gaps(connection),
                "lines": await lines(connection, await _ids(connection), now=now),
                "sources": await board.sources(connection, limit=SOURCES_SHOWN),
                "budgets": _by_source(await budgets.listing(connection, limit=BUDGETS_SHOWN)),
                "takers": takers,
                "rates": rates,
            }

    async def _read_takers(self) -> tuple[list[Taker], dict[str, float]]:
        """Destinations cost the most where each of many takes thousands of streams, so they go at their own pace."""
        async with self._reads.connection() as connection:
            takers = await board.takers(connection, limit=DESTINATIONS_SHOWN)
        return takers, self._pace.rates(takers, self._clock.monotonic())


class Look(NamedTuple):
    """How far each destination was, at a time of the monotonic clock."""

    at_s: float
    taken: dict[str, int]


class Pace:
    """How fast each destination takes entries: from how far it was when somebody looked before."""

    def __init__(self) -> None:
        self._looks: deque[Look] = deque(maxlen=int(RATE_OVER_S / EVERY_S) * 4)

    def rates(self, takers: list[Taker], now_s: float) -> dict[str, float]:
        """Entries per second; none where nobody has looked yet, or where it was rewound since."""
        while self._looks and now_s - self._looks[0].at_s > RATE_OVER_S:
            self._looks.popleft()
        before = self._looks[0] if self._looks else None
        self._looks.append(Look(now_s, {one.name: one.taken for one in takers}))
        if before is None or now_s <= before.at_s:
            return {}
        moved = {one.name: one.taken - before.taken[one.name] for one in takers if one.name in before.taken}
        return {name: count / (now_s - before.at_s) for name, count in moved.items() if count >= 0}


async def _gaps(connection: AsyncConnection) -> dict[str, list[GapRow]]:
    open_now = await gaps_at_a_glance(connection, stream=None, open_only=True, limit=GAPS_SHOWN)
    newest = await gaps_at_a_glance(connection, stream=None, open_only=False, limit=GAPS_SHOWN + ENDED_SHOWN)
    ended = [gap for gap in newest if gap.closed_at is not None]
    ended.sort(key=_closed_at, reverse=True)
    return {"open_now": open_now, "ended": ended[:ENDED_SHOWN]}


def _closed_at(gap: GapRow) -> datetime:
    assert gap.closed_at is not None
    return gap.closed_at


def _by_source(found: list[UpstreamBudget]) -> dict[str, list[UpstreamBudget]]:
    by_source: dict[str, list[UpstreamBudget]] = {}
    for one in found:
        by_source.setdefault(one.source, []).append(one)
    return by_source


async def _ids(connection: AsyncConnection) -> list[int]:
    """Those in trouble, and then others, by name."""
    first = await board.troubled(connection, limit=STREAMS_SHOWN)
    then = await board.after(connection, "", limit=STREAMS_SHOWN)
    return list(dict.fromkeys([one.id for one in first] + [one.id for one in then]))[:STREAMS_SHOWN]
