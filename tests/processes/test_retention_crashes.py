"""A worker killed in the midst of forgetting: what is left is whole, and the next worker goes on from there."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.store import digests, proofreading
from tests.logs import append_events
from tests.processes.bridges import bridges, write_config
from tests.processes.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(120)]

EVENTS = 3_000
KEPT = 100
KILLS = 3
RETENTION = f"""
[retention]
keep_days = 1
entries_min = {KEPT}
rows_max = 5
every_s = 1
"""


async def test_kills_in_mid_sweep_leave_a_log_that_is_whole_and_is_swept_further(
    engine: AsyncEngine, database_url: str, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    await append_events(engine, "pb.events", EVENTS)
    config = write_config(tmp_path, venue=free_ports(1)[0], destinations={})
    config.write_text(config.read_text() + RETENTION)
    begins = 0
    with bridges(tmp_path, config, database_url=database_url) as started:
        for _ in range(KILLS):
            worker = started.start("worker")
            wanted = begins + 50
            await eventually(lambda: reaches(engine, wanted), state=worker.tail)  # noqa: B023 - looked at once
            worker.kill()
            begins = await whole_from(engine)
            assert wanted <= begins < EVENTS - KEPT
        worker = started.start("worker")
        await eventually(lambda: reaches(engine, EVENTS - KEPT), within_s=60, state=worker.tail)
        worker.terminate()
        assert await worker.ended() == 0
    assert await whole_from(engine) == EVENTS - KEPT


async def reaches(engine: AsyncEngine, position: int) -> bool:
    return await value(engine, "SELECT max(forgotten) FROM streams") >= position


async def whole_from(engine: AsyncEngine) -> int:
    """Where the log begins; everything behind that is there with its event and its chain, and nothing before."""
    forgotten = await value(engine, "SELECT max(forgotten) FROM streams")
    assert await value(engine, "SELECT min(position) - 1 FROM log") == forgotten
    assert await value(engine, "SELECT count(*) FROM log JOIN events USING (stream_id, epoch, sequence)") == (
        EVENTS - forgotten
    )
    assert await value(engine, "SELECT count(*) FROM events") == EVENTS - forgotten
    async with engine.connect() as conn:
        bounds = await digests.bounds(conn, "pb.events")
        assert bounds is not None
        verdict = await proofreading.verify(conn, bounds)
    assert verdict.wrong is None
    return forgotten


async def value(engine: AsyncEngine, query: str) -> int:
    async with engine.connect() as conn:
        return int((await conn.execute(text(query))).scalar_one())
