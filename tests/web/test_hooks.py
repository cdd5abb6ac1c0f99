"""The receiver's answers, over real sockets."""

import asyncio
import hmac
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest
import uvicorn

from bridge.clock import ManualClock, SystemClock
from bridge.core.errors import BridgeError, Overloaded, StoreUnavailable
from bridge.core.event import Event, Transport
from bridge.core.signature import SignatureProfile
from bridge.sources.loud import Loud
from bridge.sources.playbatman.webhook import WebhookReader
from bridge.web.hooks import Hooks, Receiver
from tests.sources.playbatman.recorded import recorded

SECRET = "s3cret-of-the-hook"
BODY = recorded("webhook_row")
PATIENCE_S = 10


class Reader:
    """A source, as far as the receiver knows one. ``parsed`` shows what was read."""

    def __init__(self) -> None:
        self.parsed: list[bytes] = []
        self._reader = WebhookReader()

    def parse_webhook(self, body: bytes, delivery_id: str | None) -> Event:
        self.parsed.append(body)
        return self._reader.event(body, delivery_id)


@dataclass
class Commits:
    """A door whose commits happen when the test says so."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    fault: BridgeError | None = None
    taken: list[tuple[str, Event, Transport]] = field(default_factory=list)

    async def accept(self, stream: str, events: Sequence[Event], *, transport: Transport) -> None:
        self.reached.set()
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        self.taken += [(stream, event, transport) for event in events]


@dataclass
class Site:
    port: int
    http: httpx.AsyncClient
    door: Commits
    reader: Reader
    observed: list[tuple[str, int]]
    said: list[str]

    async def post(self, body: bytes = BODY, *, secret: str = SECRET, path: str = "/in/pb") -> httpx.Response:
        return await self.http.post(path, content=body, headers=signed(body, secret))


class Announcing(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.announced = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.announced.set()


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Webhook-Signature": hmac.digest(secret.encode(), body, "sha256").hex()}


@asynccontextmanager
async def serving(*, bytes_max: int = 64 * 1024, body_timeout_s: float = PATIENCE_S) -> AsyncIterator[Site]:
    door, reader = Commits(), Reader()
    door.open.set()
    observed: list[tuple[str, int]] = []
    said: list[str] = []
    clock = SystemClock()
    app = Hooks(
        {
            "pb": Receiver(
                source=reader,
                stream="pb.events",
                profile=SignatureProfile(),
                secrets=("old", SECRET),
                body_bytes_max=bytes_max,
            )
        },
        door,
        clock,
        observe=lambda source, status, seconds: observed.append((source, status)),
        loud=Loud(clock, write=lambda event, **fields: said.append(f"{event} {fields}")),
        body_timeout_s=body_timeout_s,
    )
    server = Announcing(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(PATIENCE_S):
        tasks.create_task(server.serve())
        await server.announced.wait()
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            yield Site(port, http, door, reader, observed, said)
        server.should_exit = True


async def raw(site: Site, *parts: bytes) -> bytes:
    """What comes back for bytes sent as they are, until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_signed_delivery_is_answered_when_the_door_has_returned() -> None:
    async with serving() as site, asyncio.TaskGroup() as tasks:
        site.door.open.clear()
        answer = tasks.create_task(site.post())
        await site.door.reached.wait()
        assert not answer.done()
        site.door.open.set()
        assert (await answer).status_code == 202
        stream, event, transport = site.door.taken[0]
        assert (stream, event.sequence, transport) == ("pb.events", 1207, Transport.WEBHOOK)
        assert site.observed == [("pb", 202)]


async def test_every_configured_secret_counts() -> None:
    async with serving() as site:
        assert (await site.post(secret="old")).status_code == 202


async def test_the_deliverys_id_names_what_names_nothing_itself() -> None:
    async with serving() as site:
        body = b'{"payload":{}}'
        headers = signed(body) | {"X-Webhook-Id": "second", "X-Webhook-Delivery": "first"}
        assert (await site.http.post("/in/pb", content=body, headers=headers)).status_code == 202
        assert site.door.taken[0][1].event_id == "first"


@pytest.mark.parametrize("path", ["/", "/in", "/in/", "/in/other", "/in/pb/", "/in/pb/x", "/IN/pb"])
async def test_an_unknown_source_is_not_found(path: str) -> None:
    async with serving() as site:
        assert (await site.post(path=path)).status_code == 404
        assert site.reader.parsed == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
async def test_another_method_is_not_allowed(method: str) -> None:
    async with serving() as site:
        answer = await site.http.request(method, "/in/pb")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_an_unsigned_delivery_is_refused_without_detail_and_without_being_parsed() -> None:
    async with serving() as site:
        for body in (BODY, b"junk"):
            wrong = await site.post(body, secret="other")
            absent = await site.http.post("/in/pb", content=body)
            assert wrong.status_code == absent.status_code == 401
            assert wrong.content == absent.content == b'{"status":"unauthorized"}'
        assert site.reader.parsed == []
        assert site.door.taken == []


@pytest.mark.parametrize("body", [b"", b"junk", b"[]", b"null", b'"x"', b'{"sequence":-1}', b"\xff"])
async def test_a_signed_body_that_is_no_event_is_malformed_and_told_aloud(body: bytes) -> None:
    async with serving() as site:
        assert (await site.post(body)).status_code == 400
        assert site.door.taken == []
        assert site.said[0].startswith("delivery.malformed")


@pytest.mark.parametrize("fault", [Overloaded("full"), StoreUnavailable("away")])
async def test_what_cannot_be_stored_is_asked_for_again(fault: BridgeError) -> None:
    async with serving() as site:
        site.door.fault = fault
        answer = await site.post()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_a_body_announced_too_large_is_refused_before_it_is_read() -> None:
    async with serving(bytes_max=1000) as site:
        answer = await raw(site, b"POST /in/pb HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_grows_too_large_is_not_read_to_its_end() -> None:
    async with serving(bytes_max=1000) as site:
        chunk = b"3e8\r\n" + b"x" * 1000 + b"\r\n"
        head = b"POST /in/pb HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert (await raw(site, head, chunk, chunk)).startswith(b"HTTP/1.1 413 ")


async def test_a_body_in_pieces_is_put_together() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(BODY), 7):
            yield BODY[at : at + 7]

    async with serving(bytes_max=len(BODY)) as site:
        assert (await site.http.post("/in/pb", content=pieces(), headers=signed(BODY))).status_code == 202
        assert site.reader.parsed == [BODY]


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async with serving(body_timeout_s=0.05) as site:
        answer = await raw(site, b"POST /in/pb HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_client_that_leaves_before_its_body_is_here_leaves_nothing() -> None:
    clock = ManualClock(datetime(2026, 2, 18, tzinfo=UTC))
    reader, door, observed = Reader(), Commits(), list[int]()
    receiver = Receiver(source=reader, stream="pb.events", profile=SignatureProfile(), secrets=(SECRET,))
    app = Hooks({"pb": receiver}, door, clock, observe=lambda source, status, seconds: observed.append(status))
    parts: Iterator[dict[str, object]] = iter(
        [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> dict[str, object]:
        return next(parts)

    async def send(event: object) -> None:
        pytest.fail("nobody is there to be answered")

    await app({"type": "http", "method": "POST", "path": "/in/pb", "headers": []}, receive, send)
    assert observed == [499]
    assert reader.parsed == []


def test_a_receiver_does_not_show_its_secrets() -> None:
    receiver = Receiver(source=Reader(), stream="pb.events", profile=SignatureProfile(), secrets=(SECRET,))
    assert SECRET not in repr(receiver)
