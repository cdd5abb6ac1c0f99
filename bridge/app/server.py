"""The web server: uvicorn, told to leave signals, log lines and headers to us."""

import asyncio
from contextlib import AbstractContextManager, nullcontext

import uvicorn
from starlette.types import ASGIApp

from bridge.config.settings import Settings


class Server(uvicorn.Server):
    """Uvicorn without its own signal handling; it says which port it got."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # theirs is a generator
        return nullcontext()

    async def bound(self, serving: asyncio.Task[None]) -> int:
        while not self.started and not serving.done():
            await asyncio.wait([serving], timeout=0.005)
        if serving.done():
            serving.result()
        return int(self.servers[0].sockets[0].getsockname()[1])


def server_of(application: ASGIApp, connections: type[asyncio.Protocol], settings: Settings) -> Server:
    """A server for ``application``, whose connections are of the class ``connections``."""
    return Server(
        uvicorn.Config(
            application,
            host=settings.host,
            port=settings.port,
            http=connections,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=settings.limits.requests_waiting_max,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=int(settings.limits.drain_s),
        )
    )
