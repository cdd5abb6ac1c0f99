"""The receiver's answers, over real sockets."""

import asyncio
import hmac
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import httpx
import pytest
import uvicorn

from bridge.clock import ManualClock, SystemClock
from bridge.core.errors import BridgeError, Overloaded, StoreUnavailable
from bridge.core.event import Event, Transport
from bridge.core.signature import SignatureProfile, verify
from bridge.ingest import Answer, Receipt
from bridge.sources.loud import Loud
from bridge.sources.playbatman.webhook import WebhookReader
from bridge.web.direct import Intake, connections_of
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
    tasks: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)

    def offer(self, stream: str, events: Sequence[Event], answer: Answer, *, transport: Transport) -> None:
        if isinstance(self.fault, Overloaded):
            raise self.fault
        self.tasks.create_task(self._answer(stream, events, answer, transport))

    async def _answer(self, stream: str, events: Sequence[Event], answer: Answer, transport: Transport) -> None:
        try:
            await self.accept(stream, events, transport=transport)
        except BridgeError as fault:
            answer.set_exception(fault)
        else:
            if not answer.done():
                answer.set_result(Receipt())

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
    server: uvicorn.Server

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


Serving = Callable[..., AbstractAsyncContextManager[Site]]


@pytest.fixture(params=["through ASGI", "directly"])
def serving(request: pytest.FixtureRequest) -> Serving:
    """The receiver, either way: their answers are the same."""
    return partial(_serving, direct=request.param == "directly")


@asynccontextmanager
async def _serving(
    *, direct: bool, bytes_max: int = 64 * 1024, body_timeout_s: float = PATIENCE_S
) -> AsyncIterator[Site]:
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
                genuine=partial(verify, SignatureProfile(), ("old", SECRET)),
                body_bytes_max=bytes_max,
            )
        },
        door,
        clock,
        observe=lambda source, status, seconds: observed.append((source, status)),
        loud=Loud(clock, write=lambda event, **fields: said.append(f"{event} {fields}")),
        body_timeout_s=body_timeout_s,
    )
    http = connections_of(Intake(app, door, clock)) if direct else "httptools"
    server = Announcing(
        uvicorn.Config(
            app, port=0, http=http, log_level="critical", lifespan="off", server_header=False, date_header=False
        )
    )
    async with asyncio.TaskGroup() as tasks, door.tasks, asyncio.timeout(PATIENCE_S):
        tasks.create_task(server.serve())
        await server.announced.wait()
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield Site(port, client, door, reader, observed, said, server)
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


async def test_a_signed_delivery_is_answered_when_the_door_has_returned(serving: Serving) -> None:
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


async def test_every_configured_secret_counts(serving: Serving) -> None:
    async with serving() as site:
        assert (await site.post(secret="old")).status_code == 202


async def test_the_deliverys_id_names_what_names_nothing_itself(serving: Serving) -> None:
    async with serving() as site:
        body = b'{"payload":{}}'
        headers = signed(body) | {"X-Webhook-Id": "second", "X-Webhook-Delivery": "first"}
        assert (await site.http.post("/in/pb", content=body, headers=headers)).status_code == 202
        assert site.door.taken[0][1].event_id == "first"


@pytest.mark.parametrize("path", ["/", "/in", "/in/", "/in/other", "/in/pb/", "/in/pb/x", "/IN/pb"])
async def test_an_unknown_source_is_not_found(path: str, serving: Serving) -> None:
    async with serving() as site:
        assert (await site.post(path=path)).status_code == 404
        assert site.reader.parsed == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
async def test_another_method_is_not_allowed(method: str, serving: Serving) -> None:
    async with serving() as site:
        answer = await site.http.request(method, "/in/pb")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_an_unsigned_delivery_is_refused_without_detail_and_without_being_parsed(serving: Serving) -> None:
    async with serving() as site:
        for body in (BODY, b"junk"):
            wrong = await site.post(body, secret="other")
            absent = await site.http.post("/in/pb", content=body)
            assert wrong.status_code == absent.status_code == 401
            assert wrong.content == absent.content == b'{"status":"unauthorized"}'
        assert site.reader.parsed == []
        assert site.door.taken == []


@pytest.mark.parametrize("body", [b"", b"junk", b"[]", b"null", b'"x"', b'{"sequence":-1}', b"\xff"])
async def test_a_signed_body_that_is_no_event_is_malformed_and_told_aloud(body: bytes, serving: Serving) -> None:
    async with serving() as site:
        assert (await site.post(body)).status_code == 400
        assert site.door.taken == []
        assert site.said[0].startswith("delivery.malformed")


