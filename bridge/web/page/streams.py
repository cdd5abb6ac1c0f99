"""Streams: all of them by name or those in trouble, found by a part of their name, and one by itself."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request

from bridge.clock import Clock
from bridge.store import board, gaps
from bridge.store.overview import gaps_at_a_glance
from bridge.store.tokens import Scope
from bridge.web import parameters
from bridge.web.destinations import Routes
from bridge.web.page.live import Context, Live
from bridge.web.page.rows import line_of, lines
from bridge.web.pull import Reads

PAGE = 50
PAGES_MAX = 2_000
GAPS_SHOWN = 10


class Streams:
    """The pages below ``/streams`` that show streams."""

    def __init__(self, live: Live, reads: Reads, clock: Clock) -> None:
        self._live = live
        self._reads = reads
        self._clock = clock

    def routes(self) -> Routes:
        """By the scope that they need."""
        one = "/streams/{stream}"
        facts = ("state", "coverage", "gaps", "facts")
        return {
            Scope.READ: [
                self._live.page("/streams", "streams.html", self.listing, blocks=("streams",)),
                self._live.page(one, "stream.html", self.stream, blocks=facts),
            ]
        }

    async def listing(self, request: Request) -> Context:
        """A page of streams. ``older`` and ``newer`` are the addresses of those before and behind it."""
        parameters.only(request, "find", "show", "after", "before", "page")
        find = (parameters.text(request, "find") or "").strip()
        show = parameters.word(request, "show", ("all", "trouble")) or "all"
        async with self._reads.connection() as connection:
            ids, around = await (_troubled if show == "trouble" else _by_name)(connection, request, find)
            return {
                "find": find,
                "show": show,
                "totals": await board.totals(connection),
                "lines": await lines(connection, ids, now=self._clock.now()),
                **around,
            }

    async def stream(self, request: Request) -> Context:
        """One stream as it stands. Raises HTTPException where there is none of that name."""
        parameters.only(request)
        async with self._reads.connection() as connection:
            line = await line_of(connection, request, self._clock)
            stream_id = line.stance.stream.id
            open_now = await gaps_at_a_glance(connection, stream=line.name, open_only=True, limit=GAPS_SHOWN)
            newest = await gaps_at_a_glance(connection, stream=line.name, open_only=False, limit=GAPS_SHOWN)
            known = {gap.id for gap in open_now}
            return {
                "line": line,
                "gaps": open_now + [gap for gap in newest if gap.id not in known][: GAPS_SHOWN - len(open_now)],
                "counts": await gaps.counts(connection, stream_id=stream_id),
                "heard": await board.heard(connection, stream_id),
                "takers": await board.takers_of(connection, stream_id, limit=PAGE),
            }


async def _by_name(connection: AsyncConnection, request: Request, find: str) -> tuple[list[int], Mapping[str, Any]]:
    pattern = board.pattern_of(find) if find else None
    after, before = parameters.text(request, "after"), parameters.text(request, "before")
    if before is not None:
        found = await board.before(connection, before, pattern=pattern, limit=PAGE + 1)
        shown = found[-PAGE:]
        more_before, more_after = len(found) > PAGE, True
    else:
        found = await board.after(connection, after or "", pattern=pattern, limit=PAGE + 1)
        shown = found[:PAGE]
        more_before, more_after = bool(after), len(found) > PAGE
    query = {"find": find} if find else {}
    first, last = (shown[0].name, shown[-1].name) if shown else (after or "", before or "")
    around = {
        "back": f"?{urlencode({**query, 'before': first})}" if more_before else None,
        "onward": f"?{urlencode({**query, 'after': last})}" if more_after and shown else None,
    }
    return [one.id for one in shown], around


async def _troubled(connection: AsyncConnection, request: Request, find: str) -> tuple[list[int], Mapping[str, Any]]:
    page = parameters.whole(request, "page", default=1, least=1, most=PAGES_MAX) or 1
    pattern = board.pattern_of(find) if find else None
    ids = await board.troubled(connection, pattern=pattern, limit=PAGE + 1, offset=(page - 1) * PAGE)
    query = {"show": "trouble", **({"find": find} if find else {})}
    around = {
        "back": f"?{urlencode({**query, 'page': page - 1})}" if page > 1 else None,
        "onward": f"?{urlencode({**query, 'page': page + 1})}" if len(ids) > PAGE and page < PAGES_MAX else None,
    }
    return ids[:PAGE], around
