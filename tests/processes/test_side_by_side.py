"""Two web processes and two workers on one Postgres are as good as one, and better than one when one dies."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.processes.bridges import BridgeProcess, Bridges, bridges, write_config
from tests.processes.judging import is_complete
from tests.processes.stage import Stage, stage
from tests.processes.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(120)]

RATE_PER_S = 100.0
WEBHOOKS = 250
TAKE_OVER_S = 25.0


async def holder_pid(engine: AsyncEngine) -> int | None:
    """The process that holds the source's lease."""
    async with engine.connect() as connection:
        holder = (await connection.execute(text("SELECT holder FROM leases WHERE name = 'source:pb'"))).scalar()
    return None if holder is None else int(holder.split(":")[1])


async def deadlocks(engine: AsyncEngine) -> int:
    asked = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    async with engine.connect() as connection:
        return int((await connection.execute(asked)).scalar_one())


async def start_four(started: Bridges, ports: list[int]) -> tuple[list[BridgeProcess], list[BridgeProcess]]:
    webs = [started.start("web", port=port) for port in ports]
    workers = [started.start("worker") for _ in range(2)]
    for process in [*webs, *workers]:
        await process.ready()
    return webs, workers


async def flow(around: Stage, webhooks: int) -> None:
    """Return when both web processes have taken in their part of so many webhooks."""
    carrier = around.carrier
    await eventually(
        lambda: len(carrier.accepted_by) == 2 and min(carrier.accepted_by.values()) >= webhooks / 3
        and len(carrier.accepted) >= webhooks,
        state=lambda: (carrier.accepted_by, carrier.refused, carrier.lost),
    )  # fmt: skip


async def test_two_webs_and_two_workers_keep_one_log_and_survive_the_death_of_the_one_that_reads(
    engine: AsyncEngine, database_url: str, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    ports = free_ports(2)
    consumers = {"ledger": 0.02, "audit": 0.0}
    async with stage(*ports, seed=3, rate=0.0, consumers=consumers, to_all_rate=0.3) as around:
        config = write_config(tmp_path, venue=around.venue.port, destinations=around.destinations)
        with bridges(tmp_path, config, database_url=database_url) as started:
            _, workers = await start_four(started, ports)
            await around.venue.told("rate", events_per_s=RATE_PER_S)
            await flow(around, WEBHOOKS)
            await around.settle(engine, await around.calm(), within_s=20)
            assert around.carrier.refused == {}

            holding = await holder_pid(engine)
            [victim] = [worker for worker in workers if worker.pid == holding]
            victim.kill()
            [heir] = [worker for worker in workers if worker is not victim]
            await around.venue.told("faults", webhook_loss_rate=1.0)
            emitted = await around.venue.told("emit", count=20)
            unheard = max(emitted["sequences"])  # type: ignore[call-overload]  # only a read can tell of it
            await eventually(lambda: is_complete(engine, unheard), within_s=TAKE_OVER_S, state=heir.tail)
            assert await holder_pid(engine) == heir.pid
            await around.settle(engine, await around.venue.truth(), within_s=20)

            for process in started.started:
                if process is not victim:
                    process.terminate()
                    assert await process.ended() == 0
            assert await deadlocks(engine) == 0