@pytest.mark.parametrize("fault", [Overloaded("full"), StoreUnavailable("away")])
async def test_what_cannot_be_stored_is_asked_for_again(fault: BridgeError, serving: Serving) -> None:
    async with serving() as site:
        site.door.fault = fault
        answer = await site.post()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_a_body_announced_too_large_is_refused_before_it_is_read(serving: Serving) -> None:
    async with serving(bytes_max=1000) as site:
        answer = await raw(site, b"POST /in/pb HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_grows_too_large_is_not_read_to_its_end(serving: Serving) -> None:
    async with serving(bytes_max=1000) as site:
        chunk = b"3e8\r\n" + b"x" * 1000 + b"\r\n"
        head = b"POST /in/pb HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert (await raw(site, head, chunk, chunk)).startswith(b"HTTP/1.1 413 ")


async def test_a_body_in_pieces_is_put_together(serving: Serving) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(BODY), 7):
            yield BODY[at : at + 7]

    async with serving(bytes_max=len(BODY)) as site:
        assert (await site.http.post("/in/pb", content=pieces(), headers=signed(BODY))).status_code == 202
        assert site.reader.parsed == [BODY]


async def test_a_body_that_does_not_come_is_not_waited_for(serving: Serving) -> None:
    async with serving(body_timeout_s=0.05) as site:
        answer = await raw(site, b"POST /in/pb HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_client_that_leaves_before_its_body_is_here_leaves_nothing() -> None:
    clock = ManualClock(datetime(2026, 2, 18, tzinfo=UTC))
    reader, door, observed = Reader(), Commits(), list[int]()
    receiver = Receiver(source=reader, stream="pb.events", genuine=partial(verify, SignatureProfile(), (SECRET,)))
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


def request(body: bytes = BODY, *more: str) -> bytes:
    """A whole delivery, as it stands on the wire."""
    lines = ["POST /in/pb HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *more]
    lines += [f"{name}: {value}" for name, value in signed(body).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_both_ways_answer_the_same_bytes() -> None:
    answers = []
    for direct in (False, True):
        async with _serving(direct=direct) as site:
            refused = request().replace(b"Signature: ", b"Signature: 0")
            last = request(BODY, "Connection: close")
            answers.append([await raw(site, one, last) for one in (request(), request(b"[]"), refused)])
            site.door.fault = StoreUnavailable("away")
            answers[-1].append(await raw(site, request(), last))
    through_asgi, directly = answers
    assert [answer.split()[1] for answer in directly] == [b"202", b"400", b"401", b"503"]
    assert directly == through_asgi


async def test_requests_sent_ahead_are_answered_one_by_one_and_in_order(serving: Serving) -> None:
    async with serving() as site:
        site.door.open.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(request() + request(b"[]") + request(BODY, "Connection: close"))
        await site.door.reached.wait()
        site.door.open.set()
        answer = await reader.read()
        assert [line.split()[1] for line in answer.split(b"HTTP/1.1")[1:]] == [b"Accepted", b"Bad", b"Accepted"]
        writer.close()


async def test_a_stop_waits_for_the_answer_that_is_due(serving: Serving) -> None:
    async with serving() as site:
        site.door.open.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(request())
        await site.door.reached.wait()
        for connection in list(site.server.server_state.connections):
            connection.shutdown()  # as uvicorn does when it is to stop
        site.door.open.set()
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 202 ")
        assert b"connection: close" in answer
        writer.close()


async def test_who_leaves_within_a_body_is_counted_and_leaves_nothing(serving: Serving) -> None:
    async with serving() as site:
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(request()[:-1])
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await site.post()).status_code == 202
        assert sorted(site.observed) == [("pb", 202), ("pb", 499)]
        assert len(site.door.taken) == 1


async def test_who_leaves_before_the_commit_harms_nobody(serving: Serving) -> None:
    async with serving() as site:
        site.door.open.clear()
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(request())
        await site.door.reached.wait()
        writer.transport.abort()
        await writer.wait_closed()
        site.door.open.set()
        assert (await site.post()).status_code == 202
        assert len(site.door.taken) == 2


def test_a_receiver_does_not_show_its_secrets() -> None:
    receiver = Receiver(source=Reader(), stream="pb.events", genuine=partial(verify, SignatureProfile(), (SECRET,)))
    assert SECRET not in repr(receiver)
