"""The audit: what it compares, what it finds, what becomes of that, and which reads are kept of a gap."""

from dataclasses import replace
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.errors import VenueError
from bridge.core.event import Event, Kind, digest_of
from bridge.reconcile import ReplayLimits
from bridge.sim.playbatman import Faults
from bridge.sources.base import Page, Replay
from bridge.store import audits, gaps, reads
from bridge.store.audits import Audit
from bridge.store.gaps import Gap
from bridge.store.reads import Read
from tests.laws.test_promises import SEEDS
from tests.laws.world import World

pytestmark = pytest.mark.anyio

LIMITS = ReplayLimits(
    every_s=5.0, audit_every_s=20.0, page_max=50, overlap=20, retention_s=600.0, margin_s=12.0, settle_max_s=8.0
)


class Twisted:
    """The venue's replay with rows left out, changed, or refused on the way: what an honest front would never do."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self.hidden: set[int] = set()
        self.hidden_once: set[int] = set()
        self.changed: set[int] = set()
        self.refuses = False
        self.refuses_from: int | None = None
        self.asked: list[int | None] = []

    async def page(self, *, since: int | None, limit: int, urgent: bool = False) -> Page:
        self.asked.append(since)
        if self.refuses or (self.refuses_from is not None and len(self.asked) >= self.refuses_from):
            raise VenueError("HTTP 503")
        page = await self._replay.page(since=since, limit=limit, urgent=urgent)
        numbers = {event.sequence for event in page.events if event.sequence is not None}
        hidden = self.hidden | self.hidden_once
        self.hidden_once -= numbers
        told = tuple(self._told(event) for event in page.events if event.sequence not in hidden)
        return replace(page, events=told, rows=len(told))

    def _told(self, event: Event) -> Event:
        if event.sequence not in self.changed:
            return event
        payload = b'{"another":"story"}'
        return event._replace(payload=payload, digest=digest_of(payload))


class Audited(World):
    """A world whose replay can be twisted, with what its tables say of audits and gaps."""

    def __init__(self, engine: AsyncEngine, *, seed: int = 3, faults: Faults | None = None) -> None:
        super().__init__(engine, seed=seed, faults=faults or Faults(contiguous=True), limits=LIMITS, retention_s=600)
        self.twisted = Twisted(self.replay)
        self.restart(self.twisted)

    async def audits(self) -> list[Audit]:
        """Those that have ended, the newest first."""
        stream = await self.stream()
        async with self.engine.connect() as conn:
            found = await audits.listing(conn, stream_id=stream.id, limit=1000)
        return [one for one in found if one.ended_at is not None]

    async def audit(self) -> Audit:
        """Lets time pass until the next pass has ended."""
        before = len(await self.audits())
        for _ in range(400):
            await self.step(emitting=False)
            found = await self.audits()
            if len(found) > before:
                return found[0]
        raise AssertionError("no audit ended")

    async def gaps(self) -> list[Gap]:
        stream = await self.stream()
        async with self.engine.connect() as conn:
            return await gaps.listing(conn, stream_id=stream.id, limit=1000)

    async def reads(self, gap: Gap) -> list[Read]:
        async with self.engine.connect() as conn:
            return await reads.of_gap(conn, gap_id=gap.id, limit=1000)

    async def count(self, statement: str) -> int:
        async with self.engine.connect() as conn:
            return int((await conn.execute(text(statement))).scalar_one())

    async def a_void_that_is_none(self) -> int:
        """The number of an event that neither way of hearing told of, until it was proven not to be there."""
        self.deaf = True
        await self.step(emitting=False)
        self.venue.emit(self.time.now(), 1)
        number = self.venue.counter
        self.twisted.hidden.add(number)
        await self.pause(40)  # its deliveries are given up
        self.deaf = False
        await self.run(5)
        await self.pause(15)
        assert ((await self.stream()).frontier or 0) > number
        return number


async def test_where_both_sides_hold_the_same_a_pass_counts_its_rows_and_finds_nothing(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        await world.run(20)
        done = await world.audit()
        assert done.rows == len(world.venue.assigned())
        assert (done.first, done.last) == (world.venue.assigned()[0].sequence, world.venue.assigned()[-1].sequence)
        assert (done.differs, done.named, done.error, done.pages >= 3) == (False, {}, None, True)
        assert done.ended_at is not None
        assert done.ended_at >= done.began_at
        assert await world.gaps() == []


async def test_what_was_proven_void_and_turns_up_is_healed_told_late_and_put_down_as_a_gap(
    engine: AsyncEngine,
) -> None:
    async with Audited(engine) as world:
        await world.run(5)
        number = await world.a_void_that_is_none()
        before = len(await world.gaps())
        world.twisted.hidden.clear()
        done = await world.audit()
        assert (done.fresh, done.conflicts, done.unlisted, done.named) == (1, 0, 0, {"fresh": [number]})
        assert [(e.kind, e.sequence) for e in await world.entries()][-1] == (Kind.LATE, number)
        healed = (await world.gaps())[before:]
        assert [(g.first, g.last, g.state, g.found, g.lost, g.healed_by, g.reads) for g in healed] == [
            (number, number, "recovered", 1, 0, "audit", 1)
        ]
        assert healed[0].opened_at == healed[0].closed_at
        assert await world.count("SELECT count(*) FROM evidence WHERE refuted_at IS NOT NULL") >= 1
        assert (await world.stream()).gaps_open == 0
        assert not (await world.audit()).differs
        await world.check_safety()
        await world.check_complete()


async def test_what_we_hold_and_the_venue_does_not_list_is_put_down_and_kept(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        await world.run(20)
        await world.pause(10)
        entries = await world.entries()
        one, two = entries[20].sequence, entries[21].sequence
        assert one is not None
        assert two is not None
        world.twisted.hidden |= {one, two}
        done = await world.audit()
        assert (done.fresh, done.conflicts, done.unlisted, done.named) == (0, 0, 2, {"unlisted": [one, two]})
        assert await world.entries() == entries
        assert await world.gaps() == []


async def test_one_answer_that_comes_short_takes_nothing_away(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        await world.run(20)
        await world.audit()
        number = (await world.entries())[20].sequence
        assert number is not None
        await world.pause(LIMITS.audit_every_s - 10)
        world.twisted.hidden_once.add(number)
        world.twisted.asked.clear()
        done = await world.audit()
        assert world.twisted.hidden_once == set()
        assert not done.differs
        firsts = [since for since in world.twisted.asked if since is None]
        assert len(firsts) >= 2


async def test_what_may_yet_be_listed_and_what_may_be_forgotten_is_not_missed(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        await world.run(20)
        old = [entry.sequence for entry in await world.entries()][10]
        await world.pause(LIMITS.retention_s - 29)
        await world.run(2)
        young = [entry.sequence for entry in await world.entries()][-12]
        assert old is not None
        assert young is not None
        world.twisted.hidden |= {old, young}
        world.restart(world.twisted)
        async with engine.begin() as conn:
            await conn.execute(text("UPDATE audits SET ended_at = now() WHERE ended_at IS NULL"))
            await conn.execute(text("UPDATE sweeps SET due_at = '2000-01-01' WHERE kind = 'audit'"))
        done = await world.audit()
        assert done.first is not None
        assert done.last is not None
        assert done.first < old < young < done.last
        assert not done.differs
        await world.pause(LIMITS.settle_max_s)
        assert (await world.audit()).named == {"unlisted": [young]}


async def test_other_content_that_only_the_audit_sees_is_a_conflict_and_ours_stays(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        await world.run(20)
        await world.pause(10)
        entries = await world.entries()
        number = entries[20].sequence
        assert number is not None
        world.twisted.changed.add(number)
        done = await world.audit()
        assert (done.fresh, done.conflicts, done.unlisted, done.named) == (0, 1, 0, {"conflicts": [number]})
        now = await world.entries()
        assert now[: len(entries)] == entries
        assert [entry.kind for entry in now[len(entries) :]] == [Kind.CONFLICT]


async def test_a_pass_that_was_cut_short_is_gone_on_with_from_its_page(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        await world.run(40)
        await world.audit()
        assert len(world.venue.assigned()) > 5 * LIMITS.page_max
        await world.pause(LIMITS.audit_every_s - 5)
        while True:
            await world.step(emitting=False)
            if await world.count("SELECT coalesce(max(pages), 0) FROM audits WHERE ended_at IS NULL") == 2:
                break
        world.twisted.refuses = True
        await world.step(emitting=False)
        async with engine.connect() as conn:
            found = await audits.under_way(conn, stream_id=(await world.stream()).id, why="sweep")
        assert found is not None
        assert (found.error, found.pages) == ("HTTP 503", 2)
        world.twisted.refuses = False
        world.restart(world.twisted)
        world.twisted.asked.clear()
        done = await world.audit()
        assert (done.id, done.error) == (found.id, None)
        assert done.rows == len(world.venue.assigned())
        assert None not in world.twisted.asked


async def test_a_gap_keeps_every_read_that_was_tried_and_a_quiet_tail_keeps_none(engine: AsyncEngine) -> None:
    async with Audited(engine) as world:
        await world.run(10)
        await world.pause(20)
        assert await world.count("SELECT count(*) FROM reads") == 0
        world.deaf = True
        await world.step(emitting=False)
        world.venue.emit(world.time.now(), 1)
        number = world.venue.counter
        world.twisted.hidden.add(number)
        await world.pause(40)
        world.deaf = False
        world.twisted.refuses = True
        await world.run(3)
        [gap] = await world.gaps()
        assert (gap.first, gap.state) == (number, "open")
        tried = await world.reads(gap)
        assert tried
        assert {(one.error, one.reached) for one in tried} == {("HTTP 503", None)}
        world.twisted.refuses = False
        await world.pause(30)
        [gap] = await world.gaps()
        assert gap.state == "void"
        tried = (await world.reads(gap))[: -len(tried)]
        assert [one.at for one in tried] == sorted((one.at for one in tried), reverse=True)
        assert {one.withheld for one in tried} >= {"stable", None}
        proof = tried[0]
        assert proof.proven_first is not None
        assert proof.proven_last is not None
        assert proof.proven_first <= number <= proof.proven_last
        assert proof.reached is not None
        assert proof.reached >= proof.proven_last
        assert await world.count("SELECT count(*) FROM reads") == len(await world.reads(gap))


@pytest.mark.parametrize("seed", SEEDS[:6])
async def test_under_any_lies_what_audits_count_is_what_the_log_and_the_gaps_say(
    engine: AsyncEngine, seed: int
) -> None:
    async with Audited(engine, seed=seed, faults=Faults.draw(Random(f"{seed}:audit"), lying=True)) as world:
        for _ in range(6):
            await world.run(6)
            if world.dice.random() < 0.3:
                world.restart(world.twisted)
        await world.calm()
        await world.pause(LIMITS.audit_every_s + 5)
        done = await world.audits()
        healed = [gap for gap in await world.gaps() if gap.healed_by == "audit"]
        told = {e.sequence for e in await world.entries() if e.kind in (Kind.LATE, Kind.RECOVERED)}
        fresh = {number for one in done for number in one.named.get("fresh", [])}
        assert sum(one.fresh for one in done) == sum(gap.found for gap in healed) == len(fresh)
        assert fresh <= told
        assert {n for gap in healed for n in range(gap.first, gap.last + 1)} == fresh
        conflicts = {number for one in done for number in one.named.get("conflicts", [])}
        assert conflicts <= {number for _, number in world.venue.conflicted}
        assert done[0].rows == sum(row.expires_at > (done[0].began_at) for row in world.venue.assigned())
        await world.check_safety()
        await world.check_complete()
