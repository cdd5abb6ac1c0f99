"""A loss is what the venue no longer has, and not what one of its answers left out."""

import json
from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.event import Kind
from bridge.sim.playbatman import Faults
from bridge.sources.base import Page, Replay
from tests.laws.test_audit import LIMITS, Audited

pytestmark = pytest.mark.anyio


class WithoutTheOldest:
    """A replay that has nothing whenever it is asked for its oldest row alone."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    async def page(self, *, since: int | None, limit: int, urgent: bool = False) -> Page:
        page = await self._replay.page(since=since, limit=limit, urgent=urgent)
        return replace(page, events=(), rows=0, more=False) if limit == 1 and since is None else page


async def test_what_a_read_has_just_listed_is_not_lost_though_another_answer_is_empty(engine: AsyncEngine) -> None:
    async with Audited(engine, faults=Faults(contiguous=False)) as world:
        await world.run(20)
        await world.pause(10)
        frontier = (await world.stream()).frontier
        assert frontier is not None
        world.deaf = world.twisted.refuses = True
        world.rate_per_s = 1.0
        await world.run(LIMITS.retention_s + 60)
        world.deaf = world.twisted.refuses = False
        world.restart(WithoutTheOldest(world.replay))
        await world.pause(20)
        world.restart(world.replay)
        await world.calm()
        retained = [row.sequence for row in world.venue.assigned() if row.expires_at > world.time.now()]
        lost = [json.loads(entry.payload) for entry in await world.entries() if entry.kind is Kind.GAP]
        assert lost[0]["first"] == frontier
        assert max(gap["last"] for gap in lost) < retained[0]
        await world.check_complete()


class Empty:
    """A replay that answers, and has nothing."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    async def page(self, *, since: int | None, limit: int, urgent: bool = False) -> Page:
        page = await self._replay.page(since=since, limit=limit, urgent=urgent)
        return replace(page, events=(), rows=0, more=False)


async def missed(world: Audited) -> int:
    """The number of an event that no webhook told of, and never will."""
    world.deaf = True
    world.venue.emit(world.time.now(), 1)
    number = world.venue.counter
    await world.pause(40)  # its deliveries are given up
    world.deaf = False
    return number


async def test_an_empty_list_is_not_believed_where_what_was_heard_must_be_on_it(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        await world.run(20)
        world.twisted.refuses = True
        world.rate_per_s = 1.0
        old = await missed(world)
        await world.run(LIMITS.retention_s + 60)
        young = await missed(world)
        world.restart(Empty(world.replay))
        await world.run(60)
        stream = await world.stream()
        assert (stream.frontier, stream.lost) == (young, 1)  # by its time the other one is forgotten for certain
        world.restart(world.replay)
        await world.calm()
        kinds = {entry.sequence: entry.kind for entry in await world.entries()}
        assert (kinds[young], old in kinds, (await world.stream()).lost) == (Kind.EVENT, False, 1)
        await world.check_complete()
