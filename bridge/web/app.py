"""The web side as one ASGI application: the receiver as it is, everything else through Starlette."""

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.routing import Mount, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.clock import Clock
from bridge.config.settings import Settings
from bridge.metrics import Metrics
from bridge.web.access import Guarded
from bridge.web.api import Api
from bridge.web.health import Health
from bridge.web.hooks import PREFIX
from bridge.web.problems import HANDLERS


def web_app(*, engine: AsyncEngine, hooks: ASGIApp, settings: Settings, clock: Clock, metrics: Metrics) -> ASGIApp:
    """The application. ``hooks`` takes every path below ``/in/``, untouched: it is the hot path."""
    token = None if settings.api_token is None else settings.api_token.get_secret_value()
    api = Api(engine, page_max=settings.limits.log_page_max)
    pages = Starlette(
        routes=[
            *Health(engine, clock, metrics).routes(),
            Mount("/v1", app=Guarded(Router(api.routes()), token=token)),
        ],
        exception_handlers=HANDLERS,
    )

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await hooks(scope, receive, send)
        else:
            await pages(scope, receive, send)

    return dispatch
