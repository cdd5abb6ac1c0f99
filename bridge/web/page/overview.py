"""The overview: what needs a person first, then streams, sources and destinations."""

from starlette.requests import Request

from bridge.store.tokens import Scope
from bridge.web import parameters
from bridge.web.destinations import Routes
from bridge.web.page.live import Context, Live


class Overview:
    """The page at ``/``."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def routes(self) -> Routes:
        """By the scope that they need."""
        return {Scope.READ: [self._live.page("/", "overview.html", self.read, blocks=("figures",))]}

    async def read(self, request: Request) -> Context:
        """What it shows."""
        parameters.only(request)
        return {}
