"""How a bridge begins and ends: what it refuses to begin on, and what it finishes before it goes."""

import asyncio
import hashlib
import hmac
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.store.engine import make_engine, require_head
from tests.processes.bridges import SECRET, BridgeProcess, bridges, write_config
from tests.processes.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

NOBODY = 9
"""A port where nobody is: the venue is away, and that must stop nothing here."""
REQUESTS = 5
ONE_ENTRY = """
WITH stream AS (
    INSERT INTO streams (name, source, numbering, position, settle_s) VALUES ('pb.events', 'pb', 'venue', 1, 2)
    RETURNING id
)
INSERT INTO log (stream_id, position, kind, epoch, appended_at, chain, data)
SELECT id, 1, 'gap', 1, now(), sha256('x'), '{}' FROM stream
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path, venue=NOBODY, destinations={})


def delivery(sequence: int) -> tuple[bytes, dict[str, str]]:
    body = b'{"id":"id-%d","sequence":%d,"eventType":"ORDER_MATCHED","payload":{"n":%d}}' % (3 * (sequence,))
    return body, {"X-Webhook-Signature": hmac.digest(SECRET.encode(), body, hashlib.sha256).hex()}


async def send(bridge: BridgeProcess, sequence: int) -> int:
    body, headers = delivery(sequence)
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        return (await http.post(f"{bridge.url}/in/pb", content=body, headers=headers)).status_code


async def blocked(engine: AsyncEngine) -> bool:
    asked = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with engine.connect() as connection:
        return bool((await connection.execute(asked)).scalar_one())


@pytest.mark.parametrize("command", ["run", "web"])
async def test_sigterm_answers_the_requests_under_way_before_the_end(
    command: str,
    engine: AsyncEngine,
    database_url: str,
    config: Path,
    tmp_path: Path,
    free_port: int,
) -> None:
    with bridges(tmp_path, config, database_url=database_url) as started:
        bridge = started.start(command, port=free_port)
        await bridge.ready()
        async with asyncio.TaskGroup() as group, engine.begin() as connection:
            await connection.execute(text("SELECT FROM streams FOR UPDATE"))
            sending = [group.create_task(send(bridge, nth)) for nth in range(1, REQUESTS + 1)]
            await eventually(lambda: blocked(engine), state=bridge.tail)
            bridge.terminate()
            await eventually(lambda: bridge.logged("bridge.stopping"), state=bridge.tail)
            assert not any(request.done() for request in sending)
        assert [request.result() for request in sending] == [202] * REQUESTS
        assert await bridge.ended(within_s=10) == 0
        assert bridge.logged("bridge.stopped")
        async with engine.connect() as connection:
            stored = (await connection.execute(text("SELECT sequence FROM events ORDER BY 1"))).scalars().all()
        assert stored == list(range(1, REQUESTS + 1))


async def test_sigterm_while_the_database_never_answers_ends_within_the_limit(
    engine: AsyncEngine, database_url: str, config: Path, tmp_path: Path, free_port: int
) -> None:
    config.write_text(config.read_text().replace("drain_s = 10", "drain_s = 1"))
    with bridges(tmp_path, config, database_url=database_url) as started:
        bridge = started.start("web", port=free_port)
        await bridge.ready()
        async with engine.begin() as connection, asyncio.TaskGroup() as group:
            await connection.execute(text("SELECT FROM streams FOR UPDATE"))
            hopeless = group.create_task(_unanswered(bridge))
            await eventually(lambda: blocked(engine), state=bridge.tail)
            bridge.terminate()
            await bridge.ended(within_s=6)
        assert hopeless.result() != 202


async def _unanswered(bridge: BridgeProcess) -> int | None:
    try:
        return await send(bridge, 1)
    except httpx.TransportError:
        return None


async def test_a_worker_ends_on_sigterm_and_leaves_its_lease_free(
    engine: AsyncEngine, database_url: str, config: Path, tmp_path: Path
) -> None:
    with bridges(tmp_path, config, database_url=database_url) as started:
        worker = started.start("worker")
        await worker.ready()
        await eventually(lambda: worker.logged("lease.taken"), state=worker.tail)
        worker.terminate()
        assert await worker.ended(within_s=10) == 0
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM leases WHERE until > now()"))).scalar_one() == 0


async def test_a_worker_that_is_told_to_stop_finishes_its_post_and_gives_the_cursor_back(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(ONE_ENTRY))
    async with slow_destination() as slow:
        config = write_config(tmp_path, venue=NOBODY, destinations={"ledger": slow.port})
        with bridges(tmp_path, config, database_url=database_url) as started:
            worker = started.start("worker")
            await eventually(slow.arrived.is_set, state=worker.tail)
            worker.terminate()
            await eventually(lambda: worker.logged("bridge.stopping"), state=worker.tail)
            slow.answering.set()
            assert await worker.ended(within_s=10) == 0
    async with engine.connect() as connection:
        cursor = (await connection.execute(text("SELECT position, due_at <= now() FROM cursors"))).one()
    assert tuple(cursor) == (1, True)


@dataclass(slots=True)
class SlowDestination:
    """Takes a post and answers when it is let."""

    port: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        await request.read()
        self.arrived.set()
        await self.answering.wait()
        return web.Response(status=204)


@asynccontextmanager
async def slow_destination() -> AsyncIterator[SlowDestination]:
    slow = SlowDestination()
    app = web.Application()
    app.router.add_post("/{tail:.*}", slow.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        slow.port = runner.addresses[0][1]
        yield slow
    finally:
        slow.answering.set()
        await runner.cleanup()


async def test_web_and_worker_refuse_a_database_that_is_not_at_head_and_say_what_to_do(
    empty_database_url: str, config: Path, tmp_path: Path, free_port: int
) -> None:
    with bridges(tmp_path, config, database_url=empty_database_url) as started:
        refused = [started.start("web", port=free_port), started.start("worker")]
        for bridge in refused:
            assert await bridge.ended() == 1
            told = bridge.errors.read_text()
            assert "alembic upgrade head" in told, bridge.tail()
            assert "Traceback" not in told
        migrating = started.start("migrate")
        assert await migrating.ended() == 0
        engine = make_engine(empty_database_url)
        await require_head(engine)
        await engine.dispose()
        web = started.start("web", port=free_port)
        await web.ready()


async def test_run_migrates_by_itself_wherever_it_is_started(
    empty_database_url: str, config: Path, tmp_path: Path, free_port: int
) -> None:
    with bridges(tmp_path, config, database_url=empty_database_url) as started:
        bridge = started.start("run", port=free_port)
        await bridge.ready()
        assert await send(bridge, 1) == 202


async def test_a_second_bridge_on_the_same_folder_is_told_so(
    config: Path, tmp_path: Path, pg_bin: Path | None, free_ports: Callable[[int], list[int]]
) -> None:
    one, two = free_ports(2)
    with bridges(tmp_path, config, pg_bin=pg_bin) as started:
        first = started.start("run", port=one)
        await first.ready()
        second = started.start("run", port=two)
        assert await second.ended() == 1
        told = second.errors.read_text()
        assert os.fspath(tmp_path / "data") in told
        assert "Traceback" not in told
        assert await send(first, 1) == 202
        first.terminate()
        assert await first.ended() == 0
