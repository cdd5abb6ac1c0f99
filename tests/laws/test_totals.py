"""The totals law: whatever a venue does, every number is in exactly one class, and hours, periods and days add up.

What a report says is held against a recount of the log and against what the venue knows that it assigned.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.event import Kind
from bridge.core.settle import Settled, settle
from bridge.core.span import Span
from bridge.ingest import epochs, settling
from bridge.ingest.settling import SettledStream
from bridge.report import Period, make
from bridge.report.shape import Counts, StreamReport
from bridge.sim.playbatman import Faults
from bridge.store import finish
from bridge.store.hours import values_of_hour
from tests.laws.test_promises import SEEDS
from tests.laws.world import START, STREAM, World
from tests.report.reading import whole

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
MIDNIGHT = START.replace(hour=0)
CLASSES = ("events", "void", "lost", "open_more")
ADDED = ("assigned", *CLASSES, "late", "recovered", "conflicts", "gaps", "superseded")
WAYS = ("webhook", "websocket", "replay")
SWITCH_SEEDS_MAX = 6
RETENTION_S = 900.0


def world_of(engine: AsyncEngine, seed: int, name: str = STREAM) -> World:
    """Some venues lie beyond every settling time; some of those that do not forget within a quarter of an hour."""
    faults = Faults.draw(Random(seed), lying=lies(seed))
    retention_s = RETENTION_S if seed % 3 == 0 and not lies(seed) else 86_400.0
    return World(engine, seed=seed, faults=faults, retention_s=retention_s, rate_per_s=6.0, name=name)


def lies(seed: int) -> bool:
    return seed % 4 == 1


async def live(world: World, seed: int) -> dict[int, int]:
    """Some hours of faults, with restarts in the middle of them and a numbering that begins anew; bases by epoch."""
    bases: dict[int, int] = {}
    for turn in range(6):
        await world.run(3)
        stream = await world.stream()
        if stream.base is not None:
            bases[stream.epoch] = stream.base
        if turn == 3 and seed % 4 == 2:
            world.venue.reset_counter()
        world.deaf = world.dice.random() < 0.3
        world.time.advance(world.dice.choice((1.0, 700.0, 2500.0)))
        if world.dice.random() < 0.4:
            world.restart()
    world.deaf = False
    await world.run(5)
    if lies(seed):  # what it kept back is found by the audit, once it does so no longer
        await world.calm()
        await world.pause(world.limits.audit_every_s + 5)
    stream = await world.stream()
    if stream.base is not None:
        bases[stream.epoch] = stream.base
    return bases


@dataclass
class Recount:
    """What the log and the stream's row come to, counted number by number."""

    told: set[tuple[int, int]] = field(default_factory=set)
    lost: set[tuple[int, int]] = field(default_factory=set)
    void: set[tuple[int, int]] = field(default_factory=set)
    open: set[tuple[int, int]] = field(default_factory=set)
    after_turn: set[tuple[int, int]] = field(default_factory=set)
    kinds: Counter[str] = field(default_factory=Counter)


async def recount(world: World, bases: dict[int, int]) -> Recount:
    stream, found = await world.stream(), Recount()
    heads = {stream.epoch: (stream.head, stream.frontier)}
    for entry in await world.entries():
        found.kinds[entry.kind.value] += 1
        data = json.loads(entry.payload) if entry.sequence is None else {}
        if entry.kind is Kind.EVENT and entry.sequence is not None:
            found.told.add((entry.epoch, entry.sequence))
        elif entry.sequence is not None:
            found.after_turn.add((entry.epoch, entry.sequence))
        elif entry.kind is Kind.GAP:
            found.lost |= {(entry.epoch, number) for number in range(data["first"], data["last"] + 1)}
        elif entry.kind is Kind.EPOCH:
            heads[data["sealed"]] = data["head"], data["head"] + 1
            bases[data["epoch"]] = data["base"]
    for epoch, base in bases.items():
        head, frontier = heads[epoch]
        assert frontier is not None
        passed = {(epoch, number) for number in range(base, frontier)}
        found.void |= passed - found.told - found.lost
        found.open |= {(epoch, number) for number in range(frontier, head + 1)}
    return found


async def reported(world: World, period: Period) -> StreamReport:
    async with world.engine.connect() as conn:
        [stream] = whole(await make(conn, period, now=period.until, glob=world.name)).streams
    return stream


async def check(world: World, bases: dict[int, int]) -> None:
    """The law, in its four parts."""
    both = await reported(world, Period.of(MIDNIGHT, MIDNIGHT + 2 * DAY))
    found = await recount(world, bases)
    check_classes(world, both.counts, found)
    assert sum(one.lost for one in both.gaps.lost) == both.counts.lost
    assert all(one.evidence and one.position for one in both.gaps.lost)
    check_sums(both.counts, [line.counts for line in both.hours])
    await check_hours(world, both.hours)
    days = [await reported(world, Period.of(MIDNIGHT + n * DAY, MIDNIGHT + (n + 1) * DAY)) for n in range(2)]
    check_sums(both.counts, [day.counts for day in days])
    assert days[0].ended == days[1].began
    assert [line for day in days for line in day.hours] == list(both.hours)


