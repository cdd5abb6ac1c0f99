"""Callbacks of payments, taken by a web process alone, survive its death and reach who is to have them."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import SystemClock
from bridge.sim.cryptomus import PAYMENT_KEY, callback
from tests.consuming import consuming
from tests.processes.bridges import BridgeProcess, bridges
from tests.processes.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(120)]

CONFIG = """
[sources.cm]
venue = "cryptomus"

[sources.cm.webhook]
secret = "{key}"

[destinations.ledger]
url = "http://127.0.0.1:{port}/hooks/ledger"
secret = "${{LEDGER_SECRET}}"
streams = ["cm.*"]
allow_private = true
"""
NAME = "cm.payments"
PAYMENTS = 400


def of(number: int) -> bytes:
    return callback({"type": "payment", "uuid": f"u-{number}", "status": "paid", "is_final": True})


async def post(bridge: BridgeProcess, numbers: range, taken: list[int]) -> None:
    """Tell each of them until one is not answered; ``taken`` holds what was."""
    async with httpx.AsyncClient(base_url=bridge.url, trust_env=False) as http:
        with suppress(httpx.TransportError):
            for number in numbers:
                answer = await http.post("/in/cm", content=of(number))
                assert answer.status_code == 202, bridge.tail()
                taken.append(number)


STORED = text("""
SELECT e.key FROM events e JOIN streams s ON s.id = e.stream_id WHERE s.name = 'cm.payments' ORDER BY e.sequence
""")


async def stored(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        return list((await connection.execute(STORED)).scalars())


async def test_what_a_web_process_answered_is_there_after_its_death_and_is_delivered_once(
    engine: AsyncEngine, database_url: str, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    ports = free_ports(2)
    async with consuming(SystemClock()) as consumer:
        config = tmp_path / "bridge.toml"
        config.write_text(CONFIG.format(key=PAYMENT_KEY, port=consumer.port))
        with bridges(tmp_path, config, database_url=database_url) as started:
            first, second = (started.start("web", port=port) for port in ports)
            await first.ready()
            await second.ready()
            taken: list[int] = []
            async with asyncio.TaskGroup() as senders:
                for lot in range(4):
                    senders.create_task(post(first, range(lot, PAYMENTS, 4), taken))
                await eventually(lambda: len(taken) >= 40)
                first.kill()
            assert len(taken) < PAYMENTS, "the kill met no request under way"
            assert set(await stored(engine)) >= {f"u-{number}" for number in taken}
            # The venue knows nothing of answers that were lost: it tells all of them again.
            again: list[int] = []
            await post(second, range(PAYMENTS), again)
            keys = await stored(engine)
            assert len(again) == len(keys) == len(set(keys)) == PAYMENTS
            worker = started.start("worker")
            await worker.ready()
            record = consumer.record(NAME)
            await eventually(lambda: record.last == PAYMENTS, state=record.state)
            assert (record.duplicates, record.missing, record.chain_failures) == (0, 0, 0)
