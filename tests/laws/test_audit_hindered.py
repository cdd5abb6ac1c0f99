"""The audit where it is hindered: lists that end early, calls that fail halfway, a kill, and two at once."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.errors import BridgeError, VenueError
from bridge.reconcile.audit import Audit
from bridge.sources.base import Page, Replay
from bridge.store import audits
from bridge.store.comparing import Listed
from tests.laws.test_audit import LIMITS, Audited

pytestmark = pytest.mark.anyio


class Killed(Exception):
    """In place of a signal that nobody can catch."""


def killed_after_the_commit(_listed: Sequence[Listed]) -> None:
    raise Killed


class Mute:
    """A replay that does not say whether there is more."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    async def page(self, *, since: int | None, limit: int, urgent: bool = False) -> Page:
        return replace(await self._replay.page(since=since, limit=limit, urgent=urgent), more=None)


class RefusingTheFirst:
    """A replay that never answers the question an audit begins with, and every other one."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    async def page(self, *, since: int | None, limit: int, urgent: bool = False) -> Page:
        if since is None and limit == LIMITS.page_max:
            raise VenueError("HTTP 500")
        return await self._replay.page(since=since, limit=limit, urgent=urgent)


class Unreadable:
    """A replay of which no row can be read."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    async def page(self, *, since: int | None, limit: int, urgent: bool = False) -> Page:
        page = await self._replay.page(since=since, limit=limit, urgent=urgent)
        return replace(page, events=(), malformed=page.rows)


def audit_of(world: Audited, why: audits.Why = "sweep") -> Audit:
    """Another process that audits the world's stream."""
    return Audit(world.engine, world.door, world.clock, world.twisted, LIMITS, why=why)


async def numbers(world: Audited) -> list[int]:
    return [entry.sequence for entry in await world.entries() if entry.sequence is not None]


async def kept(world: Audited) -> list[audits.Audit]:
    """Every pass on record, the oldest first."""
    stream = await world.stream()
    async with world.engine.connect() as conn:
        return (await audits.listing(conn, stream_id=stream.id, limit=100))[::-1]


async def abandon(world: Audited) -> None:
    """Whatever pass is under way is over, and none is due for a while."""
    await world.audit()
    async with world.engine.begin() as conn:
        await conn.execute(text("UPDATE audits SET ended_at = now() WHERE ended_at IS NULL"))
        await conn.execute(text("DELETE FROM audits"))


async def test_what_we_hold_behind_the_end_of_the_list_is_unlisted(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        await world.run(20)
        await world.pause(10)
        held = await numbers(world)
        world.twisted.hidden |= set(held[70:])
        done = await world.audit()
        assert (done.last, done.unlisted) == (held[69], len(held) - 70)
        assert done.named == {"unlisted": held[70:170]}


async def test_a_list_that_is_empty_is_no_list_that_agrees(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        await world.run(5)
        await world.pause(10)
        held = await numbers(world)
        world.twisted.hidden |= set(held)
        done = await world.audit()
        assert (done.rows, done.unlisted, done.named) == (0, len(held), {"unlisted": held})


async def test_one_empty_answer_does_not_end_a_pass_before_its_time(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        await world.run(20)
        await abandon(world)
        await world.pause(10)
        audit, held = audit_of(world), await numbers(world)
        await audit.step(await world.stream())
        world.twisted.hidden_once |= set(held[50:100])
        while (done := await audit.step(await world.stream())).ended_at is None:
            pass
        assert (done.rows, done.differs) == (len(held), False)


async def test_what_a_page_brought_is_counted_though_the_second_look_fails(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        number = await world.a_void_that_is_none()
        await abandon(world)
        await world.pause(10)
        audit = audit_of(world)
        world.twisted.hidden = {(await numbers(world))[10]}
        world.twisted.refuses_from = len(world.twisted.asked) + 2
        with pytest.raises(VenueError):
            await audit.step(await world.stream())
        world.twisted.refuses_from = None
        while (done := await audit.step(await world.stream())).ended_at is None:
            pass
        assert (done.fresh, done.unlisted, done.named["fresh"]) == (1, 1, [number])
        assert [gap.found for gap in await world.gaps() if gap.healed_by == "audit"] == [1]


async def test_what_a_page_brought_is_counted_though_a_kill_follows_its_commit(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        number = await world.a_void_that_is_none()
        await abandon(world)
        world.twisted.hidden.clear()
        dying = Audit(world.engine, world.door, world.clock, world.twisted, LIMITS, on_page=killed_after_the_commit)
        with pytest.raises(Killed):
            await dying.step(await world.stream())
        [left] = await kept(world)
        assert (left.ended_at, left.pages) == (None, 0)
        audit = audit_of(world)
        while (done := await audit.step(await world.stream())).ended_at is None:
            pass
        assert (done.id, done.fresh, done.named) == (left.id, 1, {"fresh": [number]})
        [again] = await kept(world)
        assert (again.fresh, again.named, again.ended_at) == (1, {"fresh": [number]}, done.ended_at)


async def test_who_had_the_source_before_does_not_go_on_with_a_pass_that_another_has_ended(
    engine: AsyncEngine,
) -> None:
    async with Audited(engine) as world:
        await world.run(20)
        await abandon(world)
        mine, theirs = audit_of(world), audit_of(world)
        await mine.step(await world.stream())
        while (done := await theirs.step(await world.stream())).ended_at is None:
            pass
        begun = await theirs.step(await world.stream())
        gone_on = await mine.step(await world.stream())
        assert done.id != begun.id == gone_on.id
        assert (begun.pages, gone_on.pages) == (1, 2)


async def test_of_two_who_ask_at_once_the_first_is_told_that_it_was_overtaken(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        await world.run(20)
        first, second = audit_of(world, "asked"), audit_of(world, "asked")
        await first.step(await world.stream())
        await second.step(await world.stream())
        with pytest.raises(BridgeError, match="another comparison"):
            await first.step(await world.stream())
        while (done := await second.step(await world.stream())).ended_at is None:
            pass
        assert (done.error, done.rows) == (None, len(world.venue.assigned()))


async def test_a_pass_ends_though_the_venue_does_not_say_so_and_events_keep_coming(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        world.restart(Mute(world.replay))
        await world.run(4 * LIMITS.audit_every_s)
        assert len(await world.audits()) >= 3


async def test_a_page_that_cannot_be_had_holds_up_no_gap(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        await world.run(10)
        world.limits = replace(LIMITS, every_s=600.0)  # what else is read would say that the venue answers
        world.restart(RefusingTheFirst(world.replay))
        await world.run(LIMITS.audit_every_s + 5)
        assert (await kept(world))[-1].error == "HTTP 500"
        for _ in range(8):
            world.venue.emit(world.time.now(), 1)
            world.deaf = True
            await world.step(emitting=False)
            await world.pause(40)  # its deliveries are given up
            world.deaf = False
            before, number = world.time.now(), world.venue.counter
            await world.run(0.5)
            while (await world.stream()).frontier <= number:  # type: ignore[operator]  # it has begun
                await world.step(emitting=False)
            assert (world.time.now() - before).total_seconds() < 3.0


async def test_a_list_of_which_no_row_can_be_read_ends_the_pass_as_one_that_failed(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        await world.run(10)
        await abandon(world)
        audit = Audit(world.engine, world.door, world.clock, Unreadable(world.replay), LIMITS)
        done = await audit.step(await world.stream())
        assert done.ended_at is not None
        assert done.error is not None
        assert (await kept(world))[-1].error == done.error
