"""A dialect's sockets on the network: who is connected, what they are told, and how the line breaks."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from bridge.clock import Clock
from bridge.sim.connection import Outlet, transport_of
from bridge.sim.market.dialect import Close, Cut, Dialect, Handshake, Push, Refuse, Said, Say, Session
from bridge.sim.market.truth import Truth
from bridge.sim.market.weather import Weather

OUTBOUND_MAX = 10_000


@dataclass(eq=False, slots=True)
class _Client(Outlet[bytes | Close]):
    session: Session
    sending: bool = False


class Sockets:
    """Every open socket of one venue."""

    def __init__(self, dialect: Dialect, *, truth: Truth, weather: Weather, clock: Clock, seed: int) -> None:
        self._dialect = dialect
        self._truth = truth
        self._weather = weather
        self._clock = clock
        self._dice = Random(f"{seed}:handshake")
        self._clients: set[_Client] = set()
        self._deaf = False
        self.counts: Counter[str] = Counter(accepted=0, refused=0, pushed=0, cut=0, closed=0)

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def waiting(self) -> int:
        """How many frames are queued for clients."""
        return sum(client.outbound.qsize() + client.sending for client in self._clients)

    def routes(self) -> list[BaseRoute]:
        return [WebSocketRoute(path, self.endpoint) for path in self._dialect.sockets()]

    # What the engine orders.

    def push(self, pushes: Sequence[Push], now: datetime) -> None:
        """Hand each frame to its subscribers; while the venue is silent or down nobody gets it."""
        if not pushes or self._weather.is_silent(now) or self._weather.is_down(now):
            return
        for client in list(self._clients):
            for one in pushes:
                frames = client.session.pushed(one)
                self.counts["pushed"] += len(frames)
                client.tell(frames)

    def attend(self, now: datetime) -> None:
        """Say what is due by time. Half open lines are not read from, and are cut in the end.

        Were they taken up again, pings that waited would be answered as if nothing said before them had been lost.
        """
        silent = self._weather.is_silent(now)
        deaf = silent and self._weather.faults.half_open
        venue_time = self._weather.venue_time(now)
        for client in list(self._clients):
            if deaf:
                client.read(False)
            elif self._deaf:
                client.cut()
            elif not silent:
                self._say(client, client.session.due(venue_time))
        self._deaf = deaf

    def cut(self) -> int:
        """Abort every connection without a close frame; returns how many."""
        clients = list(self._clients)
        for client in clients:
            client.cut()
        self.counts["cut"] += len(clients)
        return len(clients)

    def close(self, code: int, reason: str = "") -> int:
        """Close every connection with ``code``; returns how many."""
        clients = list(self._clients)
        for client in clients:
            client.tell([Close(code, reason)])
        self.counts["closed"] += len(clients)
        return len(clients)

    # What clients do.

    async def endpoint(self, websocket: WebSocket) -> None:
        """One connection from upgrade to end."""
        session = self._meet(websocket)
        if isinstance(session, Refuse):
            self.counts["refused"] += 1
            await websocket.send_denial_response(Response(session.body, session.status))
            return
        await websocket.accept()
        self.counts["accepted"] += 1
        client = _Client(transport_of(websocket.scope), asyncio.Queue(OUTBOUND_MAX), session)
        self._clients.add(client)
        self._say(client, session.opened(self._weather.venue_time(self._clock.now())))
        try:
            async with asyncio.TaskGroup() as both:
                hearing = both.create_task(self._hear(websocket, client))
                await self._write(websocket, client)
                hearing.cancel()
        except* WebSocketDisconnect:
            pass  # gone while we wrote: that is how sockets end here
        finally:
            self._clients.discard(client)

    def _meet(self, websocket: WebSocket) -> Session | Refuse:
        faults = self._weather.faults
        refused, expired = self._dice.random() < faults.refuse_upgrade_rate, self._dice.random() < faults.expired_rate
        if refused:
            return Refuse(503)
        now = self._weather.venue_time(self._clock.now())
        query, headers = dict(websocket.query_params), dict(websocket.headers)
        return self._dialect.meet(Handshake(websocket.url.path, query, headers, len(self._clients), expired), now)

    def _say(self, client: _Client, said: Sequence[Said]) -> None:
        for one in said:
            match one:
                case Say():
                    for item in one.told:
                        self._truth.tell(one.series, item)
                    client.tell([one.frame])
                case Close():
                    client.tell([one])
                case Cut():
                    client.cut()

    async def _write(self, websocket: WebSocket, client: _Client) -> None:
        """Say what is queued until the connection is to be closed."""
        while True:
            said = await client.outbound.get()
            client.sending = True
            if isinstance(said, Close):
                await websocket.close(said.code, said.reason)
                return
            try:
                await websocket.send_text(said.decode())
            except UnicodeDecodeError:
                await websocket.send_bytes(said)
            client.sending = False

    async def _hear(self, websocket: WebSocket, client: _Client) -> None:
        """Answer until the client goes."""
        while True:
            event = await websocket.receive()
            if event["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(event.get("code", 1006))
            now = self._clock.now()
            if not self._weather.is_silent(now):
                text = event.get("text")
                heard = text if text is not None else event.get("bytes") or b""
                self._say(client, client.session.heard(heard, self._weather.venue_time(now)))
