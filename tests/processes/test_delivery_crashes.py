"""A worker killed in the midst of batches, or of posts side by side: each key keeps its order, nothing is lost."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.logs import append_events
from tests.posting import OK, Peer, Visit, peering
from tests.processes.bridges import bridges, write_config
from tests.processes.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(120)]

EVENTS = 4_000
KEYS = tuple(f"market-{n}" for n in range(30))
WITHIN_S = 60.0
KILLS = 2
WAYS = {
    "in batches": "batch_max = 20",
    "by key": 'order = "key"\nin_flight_max = 16',
    "by key in batches": 'order = "key"\nin_flight_max = 16\nbatch_max = 4',
}


class Receiver:
    """Takes everything, each post after a moment, and remembers the order in which it answered."""

    def __init__(self, keyed: bool) -> None:
        self.taken: list[tuple[str, int]] = []
        self.positions: set[int] = set()
        self.keyed = keyed
        self.first_of: dict[str, int] = {}
        self.faults: list[str] = []

    async def talk(self, visit: Visit) -> None:
        while True:
            request = await visit.request()
            told = json.loads(request.partition(b"\r\n\r\n")[2])
            entries = told["entries"] if told["type"] == "bridge.batch" else [told]
            for entry in entries:
                self.take(entry["key"] if self.keyed else "", entry["position"])
            await visit.say(OK)

    def take(self, key: str, position: int) -> None:
        """A position that is new must follow everything of its key that was taken before."""
        if position not in self.positions and position < self.first_of.get(key, 0):
            self.faults.append(f"{position} of {key} came after {self.first_of[key]}")
        self.first_of[key] = max(position, self.first_of.get(key, 0))
        self.positions.add(position)
        self.taken.append((key, position))


@pytest.mark.parametrize("way", WAYS)
async def test_kills_in_mid_flight_lose_nothing_and_turn_no_order_round(
    way: str, engine: AsyncEngine, database_url: str, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    await append_events(engine, "pb.events", EVENTS, keys=KEYS)
    receiver, dice = Receiver("by key" in way), Random(f"kills {way}")
    async with peering(receiver.talk) as peer:
        [nobody] = free_ports(1)
        config = write_config(tmp_path, venue=nobody, destinations={"ledger": peer.port})
        config.write_text(config.read_text() + WAYS[way])
        with bridges(tmp_path, config, database_url=database_url) as started:
            for _ in range(KILLS):
                worker = started.start("worker")
                upto = len(receiver.positions) + dice.randint(200, EVENTS // 4)
                await eventually(lambda: len(receiver.positions) >= upto, within_s=WITHIN_S, state=worker.tail)  # noqa: B023 - looked at once
                worker.kill()
                assert len(receiver.positions) < EVENTS
            worker = started.start("worker")
            await eventually(lambda: len(receiver.positions) == EVENTS, within_s=WITHIN_S, state=worker.tail)
            worker.terminate()
            assert await worker.ended() == 0
    assert receiver.positions == set(range(1, EVENTS + 1))
    assert receiver.faults == []
    assert_side_by_side(peer, by_key=receiver.keyed)
    async with engine.connect() as conn:
        counted = text("SELECT sum(delivered)::int, max(position)::int FROM delivery_hours")
        assert (await conn.execute(counted)).one() == (EVENTS, EVENTS), "counted where it is settled, or not at all"


def assert_side_by_side(peer: Peer, *, by_key: bool) -> None:
    """By key there was more than one connection to each worker; else never."""
    assert (peer.connections > KILLS + 1) == by_key
