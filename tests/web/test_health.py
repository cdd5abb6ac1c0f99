"""Alive, ready, measured; and the one real socket that shows who gets which path."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest
import uvicorn
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Receive, Scope, Send

from bridge.clock import ManualClock, SystemClock
from bridge.config import Settings
from bridge.egress import HttpEgress
from bridge.metrics import Metrics
from bridge.store import connections, leases
from bridge.store.engine import make_engine
from bridge.web.app import web_app
from tests.cli.rows import fill
from tests.events import START
from tests.web.serving import LEDGER, reading

pytestmark = pytest.mark.anyio

PATIENCE_S = 10


async def test_a_bridge_that_can_store_is_alive_and_ready(engine: AsyncEngine) -> None:
    async with reading(engine, token="t", peer="203.0.113.9") as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_readiness_does_not_ask_for_the_venue(engine: AsyncEngine) -> None:
    await fill(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE connections SET state = 'misconfigured'"))
        await connection.execute(text("UPDATE streams SET suspect_at = now()"))
    async with reading(engine) as client:
        assert (await client.get("/readyz")).status_code == 200


async def test_a_bridge_whose_tables_are_of_another_version_is_alive_but_not_ready(empty_database_url: str) -> None:
    engine = make_engine(empty_database_url)
    async with reading(engine) as client:
        assert (await client.get("/healthz")).status_code == 200
        ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert "alembic upgrade head" in ready.json()["reason"]
    await engine.dispose()


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
async def test_a_bridge_without_its_database_is_alive_measured_and_not_ready(free_port: int, host: str) -> None:
    gone = make_engine(f"postgresql+asyncpg://bridge:hushhush@{host}:{free_port}/bridge")
    async with reading(gone) as client:
        assert (await client.get("/healthz")).status_code == 200
        ready = await client.get("/readyz")
        measured = await client.get("/metrics")
    assert ready.status_code == 503
    assert "the database" in ready.json()["reason"]
    assert "hushhush" not in ready.text
    assert measured.status_code == 200
    assert "\nbridge_database_up 0.0\n" in measured.text
    await gone.dispose()


async def test_readiness_comes_back_with_the_database(engine: AsyncEngine) -> None:
    clock = ManualClock(START)
    async with reading(engine, clock=clock) as client:
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE alembic_version RENAME TO elsewhere"))
        assert (await client.get("/readyz")).status_code == 503
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE elsewhere RENAME TO alembic_version"))
        clock.advance(1)
        assert (await client.get("/readyz")).status_code == 200


async def test_metrics_are_read_from_rows_and_from_this_process(engine: AsyncEngine) -> None:
    await fill(engine)
    metrics = Metrics()
    metrics.observe("pb", 202, 0.002)
    metrics.observe("pb", 202, 0.002)
    metrics.observe("pb", 401, 0.001)
    metrics.attempted("ledger", "accepted")
    async with reading(engine, clock=SystemClock(), metrics=metrics, destinations=[LEDGER]) as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    series = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    stream = (("stream", "pb.events"),)
    gaps = (("axis", "sequence"), ("stream", "pb.events"))
    ledger = (("destination", "ledger"),)
    assert series["bridge_webhook_requests_total", (("source", "pb"), ("status", "202"))] == 2
    assert series["bridge_webhook_seconds_count", (("source", "pb"),)] == 3
    assert series["bridge_delivery_attempts_total", (("destination", "ledger"), ("outcome", "accepted"))] == 1
    assert series["bridge_database_up", ()] == 1
    assert series["bridge_stream_position", stream] == 3
    assert series["bridge_stream_gaps_open", gaps] == 1
    assert 180 <= series["bridge_stream_gap_oldest_seconds", gaps] < 240
    assert 17_900 < series["bridge_stream_gap_deadline_seconds", gaps] <= 18_000
    assert series["bridge_delivery_backlog", ledger] == 1
    assert series["bridge_delivery_oldest_seconds", ledger] > 0
    assert series["bridge_socket_state", (("source", "pb"), ("state", "connected"))] == 1
    assert series["bridge_socket_state", (("source", "pb"), ("state", "disconnected"))] == 0
    assert len(series) < 150, "the number of series is bounded by what is configured"


async def test_sources_are_measured_as_they_are_configured_whatever_rows_were_left_by_others(
    engine: AsyncEngine,
) -> None:
    at = SystemClock().now()
    async with engine.begin() as connection:
        await connections.put(connection, source="former", state="connected", detail="", now=at)
        await leases.take(connection, name="source:former", holder="a", now=at, until=at + timedelta(minutes=5))
    async with reading(engine, clock=SystemClock()) as client:
        told = (await client.get("/metrics")).text
    assert 'bridge_source_attended{source="pb"} 0.0\n' in told, "nobody ever held it: that is no reason to be silent"
    assert "former" not in told, "nobody is to be woken for a source that was taken out"


@asynccontextmanager
async def listening(engine: AsyncEngine, hooked: list[str]) -> AsyncIterator[str]:
    """The address of the web side on a real socket; what reaches the hooks is noted."""

    async def hooks(scope: Scope, _receive: Receive, send: Send) -> None:
        hooked.append(scope["path"])
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    app = web_app(
        engine=engine,
        hooks=hooks,
        settings=Settings(sources={}, destinations={}),
        clock=SystemClock(),
        metrics=Metrics(),
        egress=HttpEgress(SystemClock()),
    )
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None, proxy_headers=False))
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve())
        while not server.started:
            await asyncio.wait([serving], timeout=0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True


async def test_the_receiver_gets_its_paths_untouched_and_starlette_all_others(engine: AsyncEngine) -> None:
    hooked: list[str] = []
    async with listening(engine, hooked) as address, httpx.AsyncClient(base_url=address, trust_env=False) as client:
        assert (await client.post("/in/pb", content=b"{}")).status_code == 202
        assert (await client.get("/in/")).status_code == 202
        assert (await client.get("/in")).status_code == 404
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/v1/streams")).json() == {"streams": []}
        assert (await client.get("/v1/streams", headers={"Host": "evil.example"})).status_code == 403
    assert hooked == ["/in/pb", "/in/"]
