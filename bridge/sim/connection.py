"""The server's connections, opened up so that the venue can break them: applications see their transport."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_TRANSPORT = "bridge.sim.transport"
T = TypeVar("T")


def transport_of(scope: Scope) -> asyncio.Transport | None:
    """The TCP connection of a request, None under an in-process transport."""
    # Not by its class: that of uvloop descends from none of asyncio's.
    transport: asyncio.Transport | None = scope.get("extensions", {}).get(_TRANSPORT)
    return transport


async def abort(scope: Scope, receive: Receive) -> None:
    """Kill the connection without a word; under an in-process transport, raise what a client would see."""
    transport = transport_of(scope)
    if transport is None:
        raise httpx.ConnectError("connection refused")
    transport.abort()
    while not (await receive())["type"].endswith(".disconnect"):
        pass


@dataclass(eq=False, slots=True)
class Outlet(Generic[T]):
    """What one socket's client is still to be told, and the connection below it."""

    transport: asyncio.Transport | None
    outbound: asyncio.Queue[T]

    def tell(self, said: Iterable[T]) -> None:
        """Queue what is to be said; a client that does not read loses its connection."""
        try:
            for one in said:
                self.outbound.put_nowait(one)
        except asyncio.QueueFull:
            self.cut()

    def cut(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def read(self, wanted: bool) -> None:
        """Start or stop reading from the line; a line that nobody reads is half open."""
        if self.transport is None or self.transport.is_closing() or self.transport.is_reading() == wanted:
            return
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()


def _lending(app: ASGIApp, transport: asyncio.Transport) -> ASGIApp:
    async def lend(scope: Scope, receive: Receive, send: Send) -> None:
        extensions = {**scope.get("extensions", {}), _TRANSPORT: transport}
        await app({**scope, "extensions": extensions}, receive, send)

    return lend


class BreakableHttp(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # theirs is narrower
        super().connection_made(transport)
        self.app = _lending(self.app, transport)


class BreakableSocket(WebSocketsSansIOProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.app = _lending(self.app, self.transport)
