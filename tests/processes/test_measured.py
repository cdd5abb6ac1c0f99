"""What a worker counts is scraped from the web process beside it: nobody need reach the worker."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.processes.bridges import BridgeProcess, bridges, write_config
from tests.processes.stage import stage
from tests.processes.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(240)]

WITHIN_S = 60.0


async def scraped(web: BridgeProcess) -> dict[tuple[str, ...], float]:
    async with httpx.AsyncClient(trust_env=False, timeout=WITHIN_S) as http:
        text = (await http.get(f"{web.url}/metrics")).text
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_attempts_and_latencies_of_a_worker_are_scraped_from_the_web_process_and_outlive_the_worker(
    engine: AsyncEngine, database_url: str, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    [port] = free_ports(1)
    async with stage(port, seed=3, rate=50.0, consumers={"ledger": 0.2}) as around:
        config = write_config(tmp_path, venue=around.venue.port, destinations=around.destinations)
        with bridges(tmp_path, config, database_url=database_url) as started:
            web, worker = started.start("web", port=port), started.start("worker")
            await web.ready()

            async def shows_both() -> bool:
                series = await scraped(web)
                attempts = {key[2]: n for key, n in series.items() if key[0] == "bridge_delivery_attempts_total"}
                both = attempts.get("accepted", 0) > 0 and attempts.get("unknown", 0) > 0
                return both and series["bridge_source_attended", "pb"] == 1

            await eventually(shows_both, within_s=WITHIN_S, state=worker.tail)
            assert ("bridge_upstream_budget_left", "rest", "pb") in await scraped(web)
            await around.settle(engine, await around.calm(), within_s=WITHIN_S)
            worker.terminate()
            assert await worker.ended() == 0

            async def is_alone() -> bool:
                return (await scraped(web))["bridge_source_attended", "pb"] == 0

            await eventually(is_alone, within_s=WITHIN_S)
            series = await scraped(web)
            posts = around.record("ledger")
            assert series["bridge_delivery_latency_seconds_count", "ledger"] == posts.last > 0
            assert series["bridge_delivery_attempts_total", "ledger", "accepted"] >= posts.last
            assert series["bridge_delivery_latency_seconds_sum", "ledger"] > 0
            assert series["bridge_delivery_backlog", "ledger"] == 0
            assert ("bridge_upstream_budget_left", "rest", "pb") not in series, "nobody holds the source"
