"""The web side on a real socket, with time that passes."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import SystemClock
from bridge.config import Limits, Settings
from bridge.egress import HttpEgress
from bridge.metrics import Metrics
from bridge.web.app import web_app
from bridge.web.hooks import Hooks
from bridge.web.pulse import Pulse
from tests.web.serving import ClosedDoor

PATIENCE_S = 50


@dataclass(frozen=True, slots=True)
class Listening:
    """Where it listens, and what wakes those who wait."""

    address: str
    pulse: Pulse
    server: uvicorn.Server

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.address, trust_env=False, timeout=PATIENCE_S)


@asynccontextmanager
async def listening(
    engine: AsyncEngine, *, poll_every_s: float = 60.0, within_s: float = PATIENCE_S, token: str | None = None
) -> AsyncIterator[Listening]:
    """For as long as the block lasts. ``poll_every_s`` is long unless said: who waits must be woken."""
    clock, pulse = SystemClock(), Pulse()
    app = web_app(
        engine=engine,
        hooks=Hooks({}, ClosedDoor(), clock),
        settings=Settings(
            sources={},
            destinations={},
            limits=Limits(log_page_max=50, poll_every_s=poll_every_s),
            api_token=None if token is None else SecretStr(token),
        ),
        clock=clock,
        metrics=Metrics(),
        egress=HttpEgress(clock),
        pulse=pulse,
    )
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, lifespan="off", log_config=None, proxy_headers=False, http="httptools")
    )
    async with asyncio.timeout(within_s), asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve())
        while not server.started:
            await asyncio.wait([serving], timeout=0.01)
        yield Listening(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", pulse, server)
        pulse.end()
        server.should_exit = True


@dataclass(frozen=True, slots=True)
class Heard:
    """One server-sent event, read as the standard says."""

    id: str
    type: str
    data: str

    @property
    def content(self) -> bytes:
        return base64.b64decode(self.data) if self.type == "base64" else self.data.encode()

    def json(self) -> Any:
        return json.loads(self.content)


async def heard(answer: httpx.Response) -> AsyncIterator[Heard]:
    """The events of a stream, until it ends or nobody holds this any more: whoever drops it hangs up."""
    buffer, last = "", ""
    async for part in answer.aiter_text():
        buffer += part.replace("\r\n", "\n").replace("\r", "\n")  # each of the three ends a line
        while "\n\n" in buffer:
            block, buffer = buffer.split("\n\n", 1)
            fields = [line.partition(":") for line in block.split("\n")]
            named = [(name, value.removeprefix(" ")) for name, _, value in fields]
            last = next((value for name, value in named if name == "id"), last)
            data = [value for name, value in named if name == "data"]
            if data:
                kind = next((value for name, value in named if name == "event"), "message")
                yield Heard(last, kind, "\n".join(data))
