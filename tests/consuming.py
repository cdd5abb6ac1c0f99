"""The consumer on a real loopback socket for as long as a block lasts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge.clock import Clock
from bridge.core.destination import DestinationPolicy
from bridge.sim.consumer import Consumer, ConsumerConfig, Record, serve

KEY = bytes(range(32))
PATIENCE_S = 20


@dataclass(frozen=True, slots=True)
class Running:
    """A consumer that answers on ``port``."""

    consumer: Consumer
    port: int

    def policy(self, name: str = "ledger", **chosen: Any) -> DestinationPolicy:
        """A destination here; ``chosen`` are fields of its policy."""
        url = f"http://127.0.0.1:{self.port}/hooks/{name}"
        usual = DestinationPolicy(
            name, url, (KEY,), allow_private=True, timeout_s=5, retry_first_s=8, retry_max_s=60
        )  # fmt: skip
        return replace(usual, **chosen)

    def record(self, stream: str = "pb.events") -> Record:
        return self.consumer.records.setdefault(stream, Record())


@asynccontextmanager
async def consuming(clock: Clock, *, keep: Path | None = None, fail_rate: float = 0.0) -> AsyncIterator[Running]:
    made: list[Consumer] = []
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    config = ConsumerConfig(secrets=(KEY,), port=0, keep=keep, fail_rate=fail_rate)
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        serving = group.create_task(serve(config, clock=clock, ready=ready.set_result, made=made.append))
        try:
            yield Running(port=await ready, consumer=made[0])
        finally:
            serving.cancel()
