"""What parts have in common: how they speak, when they end, and the server that those with one run."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import uvicorn
from starlette.types import ASGIApp

from bridge.clock import SystemClock

CLOCK = SystemClock()


def say(**known: object) -> None:
    """A line for who started us."""
    sys.stdout.write(msgspec.json.encode(known).decode() + "\n")
    sys.stdout.flush()


def say_port(port: int) -> None:
    say(port=port)


async def input_closed() -> None:
    """Return when nobody holds our standard input open any more."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def until_closed(serving: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run ``serving`` until the input is closed."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serving())
        await input_closed()
        task.cancel()


async def serve_app(application: ASGIApp) -> None:
    """Serve ``application`` exactly as the bridge serves its own."""
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            port=0,
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=4096,
            timeout_keep_alive=60,
        )
    )
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve())
        while not server.started and not serving.done():
            await asyncio.wait([serving], timeout=0.005)
        say_port(int(server.servers[0].sockets[0].getsockname()[1]))
        await input_closed()
        server.should_exit = True
