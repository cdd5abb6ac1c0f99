"""One application on one port until cancelled: how every simulated part is served."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from bridge.sim.connection import BreakableHttp, BreakableSocket

BACKLOG = 2048

Ready = Callable[[int], None]
"""Is told the bound port once requests are answered."""


async def serve_app(app: ASGIApp, *, host: str, port: int, ready: Ready | None, breakable: bool = False) -> None:
    """Run ``app`` until cancelled; port 0 takes a free one.

    ``breakable`` lends every request and socket its transport, and serves sockets at all. Raises OSError when it
    cannot listen.
    """
    listening = socket.create_server((host, port), backlog=BACKLOG)
    bound = int(listening.getsockname()[1])
    config = _breakable(app) if breakable else _plain(app)
    server = _Server(config, started=lambda: ready(bound) if ready is not None else None)
    try:
        await server.serve(sockets=[listening])
    finally:
        if server.started:
            server.kill()
        listening.close()


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever started us, and says when it is there."""

    def __init__(self, config: uvicorn.Config, *, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started = started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started()

    def kill(self) -> None:
        """Drop the listening sockets, every connection and every request at once."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for request in list(self.server_state.tasks):
            request.cancel()


def _plain(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=60,
        lifespan="off",
    )


def _breakable(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BreakableHttp,
        ws=BreakableSocket,
        # A ping of the server's own would hide from a client that nobody answers it.
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=60,
        lifespan="off",
    )
