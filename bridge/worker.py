"""The loops of a worker, in one task group: listening, reconciling and chores by lease, delivery, their cadence.

This is the one place that survives any error of a loop: it is told, and the loop begins again after a pause.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import uuid4

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.core.budget import Left
from bridge.core.errors import StoreUnavailable
from bridge.store import budgets, leases
from bridge.store.engine import store_errors

log = structlog.get_logger()

RESTART_FIRST_S = 0.5
RESTART_MAX_S = 30.0
LEASE_S = 10.0
RENEW_EVERY_S = 3.0
"""Another worker looks as often as a holder renews: it takes over within LEASE_S + RENEW_EVERY_S."""
BUDGETS_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Sweep:
    """One sweep's name and cadence. All sweeps are plain calls of a source's ``tick``; what is due is in rows."""

    kind: str
    every_s: float


@dataclass(frozen=True, slots=True)
class SourceWork:
    """What the holder of a source's lease does: listens, and ticks at the cadence of its sweeps.

    ``budgets`` says what is left of the venue's quotas, which only the holder knows.
    """

    name: str
    listen: Callable[[], Awaitable[None]]
    tick: Callable[[], Awaitable[int]]
    sweeps: Sequence[Sweep]
    budgets: Callable[[], Mapping[str, Left]]


@dataclass(frozen=True, slots=True)
class Chore:
    """What one worker does for all of them every so often; not at once, for others have more urgent things to do."""

    name: str
    tick: Callable[[], Awaitable[int]]
    every_s: float


def holder_name() -> str:
    """Who we are to other workers."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"


async def keep_running(clock: Clock, name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run ``loop`` again and again: an error is told in full and followed by a growing pause."""
    pause_s = RESTART_FIRST_S
    while True:
        began = clock.monotonic()
        try:
            await loop()
            return
        except StoreUnavailable as error:
            log.warning("loop.waiting", loop=name, reason=str(error))
        except Exception:  # one loop's bug must not end the others; it is told in full
            log.exception("loop.failed", loop=name)
        if clock.monotonic() - began > RESTART_MAX_S:
            pause_s = RESTART_FIRST_S
        await clock.sleep(pause_s)
        pause_s = min(RESTART_MAX_S, pause_s * 2)


async def hold_source(engine: AsyncEngine, clock: Clock, holder: str, work: SourceWork) -> None:
    """Do the source's work whenever its lease is ours, until cancelled."""
    loops: dict[str, Callable[[], Awaitable[None]]] = {
        f"listen:{work.name}": work.listen,
        f"reconcile:{work.name}": partial(_reconcile, work),
        f"budgets:{work.name}": partial(_tell_budgets, engine, clock, work),
    }
    await _hold(engine, clock, holder, f"source:{work.name}", loops)


async def hold_chore(engine: AsyncEngine, clock: Clock, holder: str, chore: Chore) -> None:
    """Do the chore whenever its lease is ours, until cancelled."""
    loops = {chore.name: partial(_tick_at, [(chore.name, chore.every_s)], chore.tick, at_once=False)}
    await _hold(engine, clock, holder, f"chore:{chore.name}", loops)


async def _hold(
    engine: AsyncEngine, clock: Clock, holder: str, lease: str, loops: Mapping[str, Callable[[], Awaitable[None]]]
) -> None:
    """Run ``loops`` whenever the lease is ours."""
    while True:
        fence = await _take(engine, clock, lease, holder)
        if fence is None:
            await clock.sleep(RENEW_EVERY_S)
            continue
        log.info("lease.taken", lease=lease, fence=fence)
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(keep_running(clock, name, loop)) for name, loop in loops.items()]
            try:
                await _keep(engine, clock, lease, holder, fence)
            finally:
                for task in working:
                    task.cancel()
        log.warning("lease.lost", lease=lease, fence=fence)


async def _reconcile(work: SourceWork) -> None:
    cadences = [(f"{sweep.kind}:{work.name}", sweep.every_s) for sweep in work.sweeps]
    await _tick_at(cadences, work.tick, at_once=True)


async def _tell_budgets(engine: AsyncEngine, clock: Clock, work: SourceWork) -> None:
    """Write down what is left every so often. Nobody waits for it: a store that is away is told the next time."""
    while True:
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(BUDGETS_EVERY_S):
                with store_errors():
                    async with engine.begin() as connection:
                        await budgets.put(connection, source=work.name, left=work.budgets(), now=clock.now())
        await clock.sleep(BUDGETS_EVERY_S)


async def _tick_at(
    cadences: Sequence[tuple[str, float]], tick: Callable[[], Awaitable[int]], *, at_once: bool
) -> None:
    """Tick whenever one of the named times comes; a time that falls into a running tick is that tick's."""
    called = asyncio.Event()
    scheduler = AsyncIOScheduler(timezone="UTC", job_defaults={"coalesce": True, "misfire_grace_time": None})
    for name, every_s in cadences:
        scheduler.add_job(called.set, "interval", seconds=every_s, id=name)
    scheduler.start()
    try:
        if at_once:
            called.set()
        while True:
            await called.wait()
            called.clear()
            await tick()
    finally:
        scheduler.shutdown(wait=False)


async def _take(engine: AsyncEngine, clock: Clock, lease: str, holder: str) -> int | None:
    now = clock.now()
    with store_errors():
        async with engine.begin() as connection:
            until = now + timedelta(seconds=LEASE_S)
            return await leases.take(connection, name=lease, holder=holder, now=now, until=until)


async def _keep(engine: AsyncEngine, clock: Clock, lease: str, holder: str, fence: int) -> None:
    """Renew until the lease is another's, or could be by now; give it back when we are told to stop."""
    renewed = clock.monotonic()
    try:
        while clock.monotonic() - renewed < LEASE_S - 2 * RENEW_EVERY_S:
            await clock.sleep(RENEW_EVERY_S)
            try:
                async with asyncio.timeout(RENEW_EVERY_S):
                    if await _take(engine, clock, lease, holder) != fence:
                        return
                renewed = clock.monotonic()
            except (StoreUnavailable, TimeoutError):
                continue
    except asyncio.CancelledError:
        await _give_back(engine, clock, lease, holder, fence)
        raise


async def _give_back(engine: AsyncEngine, clock: Clock, lease: str, holder: str, fence: int) -> None:
    try:
        async with asyncio.timeout(RENEW_EVERY_S):
            with store_errors():
                async with engine.begin() as connection:
                    await leases.release(connection, name=lease, holder=holder, fence=fence, now=clock.now())
    except (StoreUnavailable, TimeoutError):
        log.warning("lease.left", lease=lease)


async def work(
    engine: AsyncEngine,
    clock: Clock,
    sources: Sequence[SourceWork],
    loops: Mapping[str, Callable[[], Awaitable[None]]],
    chores: Sequence[Chore] = (),
) -> None:
    """Run everything until cancelled."""
    holder = holder_name()
    async with asyncio.TaskGroup() as group:
        for source in sources:
            hold = partial(hold_source, engine, clock, holder, source)
            group.create_task(keep_running(clock, f"source:{source.name}", hold))
        for chore in chores:
            hold = partial(hold_chore, engine, clock, holder, chore)
            group.create_task(keep_running(clock, f"chore:{chore.name}", hold))
        for name, loop in loops.items():
            group.create_task(keep_running(clock, name, loop))
