"""``python -m bench.egress``: what does one post cost, one after the other, with our client and with aiohttp?

Both post in turns to one receiver in another process, so that what else the machine does meets both alike.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import aiohttp
import uvloop
from yarl import URL

from bridge.clock import SystemClock
from bridge.core.delivery import Answered
from bridge.egress import HttpEgress

POSTS = 4_000
WARMING_UP = 300
ROUNDS = 5
TIMEOUT_S = 15.0
BODY = b"x" * 900
HEADERS = {
    "content-type": "application/json",
    "webhook-id": "pb.events:1:1207",
    "webhook-timestamp": "1771455600",
    "webhook-signature": f"v1,{'a' * 44}",
    "bridge-stream": "pb.events",
    "bridge-position": "17",
    "bridge-attempt": "1",
    "bridge-sequence": "1207",
}
ANSWER = b"HTTP/1.1 204 No Content\r\ndate: Wed, 18 Feb 2026 23:00:00 GMT\r\nserver: receiver\r\n\r\n"

Post = Callable[[], Awaitable[int]]
Client = Callable[[int], AbstractAsyncContextManager[Post]]


class _Receiver(asyncio.Protocol):
    """Answers each request once all of it is there, for as little as that can cost."""

    def __init__(self) -> None:
        self._waiting = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        end = self._waiting.find(b"\r\n\r\n")
        if end >= 0 and len(self._waiting) >= end + 4 + len(BODY):
            self._waiting = b""
            self._transport.write(ANSWER)


async def _receive() -> None:
    server = await asyncio.get_running_loop().create_server(_Receiver, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@asynccontextmanager
async def _ours(port: int) -> AsyncIterator[Post]:
    async with HttpEgress(SystemClock()) as egress:

        async def post() -> int:
            outcome = await egress.post(
                f"http://127.0.0.1:{port}/hooks/ledger", HEADERS, BODY, timeout_s=TIMEOUT_S, allow_private=True
            )
            return outcome.status if isinstance(outcome, Answered) else 0

        yield post


@asynccontextmanager
async def _with_aiohttp(port: int) -> AsyncIterator[Post]:
    """With everything left out of it that can be."""
    target = URL(f"http://127.0.0.1:{port}/hooks/ledger")
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding"),
    ) as session:

        async def post() -> int:
            async with session.post(
                target, data=BODY, headers=HEADERS, allow_redirects=False, timeout=timeout
            ) as answer:
                return answer.status

        yield post


async def _measure(client: Client, port: int) -> tuple[float, float]:
    """Microseconds of processor time for a post, and posts in a second."""
    async with client(port) as post:
        for _ in range(WARMING_UP):
            await post()
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        for _ in range(POSTS):
            assert await post() == 204
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    return cpu_s / POSTS * 1e6, POSTS / wall_s


def main() -> None:
    """Measure in turns and print the medians."""
    receiver = subprocess.Popen([sys.executable, "-m", "bench.egress", "receive"], stdout=subprocess.PIPE, text=True)
    try:
        assert receiver.stdout is not None
        port = int(receiver.stdout.readline())
        clients: dict[str, Client] = {"aiohttp": _with_aiohttp, "ours": _ours}
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in clients}
        for _ in range(ROUNDS):
            for name, client in clients.items():
                runs[name].append(uvloop.run(_measure(client, port)))
    finally:
        receiver.kill()
        receiver.wait()
    cpu_us = {name: statistics.median(cpu for cpu, _ in run) for name, run in runs.items()}
    per_s = {name: statistics.median(rate for _, rate in run) for name, run in runs.items()}
    for name in clients:
        print(f"{name:8} {cpu_us[name]:6.1f} us of processor time for a post, {per_s[name]:7,.0f} posts/s")
    print(
        f"ours is {cpu_us['aiohttp'] / cpu_us['ours']:.1f}x cheaper, {per_s['ours'] / per_s['aiohttp']:.1f}x faster"
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["receive"]:
        uvloop.run(_receive())
    else:
        main()
