"""The web side as one ASGI application: the receiver as it is, what programs ask, and the pages for people."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.alert.channel import Channel
from bridge.clock import Clock
from bridge.config.settings import Settings
from bridge.egress import Egress
from bridge.metrics import Metrics
from bridge.store.measured import Configured
from bridge.store.tokens import Scope as Allowed
from bridge.store.vault import Vault
from bridge.web.access import Access, Guarded
from bridge.web.api import Api
from bridge.web.destinations import Destinations, Routes
from bridge.web.health import Health
from bridge.web.hooks import PREFIX
from bridge.web.operating import Operating
from bridge.web.page.pages import pages_of
from bridge.web.page.session import keys_of
from bridge.web.problems import HANDLERS, problem
from bridge.web.pulse import Pulse
from bridge.web.records import Records
from bridge.web.reports import Reports
from bridge.wiring.alerts import channels_of

FOR_PROGRAMS = ("/v1", "/healthz", "/readyz", "/metrics")
"""What begins so is no page, and answered as programs want it even where there is nothing."""
PATH_CHARS_MAX = 4_000
"""More than any name and number come to; Python makes no number of more than 4,300 digits."""


def web_app(
    *,
    engine: AsyncEngine,
    hooks: ASGIApp,
    settings: Settings,
    clock: Clock,
    metrics: Metrics,
    egress: Egress,
    pulse: Pulse | None = None,
) -> ASGIApp:
    """The application. ``hooks`` takes every path below ``/in/``, untouched: it is the hot path.

    ``pulse`` tells of logs that grow, and of the end: without it the streams of the API look for themselves.
    """
    token = None if settings.api_token is None else settings.api_token.get_secret_value()
    vault = Vault([key.get_secret_value() for key in settings.secret_key])
    operating = Operating(engine, clock, vault, settings.destinations)
    pulse = pulse or Pulse()
    reports = Reports(engine, clock, page_max=settings.limits.log_page_max)
    routes = routes_of(engine, settings, clock, egress, pulse, operating, reports)
    access = Access(engine, clock, token=token)
    channels = channels_of(settings, egress)
    health = Health(
        engine, clock, metrics, configured=_configured(settings, channels),
        streams_max=settings.limits.metrics_streams_max,
    )  # fmt: skip
    programs = Starlette(
        routes=[*health.routes(), Mount("/v1", app=Guarded(access, routes))], exception_handlers=HANDLERS
    )
    pages = pages_of(
        engine, access, clock, pulse, keys=keys_of(settings), operating=operating, egress=egress, reports=reports,
        channels=channels,
    )  # fmt: skip

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await hooks(scope, receive, send)
        elif scope["type"] == "http" and len(scope["path"]) > PATH_CHARS_MAX:
            await problem(414, "the path is longer than any that there is")(scope, receive, send)
        elif scope["type"] != "http" or scope["path"].startswith(FOR_PROGRAMS):
            await programs(scope, receive, send)
        else:
            await pages(scope, receive, send)

    return dispatch


def _configured(settings: Settings, channels: Sequence[Channel]) -> Configured:
    """Whom ``/metrics`` tells of. Where alerts are off, no channel is told anything."""
    told = [channel.name for channel in channels] if settings.alerts.enabled else []
    return Configured(
        sources=settings.held, sockets=settings.listened, destinations=settings.destinations, channels=told
    )


def routes_of(
    engine: AsyncEngine,
    settings: Settings,
    clock: Clock,
    egress: Egress,
    pulse: Pulse,
    operating: Operating,
    reports: Reports,
) -> Routes:
    """Everything below ``/v1``, each route under the scope that it needs: there is no way in beside these."""
    page_max = settings.limits.log_page_max
    api = Api(engine, clock, page_max=page_max, pulse=pulse, poll_every_s=settings.limits.poll_every_s)
    parts: list[Routes] = [
        {Allowed.READ: api.routes()},
        Destinations(operating, egress, page_max=page_max).routes(),
        Records(operating, page_max=page_max).routes(),
        reports.routes(),
    ]
    return {scope: [route for part in parts for route in part.get(scope, [])] for scope in Allowed}
