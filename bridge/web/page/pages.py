"""All pages as one application: each route behind the guard, under the scope that it needs."""

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from bridge.clock import Clock
from bridge.config.settings import Settings
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
from bridge.web.page.guarding import Guard
from bridge.web.page.live import Live
from bridge.web.page.login import Login
from bridge.web.page.overview import Overview
from bridge.web.page.rendering import Rendering
from bridge.web.page.session import Sessions, Signer, keys_of
from bridge.web.page.static import Static
from bridge.web.pull import Reads
from bridge.web.pulse import Pulse
from bridge.wiring.alerts import channels_of


def pages_of(
    engine: AsyncEngine,
    access: Access,
    clock: Clock,
    pulse: Pulse,
    settings: Settings,
    operating: Operating,
    egress: Egress,
) -> ASGIApp:
    """The application. What a page changes goes by ``operating``, as with the API."""
    static = Static()
    rendering = Rendering(clock, static)
    sessions = Sessions(Signer(keys_of(settings)))
    guard, live = Guard(access, sessions, clock), Live(rendering, clock, pulse)
    login = Login(access, sessions, guard, clock, rendering)
    reads, forms = Reads(engine), Forms(operating, rendering)
    parts: list[Routes] = [
        Overview(live, reads, clock).routes(),
        live.routes(),
        DestinationPages(operating, rendering, live).routes(),
        DestinationActs(operating, forms, egress).routes(),
        AlertPages(operating, live, forms, channels_of(settings, egress)).routes(),
        AuditPage(operating, rendering).routes(),
    ]
    guarded = [
        Route(route.path, guard(route.endpoint, scope), methods=sorted(route.methods or ()))
        for part in parts
        for scope, under in part.items()
        for route in under
    ]
    return Starlette(routes=[*static.routes(), *login.routes(), *guarded], exception_handlers=handlers(rendering))