def check_classes(world: World, counts: Counts, found: Recount) -> None:
    """Each number once, as many as are counted; and none that the venue assigned is taken for never given out."""
    classes = (found.told, found.void, found.lost, found.open)
    assert (counts.events, counts.void, counts.lost, counts.open_more) == tuple(map(len, classes))
    assert counts.assigned == len(set.union(*classes)) == sum(map(len, classes))
    kinds = (counts.late, counts.recovered, counts.conflicts)
    assert kinds == tuple(found.kinds[kind] for kind in ("late", "recovered", "conflict"))
    assigned = {(row.epoch, row.sequence) for row in world.venue.assigned()}
    assert assigned & found.void <= found.after_turn, "what was given out is void, and was not told after its turn"
    assert found.told <= assigned


def check_sums(whole_: Counts, parts: list[Counts]) -> None:
    for name in ADDED:
        assert sum(getattr(part, name) for part in parts) == getattr(whole_, name), name
    for part in (whole_, *parts):
        assert part.assigned == sum(getattr(part, name) for name in CLASSES)
    for way in WAYS:
        heard = [getattr(part, way) for part in (whole_, *parts)]
        assert all(one.told == one.first + one.again for one in heard)
        assert heard[0].told == sum(one.told for one in heard[1:])


async def check_hours(world: World, lines: Any) -> None:
    """Each hour counts what its transactions appended, and ends where the log then stood."""
    statement = text("""
        SELECT date_trunc('hour', appended_at, 'UTC'), kind, count(*), max(l.position)
        FROM log l JOIN streams s ON s.id = l.stream_id WHERE s.name = :name GROUP BY 1, 2
    """)
    told: dict[Any, Counter[str]] = {}
    ends: Counter[Any] = Counter()
    async with world.engine.connect() as conn:
        for hour, kind, count, last in await conn.execute(statement, {"name": world.name}):
            told.setdefault(hour, Counter())[kind] = count
            ends[hour] = max(ends[hour], last)
    chains = {entry.position: entry.chain.hex() for entry in await world.entries()}
    for line in lines:
        kinds, counts = told.pop(line.hour, Counter[str]()), line.counts
        assert (counts.events, counts.gaps, counts.late) == (kinds["event"], kinds["gap"], kinds["late"])
        assert (counts.recovered, counts.conflicts) == (kinds["recovered"], kinds["conflict"])
        if ends[line.hour]:
            assert (line.standing.position, line.standing.chain) == (ends[line.hour], chains[ends[line.hour]])
    assert told == {}, "hours of the log that the report does not know"


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_number_is_in_one_class_and_hours_periods_and_days_add_up(engine: AsyncEngine, seed: int) -> None:
    async with world_of(engine, seed) as world:
        await check(world, await live(world, seed))


Switch = Callable[[pytest.MonkeyPatch], None]


def take_a_loss_for_void(patch: pytest.MonkeyPatch) -> None:
    """Pass what is lost in silence: the sums still add up, and only the venue knows better."""

    def silent(frontier: int, **known: Any) -> Settled:
        result = settle(frontier, **known)
        return replace(result, steps=tuple(step for step in result.steps if not isinstance(step, Span)))

    patch.setattr(settling, "settle", silent)


def count_late_events_as_told_in_turn(patch: pytest.MonkeyPatch) -> None:
    def counted(now: Any, *, kinds: Any, **rest: Any) -> dict[str, Any]:
        merged = Counter({**kinds, Kind.EVENT: kinds[Kind.EVENT] + kinds[Kind.LATE]})
        return values_of_hour(now, kinds=merged, **rest)

    patch.setattr(finish, "values_of_hour", counted)


def count_by_an_hour_that_begins_at_half(patch: pytest.MonkeyPatch) -> None:
    def counted(now: Any, **rest: Any) -> dict[str, Any]:
        return values_of_hour(now + timedelta(minutes=30), **rest)

    patch.setattr(finish, "values_of_hour", counted)


def forget_what_a_sealed_epoch_had_open(patch: pytest.MonkeyPatch) -> None:
    async def nothing(_connection: Any, stream: Any, **_: Any) -> SettledStream:
        return SettledStream(stream, unsettled=False)

    patch.setattr(epochs, "settle_stream", nothing)


SWITCHES = [
    take_a_loss_for_void,
    count_late_events_as_told_in_turn,
    count_by_an_hour_that_begins_at_half,
    forget_what_a_sealed_epoch_had_open,
]


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch.__name__)
async def test_the_law_notices(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, switch: Switch) -> None:
    switch(monkeypatch)
    for seed in range(SWITCH_SEEDS_MAX):
        async with world_of(engine, seed, f"switched-{seed}.events") as world:
            try:
                await check(world, await live(world, seed))
            except AssertionError:
                return
    pytest.fail(f"{switch.__name__} went unnoticed over {SWITCH_SEEDS_MAX} seeds")
