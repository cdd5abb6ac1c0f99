"""Rewinding and rotating while a busy stream is delivered: nothing is passed over, and nothing is refused."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.delivery import Answered, Outcome
from bridge.core.signing import decode_secret, verify
from tests.logs import append_events
from tests.web.operators import OK, URL, Bridge, operated

LEDGER = {"name": "ledger", "url": URL}
PATIENCE_S = 15
NUDGE_S = 0.1


class Switching:
    """A consumer that knows one secret at a time and refuses what that did not sign."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.refused = 0
        self.positions: list[int] = []
        self.grown = asyncio.Condition()

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, allow_private: bool
    ) -> Outcome:
        is_ours = verify(
            [decode_secret(self.secret)],
            webhook_id=headers["webhook-id"],
            timestamp=headers["webhook-timestamp"],
            signatures=headers["webhook-signature"],
            body=body,
            now_s=float(headers["webhook-timestamp"]),
        )
        async with self.grown:
            if is_ours:
                self.positions.append(int(headers["bridge-position"]))
            else:
                self.refused += 1
            self.grown.notify_all()
        return OK if is_ours else Answered(401, None, "not signed by you", 0.001)

    async def until(self, position: int, bridge: Bridge, *, after: int = 0) -> None:
        """The position was taken behind the first ``after`` posts. Time goes on, so that whoever polls does."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.refused and position not in self.positions[after:]:
                with suppress(TimeoutError):
                    async with asyncio.timeout(NUDGE_S), self.grown:
                        await self.grown.wait()
                        continue
                bridge.clock.advance(1)
                bridge.deliverer.wake("pb.events")


async def begun(bridge: Bridge, group: asyncio.TaskGroup) -> Switching:
    """A consumer that is delivered to from now on, whatever comes."""
    made = await bridge.call("POST", "/destinations", LEDGER, status=201)
    consumer = Switching(made["secret"])
    bridge.post.beyond = consumer
    await bridge.directory.tick()
    group.create_task(bridge.deliverer.run())
    return consumer


async def test_a_rotation_under_load_is_not_felt_by_a_consumer_that_switches_half_way(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge, asyncio.TaskGroup() as group:
        await append_events(engine, "pb.events", 200)
        consumer = await begun(bridge, group)
        await consumer.until(50, bridge)
        second = (await bridge.call("POST", "/destinations/ledger/rotate", {"overlap_s": 3600}))["secret"]
        await bridge.directory.tick()
        await append_events(engine, "pb.events", 200)
        bridge.deliverer.wake("pb.events")
        await consumer.until(300, bridge)
        consumer.secret = second
        await consumer.until(400, bridge)
        bridge.clock.advance(3600)
        await bridge.directory.tick()
        await append_events(engine, "pb.events", 100)
        bridge.deliverer.wake("pb.events")
        await consumer.until(500, bridge)
        bridge.deliverer.stop()
    assert consumer.refused == 0
    assert sorted(set(consumer.positions)) == list(range(1, 501))


async def test_a_rewind_under_load_sends_everything_again_from_there_in_order(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge, asyncio.TaskGroup() as group:
        await append_events(engine, "pb.events", 400)
        consumer = await begun(bridge, group)
        await consumer.until(200, bridge)
        given = {"stream": "pb.events", "position": 101}
        await bridge.call("POST", "/destinations/ledger/rewind", given)
        bridge.deliverer.wake("pb.events")
        # The post that was under way may still be taken; behind it everything from there on comes once more.
        before = len(consumer.positions) + 1
        await consumer.until(150, bridge, after=before)
        await consumer.until(400, bridge, after=consumer.positions.index(150, before))
        bridge.deliverer.stop()
    again = len(consumer.positions) - 1 - consumer.positions[::-1].index(101)
    assert consumer.positions[again:] == list(range(101, 401)), "from there on, each once and in order"
    assert set(consumer.positions[:again]) >= set(range(1, 200))
