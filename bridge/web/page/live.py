"""Pages that stay fresh: which of them there are, and their parts as they change, as server-sent events."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.web.page.rendering import Rendering

Context = Mapping[str, Any]
Read = Callable[[Request], Awaitable[Context]]


@dataclass(frozen=True, slots=True)
class View:
    """A page: its template, what it shows, and the blocks of it that are sent anew when they change.

    A block is sent without ``caller``, ``csrf`` and ``messages``: many who watch share it. It holds one element,
    whose id is the block's name.
    """

    template: str
    read: Read
    blocks: tuple[str, ...]


class Live:
    """Makes the routes of live pages, and answers who watches one."""

    def __init__(self, rendering: Rendering) -> None:
        self._rendering = rendering
        self._views: list[tuple[Route, View]] = []

    def page(self, path: str, template: str, read: Read, *, blocks: tuple[str, ...]) -> Route:
        """The route of a page that stays fresh."""
        view = View(template, read, blocks)

        async def answer(request: Request) -> Response:
            watched = request.scope["path"] + ("?" + request.url.query if request.url.query else "")
            live = "/live?" + urlencode({"page": watched})
            return self._rendering.page(request, template, live=live, **await read(request))

        route = Route(path, answer)
        self._views.append((route, view))
        return route
