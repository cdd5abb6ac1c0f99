"""Carries the venue's webhooks to the bridge and remembers every answer: the sender's side of each promise."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random

import aiohttp
import msgspec
from aiohttp import web

TIMEOUT_S = 10.0
HEADERS = ("Content-Type", "X-Webhook-Signature", "X-Webhook-Event", "X-Webhook-Delivery", "X-Webhook-Timestamp")


class Carried(msgspec.Struct, frozen=True, rename="camel"):
    """What a delivery says of itself."""

    id: str
    sequence: int | None = None


@dataclass(slots=True)
class Carrier:
    """Passes each webhook on to one of ``ports`` by chance; a share of them to all at once.

    ``accepted`` holds what was answered 202, in the order of the answers; ``refused`` counts all other answers
    and ``lost`` the requests without one.
    """

    dice: Random
    ports: list[int]
    to_all_rate: float = 0.0
    port: int = 0
    accepted: list[Carried] = field(default_factory=list)
    accepted_by: dict[int, int] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)
    lost: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in/pb"

    async def carry(self, http: aiohttp.ClientSession, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name: request.headers[name] for name in HEADERS if name in request.headers}
        to_all = self.dice.random() < self.to_all_rate
        ports = list(self.ports) if to_all else [self.dice.choice(self.ports)]
        statuses = await asyncio.gather(*(self._pass_on(http, port, headers, body) for port in ports))
        return web.Response(status=min(statuses))

    async def _pass_on(self, http: aiohttp.ClientSession, port: int, headers: dict[str, str], body: bytes) -> int:
        try:
            async with http.post(f"http://127.0.0.1:{port}/in/pb", data=body, headers=headers) as answer:
                await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.lost += 1
            return 502
        if status == 202:
            self.accepted.append(msgspec.json.decode(body, type=Carried))
            self.accepted_by[port] = self.accepted_by.get(port, 0) + 1
        else:
            self.refused[status] = self.refused.get(status, 0) + 1
        return status


@asynccontextmanager
async def carrying(*ports: int, seed: int, to_all_rate: float = 0.0) -> AsyncIterator[Carrier]:
    carrier = Carrier(Random(f"{seed}:carrier"), list(ports), to_all_rate)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as http:
        app = web.Application()
        app.router.add_post("/in/pb", partial(carrier.carry, http))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            carrier.port = runner.addresses[0][1]
            yield carrier
        finally:
            await runner.cleanup()
