"""Callbacks of payments, from a real socket into a real log: configured as people configure them."""

import asyncio
import hashlib
import socket
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.app import parts
from bridge.clock import SystemClock
from bridge.config import Settings, load_settings
from bridge.core.event import LogEntry
from bridge.ingest import Door
from bridge.sim.cryptomus import PAYMENT_KEY, callback
from bridge.store import log, streams
from bridge.store.overview import Overview, look
from bridge.web.direct import Intake, connections_of
from bridge.web.hooks import Hooks

pytestmark = pytest.mark.anyio

CONFIG = """
[sources.cm]
venue = "cryptomus"

[sources.cm.webhook]
secret = ["${CM_PAYMENT_KEY}", "${CM_PAYOUT_KEY}"]
body_bytes_max = 4096
"""
KEYS = {"CM_PAYMENT_KEY": PAYMENT_KEY, "CM_PAYOUT_KEY": "cm-pay-key-1"}
NAME = "cm.payments"
PATIENCE_S = 20
ESCAPED = (
    '{"type":"payment","uuid":"7b1c0f6e-0000-4000-8000-000000000001","order_id":"inv-77","amount":"12.50",'
    '"status":"paid","is_final":true,"additional_data":"a\\/b é"}'
).encode()
VECTOR = "a10a12f223ca489fc2e426aef593d515"
VECTOR_UNESCAPED = "cc4e63aa3ebfd50b16365e618d2d1ce0"


def paid(number: int, status: str = "paid", **more: object) -> dict[str, object]:
    return {
        "type": "payment",
        "uuid": f"u-{number}",
        "url": "https://shop/x é",
        "status": status,
        "txid": None,
        **more,
    }


def signed(rest: bytes, signature: str) -> bytes:
    return rest[:-1] + b',"sign":"%b"}' % signature.encode()


@dataclass
class Site:
    engine: AsyncEngine
    http: httpx.AsyncClient

    async def post(self, *bodies: bytes) -> list[int]:
        answers = await asyncio.gather(*(self.http.post("/in/cm", content=body) for body in bodies))
        return [answer.status_code for answer in answers]

    async def told(self) -> list[LogEntry]:
        async with self.engine.connect() as connection:
            stream = await streams.read(connection, NAME)
            assert stream is not None
            return await log.read(connection, stream_id=stream.id, stream=NAME, after=0, limit=1000)

    async def overview(self) -> Overview:
        return await look(self.engine)


