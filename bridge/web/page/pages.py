"""All pages as one application: each route behind the guard, under the scope that it needs."""

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from bridge.clock import Clock
from bridge.web.access import Access
from bridge.web.destinations import Routes
from bridge.web.page.faults import handlers
from bridge.web.page.gaps import Gaps
from bridge.web.page.guarding import Guard
from bridge.web.page.live import Live
from bridge.web.page.log import Log
from bridge.web.page.overview import Overview
from bridge.web.page.rendering import Rendering
from bridge.web.page.report_pages import ReportPages
from bridge.web.page.static import Static
from bridge.web.page.streams import Streams
from bridge.web.pull import Reads
from bridge.web.pulse import Pulse
from bridge.web.reports import Reports


def pages_of(engine: AsyncEngine, access: Access, clock: Clock, pulse: Pulse, reports: Reports) -> ASGIApp:
    """The application."""
    static = Static()
    rendering = Rendering(clock, static)
    guard, live = Guard(access), Live(rendering, clock, pulse)
    reads = Reads(engine)
    parts: list[Routes] = [
        Overview(live, reads, clock).routes(),
        Streams(live, reads, clock).routes(),
        Gaps(live, reads, clock).routes(),
        Log(live, reads, clock).routes(),
        ReportPages(rendering, reports).routes(),
        live.routes(),
    ]
    guarded = [
        Route(route.path, guard(route.endpoint, scope), methods=sorted(route.methods or ()))
        for part in parts
        for scope, under in part.items()
        for route in under
    ]
    return Starlette(routes=[*static.routes(), *guarded], exception_handlers=handlers(rendering))
