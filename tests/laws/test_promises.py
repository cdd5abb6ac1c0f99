"""The promises, held against a venue that lies with a seed. BRIDGE_SEEDS asks for more of them."""

import json
import os
from random import Random

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.event import Kind, LogEntry
from bridge.reconcile import ReplayLimits
from bridge.sim.playbatman import Faults
from tests.laws.world import STEP_S, World

pytestmark = pytest.mark.anyio

SEEDS = range(int(os.environ.get("BRIDGE_SEEDS", "12")))


async def live(world: World, *, lying: bool = False) -> None:
    """Half a minute of faults, restarts and deaf spells, then calm; every promise is held on the way.

    A venue that lies beyond every settling time may make a void of an event; the audit finds it in the end.
    """
    for _ in range(8):
        await world.run(3)
        await world.check_safety()
        assert lying or await world.untold() == []
        if world.dice.random() < 0.2:
            world.restart()
        world.deaf = world.dice.random() < 0.2
    world.deaf = False
    await world.calm()
    if lying:
        await world.pause(world.limits.audit_every_s + 5)
    await world.check_safety()
    await world.check_complete()


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_the_venue_assigned_is_told_once_in_order_and_without_a_skip(
    engine: AsyncEngine, seed: int
) -> None:
    async with World(engine, seed=seed, faults=Faults.draw(Random(seed))) as world:
        await live(world)
        await world.check_nothing_late()


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_venue_that_lies_beyond_every_settling_time_still_loses_nothing(
    engine: AsyncEngine, seed: int
) -> None:
    async with World(engine, seed=seed, faults=Faults.draw(Random(seed), lying=True)) as world:
        await live(world, lying=True)


def content(entries: list[LogEntry]) -> list[tuple[object, ...]]:
    """A log less its times and transports."""
    return [(e.position, e.kind, e.epoch, e.sequence, e.digest, e.chain) for e in entries]


@pytest.mark.parametrize("seed", SEEDS[:4])
async def test_the_log_is_a_function_of_the_events_whatever_way_they_came(engine: AsyncEngine, seed: int) -> None:
    """The same venue heard by webhooks alone, by replay alone, late and doubled, or with a shifted clock."""
    ways = [
        Faults(burnt_rate=0.2),
        Faults(burnt_rate=0.2, webhook_loss_rate=1.0),
        Faults(burnt_rate=0.2, webhook_duplicate_rate=0.5, webhook_reorder_s=4.0, webhook_loss_rate=0.3),
        Faults(burnt_rate=0.2, replay_lag_rate=0.5, replay_lag_max_s=0.4, short_page_rate=0.5),
    ]
    logs = []
    for turn, faults in enumerate(ways):
        shift_s = 0.0 if turn % 2 else 7200.0
        async with World(engine, seed=seed, faults=faults, name=f"way{turn}.events", shift_s=shift_s) as world:
            await world.run(15)
            await world.calm()
            logs.append(content(await world.entries()))
    assert len(logs[0]) > 60
    assert all(other == logs[0] for other in logs)


async def test_what_expired_unheard_is_told_as_lost_in_place(engine: AsyncEngine) -> None:
    async with World(engine, seed=5, faults=Faults(contiguous=True), retention_s=60.0) as world:
        await world.run(5)
        world.deaf = True
        for _ in range(round(80 / STEP_S)):
            world.time.advance(STEP_S)
            world.venue.emit(world.time.now(), 1 if world.dice.random() < 0.5 else 0)
            await world.hear()
        world.deaf = False
        world.restart()
        await world.run(5)
        await world.calm()
        await world.check_safety()
        await world.check_complete()
        entries = await world.entries()
        [gap] = [entry for entry in entries if entry.kind is Kind.GAP]
        lost = json.loads(gap.payload)
        before, after = entries[gap.position - 2], entries[gap.position]
        assert (before.sequence, after.sequence) == (lost["first"] - 1, lost["last"] + 1)
        assert lost["evidence"]["oldest_retained"] > lost["last"]
        assert (await world.gap_counts())["lost"] == 1


async def test_a_quiet_day_is_not_taken_for_a_loss(engine: AsyncEngine) -> None:
    """The last event expires upstream while nothing happens: what follows it later is still proven."""
    async with World(engine, seed=6, faults=Faults(webhook_loss_rate=0.5), retention_s=300.0) as world:
        await world.run(5)
        world.rate_per_s = 0.0
        await world.run(400)
        world.rate_per_s = 8.0
        await world.run(5)
        await world.calm()
        await world.check_safety()
        await world.check_complete()
        assert [entry for entry in await world.entries() if entry.kind is Kind.GAP] == []


async def test_on_an_empty_venue_a_lost_first_webhook_is_found(engine: AsyncEngine) -> None:
    async with World(engine, seed=7, faults=Faults(webhook_loss_rate=1.0)) as world:
        world.rate_per_s = 0.0
        await world.run(2)
        world.venue.emit(world.time.now(), 1)
        world.venue.faults = Faults()
        await world.run(1)
        world.venue.emit(world.time.now(), 3)
        await world.calm()
        await world.check_complete()
        told = [entry.sequence for entry in await world.entries()]
        assert told == [row.sequence for row in world.venue.assigned()]


async def test_numbers_that_start_again_open_a_new_epoch(engine: AsyncEngine) -> None:
    async with World(engine, seed=8, faults=Faults(webhook_loss_rate=0.3)) as world:
        await world.run(20)
        world.venue.reset_counter()
        await world.run(20)
        await world.calm()
        await world.check_safety()
        await world.check_complete()
        stream, entries = await world.stream(), await world.entries()
        assert stream.epoch == 2
        assert [entry.epoch for entry in entries if entry.kind is Kind.EPOCH] == [2]
        told = {(entry.epoch, entry.sequence) for entry in entries}
        assert {(row.epoch, row.sequence) for row in world.venue.assigned()} - told == set()


async def test_conflicting_content_is_told_and_is_no_new_epoch(engine: AsyncEngine) -> None:
    async with World(engine, seed=9, faults=Faults(webhook_conflict_rate=0.3)) as world:
        await world.run(15)
        await world.calm()
        await world.check_safety()
        await world.check_complete()
        assert (await world.stream()).epoch == 1
        conflicts = {json.loads(e.payload)["sequence"] for e in await world.entries() if e.kind is Kind.CONFLICT}
        assert conflicts == {number for _, number in world.venue.conflicted}


@pytest.mark.parametrize("start", ["now", 40])
async def test_a_stream_begins_where_the_operator_said(engine: AsyncEngine, start: str | int) -> None:
    limits = ReplayLimits(every_s=5.0, page_max=50, overlap=20, start=start)
    async with World(engine, seed=10, faults=Faults(webhook_loss_rate=0.5), limits=limits) as world:
        world.venue.emit(world.time.now(), 30)
        head = world.venue.assigned()[-1].sequence
        await world.run(10)
        await world.calm()
        await world.check_safety()
        base = (await world.stream()).base
        assert base is not None
        assert base > head if start == "now" else base == 40
        told = [entry.sequence for entry in await world.entries()]
        assert told == [row.sequence for row in world.venue.assigned() if row.sequence >= base]
