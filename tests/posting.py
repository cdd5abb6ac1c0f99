"""Servers for posts to go to, written by hand because they misbehave."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PATIENCE_S = 10
LOOPS = {"asyncio": ("asyncio", {"use_uvloop": False}), "uvloop": ("asyncio", {"use_uvloop": True})}
"""The loop of the tests, and the one that the bridge runs on."""


@dataclass(slots=True)
class Peer:
    """A server as it is seen from inside: what it was sent, on how many connections, and which of them ended."""

    scheme: str = "http"
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    ended: int = 0
    listening: asyncio.Server | None = None
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return self.url_at("127.0.0.1")

    def url_at(self, host: str) -> str:
        return f"{self.scheme}://{host}:{self.port}/hook?token=t0ken"

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self.changed:
            await self.changed.wait_for(is_so)

    async def tell(self) -> None:
        """Let those who wait look again."""
        async with self.changed:
            self.changed.notify_all()

    async def meet(self, talk: "Talk", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await self.tell()
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await talk(Visit(self, reader, writer, self.connections))
        finally:
            self.ended += 1
            writer.close()
            await self.tell()


@dataclass(frozen=True, slots=True)
class Visit:
    """One connection, the ``ordinal``-th (from 1)."""

    peer: Peer
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ordinal: int

    async def request(self) -> bytes:
        """The next whole request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        whole = head + await self.reader.readexactly(size)
        self.peer.requests.append(whole)
        await self.peer.tell()
        return whole

    async def say(self, content: bytes) -> None:
        self.writer.write(content)
        await self.writer.drain()

    async def end(self) -> None:
        """Return when the other side has ended the connection."""
        await self.reader.read()


Talk = Callable[[Visit], Awaitable[None]]


def answering(*answers: bytes) -> Talk:
    """Each request of a connection gets the next of ``answers``, the last of them from then on."""

    async def talk(visit: Visit) -> None:
        left = list(answers)
        while True:
            await visit.request()
            await visit.say(left.pop(0) if len(left) > 1 else left[0])

    return talk


@asynccontextmanager
async def peering(talk: Talk, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """A server on loopback that does ``talk`` with every connection."""
    peer = Peer("http" if tls is None else "https")
    tasks: set[asyncio.Task[None]] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.CancelledError):
            await peer.meet(talk, reader, writer)

    server = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=tls)
    peer.listening = server
    peer.port = server.sockets[0].getsockname()[1]
    async with server:
        yield peer
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
