"""Who did what, and when: for those who may do everything."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.core.event import SEQUENCE_MAX
from bridge.store import audit
from bridge.store.tokens import Scope
from bridge.web import parameters
from bridge.web.destinations import Routes
from bridge.web.operating import Operating
from bridge.web.page.rendering import Rendering

DEEDS_MAX = 100


class AuditPage:
    """The newest first, page by page."""

    def __init__(self, operating: Operating, rendering: Rendering) -> None:
        self._operating = operating
        self._rendering = rendering

    def routes(self) -> Routes:
        """By the scope that they need."""
        return {Scope.ADMIN: [Route("/audit", self.listing, methods=["GET"])]}

    async def listing(self, request: Request) -> Response:
        """All of it, or what was done to one subject."""
        parameters.only(request, "before", "subject")
        before = parameters.whole(request, "before", default=None, least=1, most=SEQUENCE_MAX)
        subject = parameters.text(request, "subject") or None
        async with self._operating.looking() as act:
            found = await audit.listing(act.conn, before=before, subject=subject, limit=DEEDS_MAX + 1)
        return self._rendering.page(
            request, "audit.html", deeds=found[:DEEDS_MAX], subject=subject, before=before,
            following=found[DEEDS_MAX - 1].id if len(found) > DEEDS_MAX else None,
        )  # fmt: skip
