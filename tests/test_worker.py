"""The worker's loops: they begin again after an error, and only the holder of a source's lease works on it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from bridge.clock import ManualClock, SystemClock
from bridge.core.budget import Left
from bridge.core.errors import StoreUnavailable
from bridge.store import budgets
from bridge.store.engine import make_engine
from bridge.worker import (
    BUDGETS_EVERY_S,
    LEASE_S,
    RENEW_EVERY_S,
    Chore,
    SourceWork,
    Sweep,
    hold_chore,
    hold_source,
    keep_running,
    work,
)

pytestmark = pytest.mark.anyio

START = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
PATIENCE_S = 10


class SteppedClock:
    """Time moves only by ``step``; whoever sleeps waits for it."""

    def __init__(self) -> None:
        self._elapsed = 0.0
        self._sleeping: list[tuple[float, asyncio.Future[None], asyncio.Task[None] | None]] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleeping.append((self._elapsed + seconds, waking, asyncio.current_task()))
        await waking

    async def step(self, seconds: float) -> None:
        """Let ``seconds`` pass; who sleeps wakes in time, does what there is to do, and sleeps again."""
        until = self._elapsed + seconds
        while True:
            await eventually(self._has_sleeper)
            first = min(
                (sleeper for sleeper in self._sleeping if not sleeper[1].done()), key=lambda sleeper: sleeper[0]
            )
            if first[0] > until:
                break
            self._elapsed = first[0]
            self._sleeping = [sleeper for sleeper in self._sleeping if not sleeper[1].done() and sleeper is not first]
            first[1].set_result(None)
        self._elapsed = until

    def sleeps(self, task: asyncio.Task[None] | None) -> bool:
        """Whether this one waits for time to pass."""
        return any(sleeper is task and not waking.done() for _, waking, sleeper in self._sleeping)

    def _has_sleeper(self) -> bool:
        return any(not waking.done() for _, waking, _ in self._sleeping)


async def eventually(condition: Callable[[], bool]) -> None:
    """Return when ``condition`` holds; a failure after PATIENCE_S."""
    clock = SystemClock()
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await clock.sleep(0.002)


class Failing:
    """Fails with each of ``errors``, then returns."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.runs = 0

    async def __call__(self) -> None:
        self.runs += 1
        if self.errors:
            raise self.errors.pop(0)


async def test_a_loop_that_fails_begins_again_after_a_growing_pause_and_is_told_of() -> None:
    clock, loop = ManualClock(START), Failing(ValueError("first"), KeyError("second"), ValueError("third"))
    with capture_logs() as told:
        await keep_running(clock, "tail", loop)
    assert loop.runs == 4
    assert clock.monotonic() == 0.5 + 1 + 2
    assert [(line["event"], line["loop"], line["log_level"]) for line in told] == [
        ("loop.failed", "tail", "error")
    ] * 3


async def test_the_pause_before_a_loop_begins_again_is_bounded() -> None:
    clock, loop = ManualClock(START), Failing(*[ValueError() for _ in range(40)])
    with capture_logs():
        await keep_running(clock, "tail", loop)
    assert loop.runs == 41
    assert clock.monotonic() < 40 * 30.001


async def test_after_a_long_good_time_the_pause_is_short_again() -> None:
    clock, runs = ManualClock(START), 0

    async def loop() -> None:
        nonlocal runs
        runs += 1
        if runs == 8:
            clock.advance(100)
        if runs <= 8:
            raise ValueError

    with capture_logs():
        await keep_running(clock, "tail", loop)
    assert clock.monotonic() == 0.5 + 1 + 2 + 4 + 8 + 16 + 30 + 100 + 0.5


async def test_a_database_that_is_away_is_waited_for_without_a_traceback() -> None:
    clock, loop = ManualClock(START), Failing(StoreUnavailable("the database is away"))
    with capture_logs() as told:
        await keep_running(clock, "tail", loop)
    assert loop.runs == 2
    assert [(line["event"], line["log_level"]) for line in told] == [("loop.waiting", "warning")]


async def test_an_error_in_one_loop_leaves_the_others_running(engine: AsyncEngine) -> None:
    clock, well, failing = SystemClock(), asyncio.Event(), Failing(*[ValueError() for _ in range(9)])

    async def healthy() -> None:
        await eventually(lambda: failing.runs >= 2)
        well.set()
        await asyncio.Event().wait()

    with capture_logs():
        async with asyncio.TaskGroup() as group:
            working = group.create_task(work(engine, clock, [], {"failing": failing, "healthy": healthy}))
            async with asyncio.timeout(PATIENCE_S):
                await well.wait()
            working.cancel()
    assert working.cancelled()


