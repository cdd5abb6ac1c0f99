"""A bridge that is killed again and again while events flow ends up with what one has that never fell."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.store.embedded import EmbeddedPostgres
from bridge.store.engine import make_engine
from tests.processes.bridges import BridgeProcess, bridges, write_config
from tests.processes.judging import check_accepted, check_prefix, entries_of, stream_of
from tests.processes.stage import Stage, stage
from tests.processes.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(120)]

KILLS = int(os.environ.get("BRIDGE_KILLS", "3"))  # noqa: TID251 - more kills are asked for by a variable
SEED = int(os.environ.get("BRIDGE_KILLS_SEED", "1"))  # noqa: TID251 - and others
RATE_PER_S = 150.0
TAKE_OVER_S = 40.0
"""A new process waits until the leases of the one before it have ended."""


async def fall(bridge: BridgeProcess, around: Stage, dice: Random) -> None:
    """Kill the bridge at a point of the seed's choice: so many webhooks or callbacks after it was ready."""
    carrier, record = around.carrier, around.record("ledger")
    webhooks = len(carrier.accepted) + dice.randint(1, 150)
    await eventually(lambda: len(carrier.accepted) >= webhooks, state=bridge.tail)
    if record.last and dice.random() < 0.3:
        callbacks = record.last + 1
        await eventually(lambda: record.last >= callbacks, state=bridge.tail)
    bridge.kill()


async def test_kills_at_random_points_leave_the_log_as_if_nothing_had_happened(
    engine: AsyncEngine, database_url: str, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    [port] = free_ports(1)
    dice = Random(f"{SEED}:kills")
    async with stage(port, seed=SEED, rate=RATE_PER_S, consumers={"ledger": 0.02}, history=50) as around:
        config = write_config(tmp_path, venue=around.venue.port, destinations=around.destinations)
        with bridges(tmp_path, config, database_url=database_url) as started:
            for _ in range(KILLS):
                bridge = started.start("run", port=port)
                await fall(bridge, around, dice)
                check_prefix(around.record("ledger"), await entries_of(engine))
                await check_accepted(engine, around.carrier.accepted)
            bridge = started.start("run", port=port)
            await bridge.ready()
            truth = await around.calm()
            await around.settle(engine, truth, within_s=TAKE_OVER_S)
            bridge.terminate()
            assert await bridge.ended() == 0
    assert around.carrier.lost > 0, "no kill met a request under way"


async def test_a_kill_of_bridge_and_embedded_postgres_together_keeps_every_202(
    tmp_path: Path, pg_bin: Path | None, free_ports: Callable[[int], list[int]]
) -> None:
    [port] = free_ports(1)
    dice = Random(f"{SEED}:embedded")
    async with stage(port, seed=SEED + 1, rate=RATE_PER_S, consumers={"ledger": 0.0}) as around:
        config = write_config(tmp_path, venue=around.venue.port, destinations=around.destinations)
        with bridges(tmp_path, config, pg_bin=pg_bin) as started:
            for _ in range(2):
                await fall(started.start("run", port=port), around, dice)
            again = started.start("run", port=port)
            await again.ready()
            again.terminate()
            assert await again.ended() == 0
        with EmbeddedPostgres(tmp_path / "data", bin_dir=pg_bin) as server:
            engine = make_engine(server.url)
            assert len(around.carrier.accepted) > 20
            await check_accepted(engine, around.carrier.accepted)
            assert await stream_of(engine) is not None
            check_prefix(around.record("ledger"), await entries_of(engine))
            await engine.dispose()
