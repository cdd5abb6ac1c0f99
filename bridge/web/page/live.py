"""Pages that stay fresh: which of them there are, and their parts as they change, as server-sent events.

However many watch a page, it is read and rendered once at a time, at most every second, and less often where reading
it takes long. While they wait nobody holds a connection to the database.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlencode

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from bridge.clock import Clock
from bridge.core.errors import BridgeError
from bridge.operate.faults import Unknown
from bridge.store.tokens import Scope
from bridge.web import parameters
from bridge.web.access import Still, still_of
from bridge.web.destinations import Routes
from bridge.web.eventstream import MEDIA_TYPE, EventStream, Room, Say
from bridge.web.fresh import Fresh
from bridge.web.page.rendering import Rendering, may_act
from bridge.web.problems import BadParameter, problem
from bridge.web.pulse import Pulse

PATH = "/live"
WATCHERS_MAX = 64
EVERY_S = 1.0
REST = 9.0
"""A page is read for a tenth of the time at most."""
BEAT_EVERY_S = 5.0
"""So often a watcher hears that it is still heard, and what time it is here."""
STALL_MAX_S = 30.0
LIFE_MAX_S = 300.0
"""Then the watcher comes again, and whether it may still see the page is asked again."""
RETRY_AFTER_S = 5
PAGE_CHARS_MAX = 2_000
GONE = b"event: gone\ndata: this page is no more\n\n"
SIGNED_OUT = b"event: gone\ndata: you are signed out: load the page anew\n\n"
NO_STREAM = ""
"""Of no log: who waits for it is only told of the end."""

COUNTED = re.compile(r"(<time [^>]*data-(?:since|countdown)[^>]*>)[^<]*")
"""Spans of time that the browser counts by itself: that they passed is no change."""

log = structlog.get_logger()

Context = Mapping[str, Any]
Read = Callable[[Request], Awaitable[Context]]


@dataclass(frozen=True, slots=True)
class View:
    """A page: its template, what it shows, and the blocks of it that are sent anew when they change.

    A block is rendered without ``caller``, ``csrf`` and ``messages``: whoever watches shares it, but those who may
    act apart from those who may not. It holds one element, whose id is the block's name.
    """

    template: str
    read: Read
    blocks: tuple[str, ...]


class Fragment(NamedTuple):
    """A block as it is now; another ``mark`` says that it changed."""

    html: str
    mark: str


class _Watched:
    """A page that somebody watches."""

    def __init__(self, read: Fresh[Mapping[str, Fragment]]) -> None:
        self.read = read
        self.watchers = 0


class Live:
    """Makes the routes of live pages, and answers who watches one. Whoever may read may watch."""

    def __init__(self, rendering: Rendering, clock: Clock, pulse: Pulse) -> None:
        self._rendering = rendering
        self._clock = clock
        self._pulse = pulse
        self._room = Room()
        self._views: list[tuple[Route, View]] = []
        self._watched: dict[tuple[str, bool], _Watched] = {}

    def routes(self) -> Routes:
        """By the scope that they need."""
        return {Scope.READ: [Route(PATH, self.watch)]}

    def page(self, path: str, template: str, read: Read, *, blocks: tuple[str, ...]) -> Route:
        """The route of a page that stays fresh; it needs the scope ``read``."""

        async def answer(request: Request) -> Response:
            asked = quote(request.scope["path"]) + (f"?{request.url.query}" if request.url.query else "")
            live = f"{PATH}?{urlencode({'page': asked})}"
            shown = await read(request)
            # It may show what was done just now: no part that was read before it is to take its place.
            for watched in (self._watched.get((asked, acts)) for acts in (True, False)):
                if watched is not None:
                    watched.read.forget()
            return self._rendering.page(request, template, live=live, **shown)

        route = Route(path, answer)
        self._views.append((route, View(template, read, blocks)))
        return route

    async def watch(self, request: Request) -> Response:
        """The parts of a page, each when it has changed. Raises BadParameter."""
        parameters.only(request, "page")
        asked = request.query_params.get("page", "")
        view, shown = self._find(asked)
        if self._room.is_full(WATCHERS_MAX) or self._pulse.is_over:
            return problem(503, "too many pages are watched", headers={"Retry-After": str(RETRY_AFTER_S)})

        if request.method == "HEAD":
            return Response(media_type=MEDIA_TYPE)
        acts, still = may_act(request), still_of(request)

        async def follow(say: Say) -> bytes:
            with self._watching(asked, acts, view, shown) as watched:
                return await self._follow(watched, still, say)

        return EventStream(self._room, follow, stalled=lambda: None, stall_max_s=STALL_MAX_S)

    def _find(self, asked: str) -> tuple[View, Request]:
        """The page that is asked for, as if it was asked for by itself. Raises BadParameter."""
        path, _, query = asked.partition("?")
        if len(asked) <= PAGE_CHARS_MAX and asked.isascii():
            scope = {"type": "http", "method": "GET", "path": unquote(path), "headers": []}
            for route, view in self._views:
                match, found = route.matches(scope)
                if match is Match.FULL:
                    return view, Request({**scope, **found, "query_string": query.encode()})
        raise BadParameter("page", "is none that stays fresh")

    @contextmanager
    def _watching(self, asked: str, acts: bool, view: View, shown: Request) -> Iterator[_Watched]:
        async def read() -> Mapping[str, Fragment]:
            made = self._rendering.fragments(view.template, view.blocks, may_act=acts, **await view.read(shown))
            return {name: Fragment(html, COUNTED.sub(r"\1", html)) for name, html in made.items()}

        key = asked, acts
        watched = self._watched.setdefault(key, _Watched(Fresh(read, self._clock, for_s=EVERY_S / 2, rest=REST)))
        watched.watchers += 1
        try:
            yield watched
        finally:
            watched.watchers -= 1
            if not watched.watchers:
                del self._watched[key]

    async def _follow(self, watched: _Watched, still: Still, say: Say) -> bytes:
        sent: dict[str, str] = {}
        said_at, unread = float("-inf"), False
        async for now_s in self._ticks():
            try:
                if not await still():
                    return SIGNED_OUT
                told = await watched.read.get()
            except (HTTPException, Unknown):
                return GONE
            except BridgeError as fault:
                if not unread:
                    log.warning("page.unread", reason=str(fault))
                told = {}
            unread = not told
            changed = {name: one for name, one in told.items() if sent.get(name) != one.mark}
            if told and (changed or now_s - said_at >= BEAT_EVERY_S):
                parts = [_event("fragment", {"id": name, "html": one.html}) for name, one in changed.items()]
                await say(b"".join([*parts, _event("beat", {"now": self._clock.now()})]))
                sent |= {name: one.mark for name, one in changed.items()}
                said_at = now_s
        return b""

    async def _ticks(self) -> AsyncIterator[float]:
        """Every so often, until it is time to come again, or the process ends."""
        ends_at = self._clock.monotonic() + LIFE_MAX_S
        with self._pulse.of(NO_STREAM) as ended:
            while not self._pulse.is_over and self._clock.monotonic() < ends_at:
                yield self._clock.monotonic()
                try:
                    async with asyncio.timeout(EVERY_S):
                        await ended.wait()
                except TimeoutError:
                    continue


def _event(name: str, told: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(told))