class Watched:
    """One worker's part in a source: says whether it is at work. Its clock and its engine are its own."""

    def __init__(self, name: str, engine: AsyncEngine) -> None:
        self.name = name
        self.engine = engine
        self.clock = SteppedClock()
        self.listening = False
        self.ticks = 0
        self.refused = 0
        self.failures: list[Exception] = []
        self.left = Left(per_s=20, burst=20, tokens=17.5, paused_s=0)
        self._holding: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        self.listening = True
        try:
            await asyncio.Event().wait()
        finally:
            self.listening = False

    async def tick(self) -> int:
        self.ticks += 1
        if self.failures:
            raise self.failures.pop(0)
        return 0

    async def run(self, every_s: float = 3600) -> None:
        self._holding = asyncio.current_task()
        sweeps = [Sweep(kind, every_s) for kind in ("gap", "tail", "audit")]
        part = SourceWork("pb", self.listen, self.tick, sweeps, lambda: {"rest": self.left})
        await keep_running(self.clock, "source:pb", lambda: hold_source(self.engine, self.clock, self.name, part))

    def asks_nothing(self) -> bool:
        """Whether it waits for the time to ask for the lease again."""
        return self.clock.sleeps(self._holding)

    async def lose_database(self) -> None:
        """From here on no connection can be had, and those that were are gone."""

        event.listen(self.engine.sync_engine, "do_connect", self._refuse)
        await self.engine.dispose()

    def find_database(self) -> None:
        """From here on connections can be had again."""
        event.remove(self.engine.sync_engine, "do_connect", self._refuse)

    def _refuse(self, *_asked: object) -> None:
        self.refused += 1
        raise ConnectionRefusedError


@asynccontextmanager
async def two_workers(url: str) -> AsyncIterator[tuple[Watched, Watched, asyncio.Task[None]]]:
    """The first holds the source; the second would like to. With the task of the first."""
    engines = [make_engine(url), make_engine(url)]
    one, two = Watched("one", engines[0]), Watched("two", engines[1])
    with capture_logs():
        async with asyncio.TaskGroup() as group:
            first = group.create_task(one.run())
            await eventually(lambda: one.listening and one.ticks == 1)
            second = group.create_task(two.run())
            yield one, two, first
            first.cancel()
            second.cancel()
    for engine in engines:
        await engine.dispose()


async def step(seconds: float, *workers: Watched) -> None:
    """Let time pass for all, in parts so small that nobody sees it pass by, and none while one asks for the lease."""
    for _ in range(round(seconds)):
        for worker in workers:
            await worker.clock.step(1)
            await eventually(worker.asks_nothing)


async def test_only_one_of_two_workers_works_on_a_source_however_long_it_takes(database_url: str) -> None:
    async with two_workers(database_url) as (one, two, _):
        await step(4 * LEASE_S, one, two)
        assert (one.listening, two.listening) == (True, False)
        assert (one.ticks, two.ticks) == (1, 0)


async def test_another_worker_takes_over_when_the_lease_of_one_that_stands_still_is_over(database_url: str) -> None:
    async with two_workers(database_url) as (_, two, _):
        await step(LEASE_S - 1, two)
        assert not two.listening
        await step(RENEW_EVERY_S + 1, two)
        await eventually(lambda: two.listening)
        assert two.ticks == 1
        assert await holder(two.engine) == ("two", 2)


async def test_who_wakes_up_after_its_lease_stops_working_and_changes_nothing(database_url: str) -> None:
    async with two_workers(database_url) as (one, two, _):
        await step(LEASE_S + RENEW_EVERY_S, two)
        await eventually(lambda: two.listening)
        assert one.listening  # it stands still and knows nothing yet
        await one.clock.step(RENEW_EVERY_S)
        await eventually(lambda: not one.listening)
        assert await holder(two.engine) == ("two", 2)
        await step(2 * LEASE_S, two, one)
        assert (one.listening, two.listening) == (False, True)


async def test_a_worker_that_cannot_renew_stops_before_another_may_begin(database_url: str) -> None:
    async with two_workers(database_url) as (one, two, _):
        await one.lose_database()
        for _ in range(round(LEASE_S) - 1):
            await step(1, one, two)
            assert not (one.listening and two.listening)
        assert not one.listening
        await step(RENEW_EVERY_S + 1, two)
        await eventually(lambda: two.listening)


async def test_a_worker_that_is_told_to_stop_gives_the_lease_back(database_url: str) -> None:
    async with two_workers(database_url) as (one, two, first):
        first.cancel()
        await eventually(first.done)
        assert not one.listening
        await step(RENEW_EVERY_S, two)
        await eventually(lambda: two.listening)


async def test_a_tick_that_fails_is_called_again_after_a_pause(engine: AsyncEngine) -> None:
    one = Watched("one", engine)
    one.failures = [ValueError("a bug")]
    with capture_logs() as told:
        async with asyncio.TaskGroup() as group:
            holding = group.create_task(one.run())
            await eventually(lambda: one.ticks == 1)
            await one.clock.step(1)
            await eventually(lambda: one.ticks == 2)
            assert one.listening
            holding.cancel()
    assert [line["loop"] for line in told if line["event"] == "loop.failed"] == ["reconcile:pb"]


async def told_budgets(engine: AsyncEngine) -> list[budgets.UpstreamBudget]:
    async with engine.connect() as connection:
        return await budgets.listing(connection)