class Announcing(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.announced = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.announced.set()


def configured(folder: Path) -> Settings:
    written = folder / "bridge.toml"
    written.write_text(CONFIG)
    return load_settings(KEYS, config_path=written)


@asynccontextmanager
async def serving(settings: Settings, engine: AsyncEngine, *, direct: bool) -> AsyncIterator[Site]:
    clock = SystemClock()
    specs = parts.stream_specs(settings)
    async with asyncio.timeout(PATIENCE_S), Door(engine, clock, specs) as door, asyncio.TaskGroup() as tasks:
        for name in specs:
            await door.open(name)
        hooks = Hooks(parts.receivers(settings, {}), door, clock)
        http = connections_of(Intake(hooks, door, clock)) if direct else "httptools"
        server = Announcing(uvicorn.Config(hooks, port=0, http=http, log_level="critical", lifespan="off"))
        tasks.create_task(server.serve())
        await server.announced.wait()
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield Site(engine, client)
        server.should_exit = True


@pytest.fixture(params=["through ASGI", "directly"])
async def site(request: pytest.FixtureRequest, engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Site]:
    """The receiver, either way: their answers are the same."""
    async with serving(configured(tmp_path), engine, direct=request.param == "directly") as opened:
        yield opened


async def test_a_genuine_callback_is_in_the_log_when_it_is_answered(site: Site) -> None:
    body = callback(paid(1))
    assert await site.post(body) == [202]
    [entry] = await site.told()
    assert (entry.sequence, entry.event_id, entry.type, entry.key) == (1, "u-1:paid:", "paid", "u-1")
    signature = body[-35:-1]
    assert entry.payload == body.replace(b',"sign":' + signature, b""), "what was signed, to the byte"


async def test_a_callback_that_is_repeated_is_counted_and_told_once(site: Site) -> None:
    assert set(await site.post(*[callback(paid(1))] * 20)) == {202}
    assert await site.post(callback(paid(1)), callback(paid(1), KEYS["CM_PAYOUT_KEY"])) == [202, 202]
    assert [entry.kind.value for entry in await site.told()] == ["event"]
    [heard] = (await site.overview()).heard.values()
    assert (heard.events, heard.first) == (22, 1)


async def test_every_state_of_a_payment_is_told(site: Site) -> None:
    for status in ("confirm_check", "paid", "refund_paid"):
        assert await site.post(callback(paid(1, status))) == [202]
    assert await site.post(callback(paid(1, "paid", txid="t-1"))) == [202]
    assert [entry.event_id for entry in await site.told()] == [
        "u-1:confirm_check:",
        "u-1:paid:",
        "u-1:refund_paid:",
        "u-1:paid:t-1",
    ]


async def test_other_content_of_a_state_that_was_told_is_a_conflict(site: Site) -> None:
    assert await site.post(callback(paid(1, amount="1"))) == [202]
    assert await site.post(callback(paid(1, amount="2"))) == [202]
    assert [entry.kind.value for entry in await site.told()] == ["event", "conflict"]


async def test_many_callbacks_at_once_are_dense_and_none_is_told_twice(site: Site) -> None:
    bodies = [callback(paid(number % 50)) for number in range(150)]
    assert set(await site.post(*bodies)) == {202}
    entries = await site.told()
    assert [entry.sequence for entry in entries] == list(range(1, 51))
    assert {entry.key for entry in entries} == {f"u-{number}" for number in range(50)}


@pytest.mark.parametrize(
    "body",
    [
        callback(paid(1)).replace(b'"paid"', b'"fail"'),
        callback(paid(1)).replace(b"\\/", b"/"),
        callback(paid(1), "another key"),
        callback(paid(1)).replace(b'"sign"', b'"sigh"'),
        signed(ESCAPED, VECTOR_UNESCAPED),
        signed(ESCAPED.replace(b"\\/", b"/"), VECTOR),
        signed(ESCAPED, hashlib.md5(b64encode(ESCAPED), usedforsecurity=False).hexdigest()),
        b"",
        b"junk",
    ],
)
async def test_what_nobody_signed_like_that_is_refused(site: Site, body: bytes) -> None:
    assert await site.post(body) == [401]
    assert await site.told() == []


async def test_the_known_vector_is_genuine_with_either_key_of_the_two(site: Site) -> None:
    assert await site.post(signed(ESCAPED, VECTOR)) == [202]


async def test_a_genuine_body_that_tells_of_no_payment_is_malformed(site: Site) -> None:
    assert await site.post(callback({"type": "payment"})) == [400]


async def test_a_callback_that_is_too_large_is_not_read(site: Site) -> None:
    assert await site.post(callback(paid(1, additional_data="x" * 5000))) == [413]
    assert await site.told() == []


async def test_what_cannot_be_noticed_is_declared_with_the_stream(site: Site) -> None:
    overview = await site.overview()
    [stream] = overview.streams
    declared = overview.follows[stream.id]
    assert (stream.name, declared.model, declared.repair, declared.state) == (NAME, "state", "nothing", "subscribed")
    assert declared.unnoticed is not None
    assert "never came" in declared.unnoticed
    assert declared.settled_until is None


def test_no_key_is_shown(tmp_path: Path) -> None:
    shown = repr(parts.receivers(configured(tmp_path), {}))
    assert not any(key in shown for key in KEYS.values())
