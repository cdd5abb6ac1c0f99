"""Reports for people: those that are kept, and one of them as it is written in HTML."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bridge.store.tokens import Scope
from bridge.web import parameters
from bridge.web.destinations import Routes
from bridge.web.page.rendering import HEADERS, Rendering
from bridge.web.problems import BadParameter
from bridge.web.reports import DAY, Reports

PAGE = 50
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none';"
    " frame-ancestors 'none'"
)
"""A report brings its style with itself, runs nothing and loads nothing."""


class ReportPages:
    """The pages below ``/reports``."""

    def __init__(self, rendering: Rendering, reports: Reports) -> None:
        self._rendering = rendering
        self._reports = reports

    def routes(self) -> Routes:
        """By the scope that they need."""
        return {
            Scope.READ: [
                Route("/reports", self.listing),
                Route("/reports/make", self.make),
                Route("/reports/{day}", self.report),
            ]
        }

    async def listing(self, request: Request) -> Response:
        """The newest first."""
        kept = await self._reports.kept(request, PAGE + 1)
        onward = f"?{urlencode({'before': kept[PAGE - 1].id})}" if len(kept) > PAGE else None
        return self._rendering.page(
            request, "reports.html", kept=kept[:PAGE], onward=onward, before=request.query_params.get("before")
        )

    async def make(self, request: Request) -> Response:
        """Go to the report of a day. Raises BadParameter for what is no day."""
        parameters.only(request, "day", "stream", "destination", "format")
        day = request.query_params.get("day", "")
        if not DAY.fullmatch(day):
            raise BadParameter("day", "must be a day in UTC, such as 2026-01-31")
        chosen = {name: given for name, given in request.query_params.items() if given and name != "day"}
        return RedirectResponse(f"/reports/{day}" + (f"?{urlencode(chosen)}" if chosen else ""), 303)

    async def report(self, request: Request) -> Response:
        """The report as the API tells it, in HTML unless another form is asked for."""
        answer = await self._reports.report(request, form="html")
        answer.headers.update({**HEADERS, "Content-Security-Policy": POLICY})
        return answer
