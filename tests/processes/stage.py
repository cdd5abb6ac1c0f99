"""A venue, a carrier for its webhooks, and consumers, around bridges that are processes of their own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import SystemClock
from bridge.sim.consumer import Consumer, ConsumerConfig, Record, serve
from bridge.sim.playbatman import Faults, SimConfig
from tests.processes.bridges import KEY, SECRET
from tests.processes.carrier import Carrier, carrying
from tests.processes.judging import STREAM, check_accepted, check_log, check_prefix, entries_of, is_complete
from tests.processes.waiting import eventually
from tests.sim.serving import Running, running

FAULTS = Faults(
    others_share=0.3,
    burnt_rate=0.05,
    late_commit_rate=0.1,
    late_commit_max_s=0.3,
    webhook_loss_rate=0.2,
    webhook_duplicate_rate=0.1,
    webhook_reorder_s=0.2,
    webhook_unnumbered_rate=0.05,
    replay_lag_rate=0.1,
    replay_lag_max_s=0.2,
    short_page_rate=0.1,
    empty_page_rate=0.05,
    error_rate=0.05,
    cut_every_s=3.0,
)
"""Nothing here is later than the settling time: no event may be told late."""

CALMED = ("replay_lag_rate", "short_page_rate", "empty_page_rate", "error_rate", "cut_every_s")


@dataclass(slots=True)
class Stage:
    """Everything around the bridges."""

    venue: Running
    carrier: Carrier
    consumers: dict[str, tuple[int, Consumer]]

    @property
    def destinations(self) -> dict[str, int]:
        return {name: port for name, (port, _) in self.consumers.items()}

    def record(self, name: str) -> Record:
        return self.consumers[name][1].records.setdefault(STREAM, Record())

    async def calm(self) -> list[dict[str, Any]]:
        """Nothing more is assigned and no webhook is under way; what was assigned."""
        await self.venue.told("stop-emitting")
        await self.venue.told("faults", **dict.fromkeys(CALMED, 0.0))
        drained = await self.venue.told("drain")
        assert drained["drained"], drained
        return await self.venue.truth()

    async def settle(self, engine: AsyncEngine, truth: list[dict[str, Any]], *, within_s: float) -> None:
        """Return when all of ``truth`` is in the log and everybody has it; then hold it against every promise."""
        head = truth[-1]["sequence"]
        await eventually(lambda: is_complete(engine, head), within_s=within_s)
        entries = await entries_of(engine)
        records = {name: self.record(name) for name in self.consumers}
        await eventually(
            lambda: all(record.last == len(entries) for record in records.values()),
            within_s=within_s,
            state=lambda: (len(entries), {name: record.state() for name, record in records.items()}),
        )
        check_log(entries, truth)
        for record in records.values():
            check_prefix(record, entries)
        await check_accepted(engine, self.carrier.accepted)


@asynccontextmanager
async def consuming(*, fail_rate: float = 0.0) -> AsyncIterator[tuple[int, Consumer]]:
    made: list[Consumer] = []
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    config = ConsumerConfig(secrets=(KEY,), port=0, fail_rate=fail_rate)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve(config, clock=SystemClock(), ready=ready.set_result, made=made.append))
        port = await ready
        yield port, made[0]
        serving.cancel()


@asynccontextmanager
async def stage(
    *ports: int, seed: int, rate: float, consumers: dict[str, float], to_all_rate: float = 0.0, history: int = 0
) -> AsyncIterator[Stage]:
    """A venue whose webhooks go to bridges on ``ports``; ``consumers`` by name, with how often each one fails."""
    async with AsyncExitStack() as stack:
        carrier = await stack.enter_async_context(carrying(*ports, seed=seed, to_all_rate=to_all_rate))
        config = SimConfig(
            seed=seed,
            faults=FAULTS,
            events_per_s=rate,
            history_count=history,
            webhook_url=carrier.url,
            webhook_secret=SECRET,
        )
        made = {
            name: await stack.enter_async_context(consuming(fail_rate=fail_rate))
            for name, fail_rate in consumers.items()
        }
        venue = await stack.enter_async_context(running(config))
        yield Stage(venue, carrier, made)
