"""The web side over a database, without a socket."""

from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import ASGIApp

from bridge.clock import Clock, ManualClock
from bridge.config import Limits, Settings
from bridge.config.playbatman import PlayBatman
from bridge.config.settings import Source
from bridge.config.shapes import Destination
from bridge.egress import HttpEgress
from bridge.metrics import Metrics
from bridge.web.app import web_app
from bridge.web.hooks import Hooks
from tests.events import START

LIMITS = Limits(log_page_max=50)
SOURCE = PlayBatman(
    name="pb",
    venue="playbatman",
    rest_url="http://127.0.0.1:9",
    ws_url="ws://127.0.0.1:9",
    api_key=SecretStr("a-key"),
)
LEDGER = Destination.model_validate(
    {"name": "ledger", "url": "https://ledger.example", "secret": f"whsec_{b64encode(bytes(32)).decode()}"}
)


class ClosedDoor:
    """A door for tests in which nobody delivers."""

    async def accept(self, stream: str, events: object, *, transport: object) -> object:
        raise AssertionError("nothing is delivered here")


def app_of(
    engine: AsyncEngine,
    *,
    token: str | None = None,
    clock: Clock | None = None,
    metrics: Metrics | None = None,
    keys: Sequence[str] = (),
    sources: Sequence[Source] = (SOURCE,),
    destinations: Sequence[Destination] = (),
) -> ASGIApp:
    clock = clock or ManualClock(START)
    settings = Settings(
        sources={one.name: one for one in sources},
        destinations={one.name: one for one in destinations},
        limits=LIMITS,
        api_token=None if token is None else SecretStr(token),
        secret_key=tuple(SecretStr(key) for key in keys),
    )
    hooks = Hooks({}, ClosedDoor(), clock)
    return web_app(
        engine=engine,
        hooks=hooks,
        settings=settings,
        clock=clock,
        metrics=metrics or Metrics(),
        egress=HttpEgress(clock),
    )


@asynccontextmanager
async def reading(
    engine: AsyncEngine,
    *,
    token: str | None = None,
    peer: str = "127.0.0.1",
    clock: Clock | None = None,
    metrics: Metrics | None = None,
    keys: Sequence[str] = (),
    sources: Sequence[Source] = (SOURCE,),
    destinations: Sequence[Destination] = (),
) -> AsyncIterator[httpx.AsyncClient]:
    """A client at ``peer``."""
    app = app_of(
        engine, token=token, clock=clock, metrics=metrics, keys=keys, sources=sources, destinations=destinations
    )
    transport = httpx.ASGITransport(app=app, client=(peer, 40_000), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