async def eventually_told(engine: AsyncEngine, tokens: float) -> budgets.UpstreamBudget:
    """The one budget, when it says that so many are left; a failure after PATIENCE_S."""
    async with asyncio.timeout(PATIENCE_S):
        while [one.tokens for one in await told_budgets(engine)] != [tokens]:
            await SystemClock().sleep(0.002)
    [told] = await told_budgets(engine)
    return told


async def test_the_holder_of_a_source_tells_what_is_left_of_its_quota_and_the_other_does_not(
    database_url: str,
) -> None:
    async with two_workers(database_url) as (one, two, first):
        two.left = Left(per_s=20, burst=20, tokens=3, paused_s=0)
        told = await eventually_told(two.engine, 17.5)
        assert (told.source, told.name, told.per_s, told.burst) == ("pb", "rest", 20, 20)
        assert (told.as_of, told.paused_until, told.attended(START)) == (START, None, True)
        one.left = Left(per_s=20, burst=20, tokens=0.5, paused_s=40)
        await step(BUDGETS_EVERY_S, one, two)
        told = await eventually_told(two.engine, 0.5)
        assert told.as_of == START + timedelta(seconds=BUDGETS_EVERY_S)
        assert told.paused_s(told.as_of + timedelta(seconds=10)) == 30
        first.cancel()
        await eventually(first.done)
        assert not (await told_budgets(two.engine))[0].attended(one.clock.now()), "the lease was given back"
        await step(RENEW_EVERY_S, two)
        assert (await eventually_told(two.engine, 3)).attended(two.clock.now())


async def eventually_held(engine: AsyncEngine, until: datetime) -> None:
    """Return when the lease lasts ``until`` then; a failure after PATIENCE_S."""
    async with asyncio.timeout(PATIENCE_S), engine.connect() as connection:
        while (await connection.execute(text("SELECT until FROM leases"))).scalar_one() != until:
            await connection.rollback()
            await SystemClock().sleep(0.002)


async def test_a_store_that_is_away_does_not_disturb_who_tells_of_the_quota(database_url: str) -> None:
    engine = make_engine(database_url)
    one = Watched("one", engine)
    with capture_logs() as told:
        async with asyncio.TaskGroup() as group:
            holding = group.create_task(one.run())
            await eventually_told(engine, 17.5)
            await one.clock.step(RENEW_EVERY_S)
            await eventually_held(engine, START + timedelta(seconds=RENEW_EVERY_S + LEASE_S))
            await one.lose_database()
            await one.clock.step(BUDGETS_EVERY_S - RENEW_EVERY_S)
            await eventually(lambda: one.refused > 0)
            one.find_database()
            one.left = Left(per_s=20, burst=20, tokens=9, paused_s=0)
            await one.clock.step(BUDGETS_EVERY_S)
            await eventually_told(engine, 9)
            assert one.listening
            holding.cancel()
    assert [line for line in told if line["event"].startswith("loop.")] == []
    await engine.dispose()


async def test_ticks_come_at_the_cadence_of_the_sweeps(engine: AsyncEngine) -> None:
    one = Watched("one", engine)
    with capture_logs():
        async with asyncio.TaskGroup() as group:
            holding = group.create_task(one.run(every_s=0.05))
            await eventually(lambda: one.ticks >= 4)
            holding.cancel()


async def holder(engine: AsyncEngine) -> tuple[str, int]:
    async with engine.connect() as connection:
        row = (await connection.execute(text("SELECT holder, fence FROM leases"))).one()
    return row[0], row[1]


async def test_a_chore_is_done_by_one_worker_again_and_again_and_by_the_other_when_that_one_is_gone(
    engine: AsyncEngine,
) -> None:
    done = {"one": 0, "two": 0}

    def chore(name: str) -> Chore:
        async def tick() -> int:
            done[name] += 1
            return 0

        return Chore("sweeping", tick, every_s=0.02)

    one, two = SteppedClock(), SteppedClock()
    with capture_logs():
        async with asyncio.TaskGroup() as group:
            first = group.create_task(hold_chore(engine, one, "one", chore("one")))
            await eventually(lambda: done["one"] >= 3)
            second = group.create_task(hold_chore(engine, two, "two", chore("two")))
            await two.step(RENEW_EVERY_S)
            assert done["two"] == 0
            first.cancel()
            await eventually(first.done)
            await two.step(RENEW_EVERY_S)
            await eventually(lambda: done["two"] >= 1)
            second.cancel()


async def test_a_chore_is_not_begun_at_once(engine: AsyncEngine) -> None:
    done: list[int] = []

    async def tick() -> int:
        done.append(1)
        return 0

    clock = SteppedClock()
    with capture_logs():
        async with asyncio.TaskGroup() as group:
            holding = group.create_task(hold_chore(engine, clock, "one", Chore("sweeping", tick, every_s=3600)))
            await clock.step(2 * RENEW_EVERY_S)
            holding.cancel()
    assert done == []
