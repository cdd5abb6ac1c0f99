"""The promises for streams that the bridge numbers, held against a venue that lies with a seed."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.channel import Channel
from bridge.core.event import Kind
from bridge.core.timeline import micros
from bridge.follow import timed
from bridge.follow.keeping import Keeper
from bridge.follow.limits import FollowLimits
from bridge.follow.mending import Mender
from bridge.follow.twins import Twins
from bridge.sources.loud import Loud
from tests.laws import market
from tests.laws.market import KEYED, LIMITS, TWINS, UNLISTED, Lies, Market
from tests.laws.test_promises import SEEDS

pytestmark = pytest.mark.anyio

SWITCH_SEEDS_MAX = 12


async def live(world: Market) -> None:
    """Two minutes of faults and kills, then calm; every promise is held on the way."""
    await world.begin()
    await world.run(5)
    for _ in range(6):
        await world.run(20)
        await world.check()
        if world.dice.random() < 0.3:
            await world.begin()
    await world.calm()
    await world.check()
    await world.check_whole()


@pytest.mark.parametrize("channel", [KEYED, TWINS, UNLISTED], ids=["keyed", "twins", "unlisted"])
@pytest.mark.parametrize("seed", SEEDS)
async def test_what_happened_is_told_once_in_order_or_told_as_missing(
    engine: AsyncEngine, seed: int, channel: Channel
) -> None:
    await live(Market(engine, seed=seed, lies=Lies.draw(Random(seed)), channel=channel))


@pytest.mark.parametrize("seed", SEEDS)
async def test_with_lists_that_reach_back_nothing_is_missing_and_the_faults_do_not_show(
    engine: AsyncEngine, seed: int
) -> None:
    lies = replace(Lies.draw(Random(seed)), reach_s=10_000.0, cut_rate=0.05)
    world = Market(engine, seed=seed, lies=lies, channel=KEYED)
    await live(world)
    entries = await world.entries()
    assert {entry.kind for entry in entries} <= {Kind.EVENT}
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    told = [entry.event_id for entry in entries]
    first = next(index for index, one in enumerate(world.assigned) if one.content == told[0])
    expected = sorted(world.assigned[first:], key=lambda one: (one.at, one.content))
    assert told == [one.content for one in expected][: len(told)]


async def test_our_own_clock_changes_nothing(engine: AsyncEngine) -> None:
    """The same venue, and a wall clock that is an hour off."""
    world = Market(engine, seed=3, lies=Lies(cut_rate=0.03), channel=KEYED, shift_s=-3600)
    await live(world)


@pytest.mark.parametrize("channel", [KEYED, TWINS], ids=["keyed", "twins"])
async def test_a_hole_that_is_longer_than_an_answer_is_healed_from_several(
    engine: AsyncEngine, channel: Channel
) -> None:
    lies = Lies(rate_per_s=15, cut_rate=0.03, rows_max=80)
    world = Market(engine, seed=4, lies=lies, channel=channel)
    await live(world)
    assert Kind.GAP not in {entry.kind for entry in await world.entries()}


async def after_a_minute(engine: AsyncEngine, lies: Lies) -> Market:
    """A market that has traded for a minute, with everything told that will be without an audit."""
    world = Market(engine, seed=5, lies=lies, channel=KEYED)
    await world.begin()
    await world.run(60)
    await world.calm()
    return world


async def test_what_the_socket_swallowed_is_found_by_the_audit_and_told_late(engine: AsyncEngine) -> None:
    world = await after_a_minute(engine, Lies(cut_rate=0.0, swallow_rate=0.2))
    assert world.stream is not None
    looked = await world.mender.audit(world.stream)
    assert looked is not None
    assert looked.rows > len(looked.found_us) > 0
    assert all(looked.since_us <= at_us < looked.until_us for at_us in looked.found_us)
    await world.write()
    entries = await world.entries()
    assert Kind.LATE in {entry.kind for entry in entries}
    await world.check()


async def test_what_an_audit_found_is_on_record_with_the_entries_that_tell_it_and_not_before(
    engine: AsyncEngine,
) -> None:
    world = await after_a_minute(engine, Lies(cut_rate=0.0, swallow_rate=0.2))
    keeper = Keeper(engine, world.clock, Loud(world.clock))
    looked = None
    for is_killed in (True, False):
        assert world.stream is not None
        looked = await world.mender.audit(world.stream)
        assert looked is not None
        assert looked.found_us
        await keeper.audited(world.stream, world.clock.now(), looked)
        assert await ask(engine, "SELECT count(*) FROM audits") == await ask(engine, "SELECT count(*) FROM gaps") == 0
        assert await ask(engine, "SELECT count(*) FROM log WHERE kind = 'late'") == 0
        await (world.begin() if is_killed else world.write())
    assert looked is not None
    assert await ask(engine, "SELECT count(*) FROM log WHERE kind = 'late'") == len(looked.found_us)
    assert await ask(engine, "SELECT sum(fresh) FROM audits") == len(looked.found_us)
    healed = "FROM gaps WHERE healed_by = 'audit' AND axis = 'time' AND state = 'recovered'"
    assert await ask(engine, f"SELECT sum(found) {healed}") == len(looked.found_us)
    assert await ask(engine, f"SELECT min(first) {healed}") == min(looked.found_us) // 1000
    await world.check()


async def test_an_audit_claims_no_more_than_the_answer_reaches(engine: AsyncEngine) -> None:
    world = await after_a_minute(engine, Lies(cut_rate=0.0, error_rate=0.0, rows_max=40))
    assert world.stream is not None
    looked = await world.mender.audit(world.stream)
    assert looked is not None
    assert looked.rows == 40
    oldest = [one for one in world.assigned if micros(one.at) < looked.until_us][-40]
    assert looked.since_us == micros(oldest.at) + 1


async def test_an_audit_goes_back_to_where_the_one_before_it_ended_however_long_ago(engine: AsyncEngine) -> None:
    """The lists do not answer for a while, and then nobody runs: what was swallowed before is found all the same."""
    world = Market(engine, seed=5, lies=Lies(cut_rate=0.0, error_rate=0.0, short_rate=0.0), channel=KEYED)
    keeper = Keeper(engine, world.clock, Loud(world.clock))
    await world.begin()
    await world.run(20)
    assert world.stream is not None
    limits = replace(LIMITS, audit_window_s=5.0)
    mender = Mender(world, world.clock, world.venue_clock, limits)  # type: ignore[arg-type]  # only recall is asked
    first = await mender.audit(world.stream)
    assert first is not None
    await keeper.audited(world.stream, world.clock.now(), first)
    world.lies = replace(world.lies, swallow_rate=0.5)
    await world.run(5)
    world.lies = replace(world.lies, swallow_rate=0.0)
    await world.run(20)
    await keeper.failed(world.stream.stream_id, world.clock.now(), "HTTP 500")
    await world.begin()
    await world.run(5)
    until_us = await keeper.audited_until(world.stream.stream_id)
    looked = await mender.audit(world.stream, until_us)
    assert looked is not None
    assert first.until_us - 5_001_000 <= looked.since_us <= first.until_us - 5_000_000
    assert len(looked.found_us) > 5
    await world.write()
    assert await ask(engine, "SELECT count(*) FROM log WHERE kind = 'late'") == len(looked.found_us)
    await world.check()


async def ask(engine: AsyncEngine, statement: str) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(text(statement))).scalar_one())


def identical_prints_are_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Twins, "tell_apart", lambda _self, told: told)


def backfill_without_padding(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(market, "LIMITS", FollowLimits(pad_s=0.0, overlap_s=0.0, poll_every_s=2.0))


def one_answer_is_proof(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(timed, "confirmed", lambda **_: True)


@pytest.mark.parametrize(
    "switch, channel",
    [(identical_prints_are_one, TWINS), (backfill_without_padding, KEYED), (one_answer_is_proof, KEYED)],
)
async def test_a_known_bug_is_noticed(
    engine: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
    switch: Callable[[pytest.MonkeyPatch], None],
    channel: Channel,
) -> None:
    switch(monkeypatch)
    noticed = 0
    for seed in range(SWITCH_SEEDS_MAX):
        named = replace(channel, series=f"trade{seed}")
        lies = replace(Lies.draw(Random(seed)), twin_rate=0.3, cut_rate=0.05, reach_s=10_000.0)
        try:
            await live(Market(engine, seed=seed, lies=lies, channel=named))
        except AssertionError:
            noticed += 1
            break
    assert noticed


async def test_numbering_on_arrival_is_noticed(engine: AsyncEngine) -> None:
    """Without a settling margin, what arrives in another order is told in another order: late entries show it."""
    hasty = replace(KEYED, settle_s=0.0)
    world = Market(engine, seed=1, lies=Lies(cut_rate=0.0), channel=hasty)
    await live(world)
    assert Kind.LATE in {entry.kind for entry in await world.entries()}
