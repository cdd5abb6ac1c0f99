"""The venue's WebSocket: who is connected, what they are told, and how the line breaks."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.websockets import WebSocket, WebSocketDisconnect

from bridge.clock import Clock
from bridge.sim.connection import Outlet, transport_of
from bridge.sim.playbatman.frames import Frame, frame_of
from bridge.sim.playbatman.session import UNAUTHORIZED, Session, SocketLimits
from bridge.sim.playbatman.venue import Venue

OUTBOUND_MAX = 10_000
_TRY_AGAIN_LATER = 1013
_POLICY = 1008


@dataclass(eq=False, slots=True)
class _Client(Outlet[bytes]):
    session: Session


class Sockets:
    """Every open socket of one venue."""

    def __init__(
        self, venue: Venue, *, clock: Clock, knows: Callable[[str | None], bool], limits: SocketLimits
    ) -> None:
        self._venue = venue
        self._clock = clock
        self._knows = knows
        self._limits = limits
        self._clients: set[_Client] = set()
        self.accepted = 0
        self.pushed = 0

    def __len__(self) -> int:
        return len(self._clients)

    def push(self, frames: Sequence[Frame]) -> None:
        """Hand each frame to the subscribers of its market."""
        for client in list(self._clients):
            wanted = [frame.body for frame in frames if frame.market_id in client.session.subscribed]
            self.pushed += len(wanted)
            client.tell(wanted)

    def cut(self) -> int:
        """Abort every connection without a close frame; returns how many."""
        clients = list(self._clients)
        for client in clients:
            client.cut()
        return len(clients)

    def listen(self, now: datetime) -> None:
        """Read from the lines, unless they are to be half open now."""
        deaf = self._venue.faults.half_open and self._venue.is_silent(now)
        for client in list(self._clients):
            client.read(not deaf)

    async def endpoint(self, websocket: WebSocket) -> None:
        """One connection from upgrade to end; a bad key is accepted and then closed with 4001."""
        await websocket.accept()
        if not self._knows(websocket.headers.get("X-Api-Key", websocket.query_params.get("apiKey"))):
            await websocket.close(UNAUTHORIZED, "Unauthorized")
            return
        if 0 < self._limits.connections_max <= len(self._clients):
            await websocket.close(_TRY_AGAIN_LATER, "Too many connections")
            return
        client = _Client(transport_of(websocket.scope), asyncio.Queue(OUTBOUND_MAX), self._session())
        self.accepted += 1
        self._clients.add(client)
        ours = {"clientId": f"ws-client-{self.accepted}", "operatorId": self._venue.operator_id}
        client.tell([frame_of("AUTHENTICATED", ours)])
        try:
            async with asyncio.TaskGroup() as both:
                writing = both.create_task(self._write(websocket, client))
                await self._converse(websocket, client)
                writing.cancel()
        except* WebSocketDisconnect:
            pass  # gone while we wrote: that is how sockets end here
        finally:
            self._clients.discard(client)

    def _session(self) -> Session:
        return Session(markets=self._venue.markets, limits=self._limits, snapshot=self._snapshot)

    def _snapshot(self, market_id: str, now: datetime) -> list[bytes]:
        return self._venue.snapshot(market_id, now) if self._venue.faults.snapshot_on_subscribe else []

    async def _write(self, websocket: WebSocket, client: _Client) -> None:
        while True:
            await websocket.send_text((await client.outbound.get()).decode())

    async def _converse(self, websocket: WebSocket, client: _Client) -> None:
        """Answer until the client goes, or says nothing for too long."""
        while True:
            try:
                async with asyncio.timeout(self._limits.idle_s or None):
                    event = await websocket.receive()
            except TimeoutError:
                await websocket.close(_POLICY, "Idle")
                return
            if event["type"] == "websocket.disconnect":
                return
            now = self._clock.now()
            if not self._venue.is_silent(now):
                client.tell(client.session.answers(event.get("text") or event.get("bytes"), now))
