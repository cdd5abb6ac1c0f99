"""The venue on real loopback sockets for as long as a block lasts, and a receiver for its webhooks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx
import msgspec
from aiohttp import web
from websockets.asyncio.client import ClientConnection, connect

from bridge.clock import SystemClock
from bridge.sim.playbatman import API_KEY, SimConfig, serve

PATIENCE_S = 10


@dataclass(slots=True)
class Running:
    """A venue that answers on ``port``; ``http`` carries the key."""

    port: int
    http: httpx.AsyncClient

    async def told(self, order: str, **body: object) -> dict[str, object]:
        answer = await self.http.post(f"/control/{order}", json=body)
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=dict[str, object])

    async def state(self) -> dict[str, object]:
        answer = await self.http.get("/control/state")
        return msgspec.json.decode(answer.content, type=dict[str, object])

    async def truth(self) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        after: int | None = 0
        while after is not None:
            page = (await self.http.get("/control/truth", params={"after": after, "limit": 40})).json()
            rows += page["rows"]
            after = page["next"]
        return rows

    def socket(self, *, key: str = API_KEY, in_query: bool = False) -> connect:
        """A client that reads everything at once, so that closing never waits behind unread frames."""
        where = f"ws://127.0.0.1:{self.port}/ws"
        if in_query:
            return connect(f"{where}?apiKey={key}", proxy=None, max_queue=None)
        return connect(where, additional_headers={"X-Api-Key": key}, proxy=None, max_queue=None)


@asynccontextmanager
async def running(config: SimConfig) -> AsyncIterator[Running]:
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as parts:
        venue = parts.create_task(serve(replace(config, port=0), clock=SystemClock(), ready=ready.set_result))
        async with asyncio.timeout(PATIENCE_S):
            port = await ready
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers={"X-Api-Key": API_KEY}, trust_env=False
        ) as http:
            yield Running(port, http)
        venue.cancel()


@dataclass(slots=True)
class Receiver:
    """Answers webhooks with the next of ``statuses`` (202 when they are used up) and keeps what came."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in/pb"

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        async with self.arrived:
            self.arrived.notify_all()
        status = self.statuses.pop(0) if self.statuses else 202
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else None)

    async def wait_for(self, count: int) -> list[tuple[dict[str, str], bytes]]:
        async with asyncio.timeout(PATIENCE_S), self.arrived:
            await self.arrived.wait_for(lambda: len(self.got) >= count)
        return self.got


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.port = runner.addresses[0][1]
        yield receiver
    finally:
        await runner.cleanup()


async def hear(socket: ClientConnection) -> dict[str, object]:
    """The next frame, waited for with patience."""
    async with asyncio.timeout(PATIENCE_S):
        return msgspec.json.decode(await socket.recv(), type=dict[str, object])
