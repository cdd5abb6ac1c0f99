"""Streams: all of them by name or those in trouble, found by a part of their name, and one by itself."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request

from bridge.clock import Clock
from bridge.core.timeline import micros, moment
from bridge.store import board, gaps
from bridge.store.board import Rank
from bridge.store.overview import gaps_at_a_glance
from bridge.store.tokens import Scope
from bridge.web import parameters
from bridge.web.destinations import Routes
from bridge.web.page.live import Context, Live
from bridge.web.page.rows import line_of, lines
from bridge.web.problems import BadParameter
from bridge.web.pull import Reads

PAGE = 50
GAPS_SHOWN = 10
RANK = re.compile(r"([01])\.(\d{0,17})\.(\d{0,17})\.(.*)", re.ASCII | re.DOTALL)


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
        """A page of streams. ``back`` and ``onward`` are the addresses of those before and behind it."""
        parameters.only(request, "find", "show", "after", "before")
        given = _Given(parameters.text(request, "after"), parameters.text(request, "before"))
        find = (parameters.text(request, "find") or "").strip()
        show = parameters.word(request, "show", ("all", "trouble")) or "all"
        async with self._reads.connection() as connection:
            found = await (_troubled if show == "trouble" else _by_name)(
                connection, given, board.pattern_of(find) if find else None
            )
            chosen = {name: word for name, word in (("show", show), ("find", find)) if word not in ("all", "")}
            shown, around = given.around(found, chosen)
            return {
                "find": find,
                "show": show,
                "totals": await board.totals(connection),
                "lines": await lines(connection, [one.id for one in shown], now=self._clock.now()),
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


class _Listed(NamedTuple):
    """A stream of a page. ``mark`` is what a page behind it or before it begins with."""

    id: int
    mark: str


class _Given(NamedTuple):
    """Where a page begins: behind a mark, or in front of one."""

    after: str | None
    before: str | None

    def around(
        self, found: list[_Listed], query: Mapping[str, str]
    ) -> tuple[list[_Listed], Mapping[str, str | None]]:
        """Which of those ``found`` are shown, one page of them, and the pages before and behind it."""
        backwards = self.before is not None
        shown = found[-PAGE:] if backwards else found[:PAGE]
        more_before = len(found) > PAGE if backwards else bool(self.after)
        more_behind = bool(shown) and (backwards or len(found) > PAGE)
        before = {"before": shown[0].mark} if shown else {}  # behind the end, back is the beginning
        return shown, {
            "back": f"?{urlencode({**query, **before})}" if more_before else None,
            "onward": f"?{urlencode({**query, 'after': shown[-1].mark})}" if more_behind else None,
        }


async def _by_name(connection: AsyncConnection, given: _Given, pattern: str | None) -> list[_Listed]:
    if given.before is not None:
        found = await board.before(connection, given.before, pattern=pattern, limit=PAGE + 1)
    else:
        found = await board.after(connection, given.after or "", pattern=pattern, limit=PAGE + 1)
    return [_Listed(one.id, one.name) for one in found]


async def _troubled(connection: AsyncConnection, given: _Given, pattern: str | None) -> list[_Listed]:
    if given.before is not None:
        before = _rank("before", given.before)
        found = await board.troubled_before(connection, before, pattern=pattern, limit=PAGE + 1)
    else:
        after = _rank("after", given.after) if given.after else None
        found = await board.troubled(connection, pattern=pattern, after=after, limit=PAGE + 1)
    return [_Listed(one.id, _text(one.rank)) for one in found]


def _text(rank: Rank) -> str:
    """A rank as a word in an address."""
    times = ("" if at is None else str(micros(at)) for at in (rank.deadline_at, rank.opened_at))
    return ".".join((str(int(rank.calm)), *times, rank.name))


def _rank(parameter: str, given: str) -> Rank:
    """What ``_text`` made the word of. Raises BadParameter."""
    found = RANK.fullmatch(given)
    if found is None:
        raise BadParameter(parameter, "must be what a page has led to")
    calm, deadline, opened, name = found.groups()
    deadline_at, opened_at = (moment(int(at)) if at else None for at in (deadline, opened))
    return Rank(calm == "1", deadline_at, opened_at, name)
