"""All pages as one application: each route behind the guard, under the scope that it needs."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from bridge.alert.channel import Channel
from bridge.clock import Clock
from bridge.egress import Egress
from bridge.web.access import Access
from bridge.web.destinations import Routes
from bridge.web.operating import Operating
from bridge.web.page.alerts import AlertPages
from bridge.web.page.asking import Forms
from bridge.web.page.audit import AuditPage
from bridge.web.page.destination_acts import DestinationActs
from bridge.web.page.destinations import DestinationPages
from bridge.web.page.faults import handlers
from bridge.web.page.gaps import Gaps
from bridge.web.page.guarding import Guard
from bridge.web.page.live import Live
from bridge.web.page.log import Log
from bridge.web.page.login import Login
from bridge.web.page.overview import Overview
from bridge.web.page.rendering import Rendering
from bridge.web.page.report_pages import ReportPages
from bridge.web.page.session import Sessions, Signer
from bridge.web.page.static import Static
from bridge.web.page.streams import Streams
from bridge.web.pull import Reads
from bridge.web.pulse import Pulse
from bridge.web.reports import Reports


def pages_of(
    engine: AsyncEngine,
    access: Access,
    clock: Clock,
    pulse: Pulse,
    *,
    keys: Sequence[bytes],
    operating: Operating,
    egress: Egress,
    reports: Reports,
    channels: Sequence[Channel],
) -> ASGIApp:
    """The application. Sessions are signed with ``keys``; what is changed goes by ``operating``, as with the API."""
    static = Static()
    rendering = Rendering(clock, static)
    sessions = Sessions(Signer(keys))
    guard, live = Guard(access, sessions, clock), Live(rendering, clock, pulse)
    login = Login(access, sessions, guard, clock, rendering)
    # A page shows one moment: no entry is deleted between the two looks that it takes.
    reads, forms = Reads(engine, isolation="REPEATABLE READ"), Forms(operating, rendering)
    parts: list[Routes] = [
        Overview(live, reads, clock).routes(),
        Streams(live, reads, clock).routes(),
        Gaps(live, reads, clock).routes(),
        Log(live, reads, clock).routes(),
        DestinationPages(operating, rendering, live).routes(),
        DestinationActs(operating, forms, egress).routes(),
        AlertPages(operating, live, forms, channels).routes(),
        ReportPages(rendering, reports).routes(),
        AuditPage(operating, rendering).routes(),
        live.routes(),
    ]
    guarded = [
        Route(route.path, guard(route.endpoint, scope), methods=sorted(route.methods or ()))
        for part in parts
        for scope, under in part.items()
        for route in under
    ]
    return Starlette(routes=[*static.routes(), *login.routes(), *guarded], exception_handlers=handlers(rendering))
