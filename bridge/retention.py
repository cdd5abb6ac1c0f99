"""Retention: what is older than the days that were asked for goes, a little at a time, beside all other work.

Each step is a short transaction, and the pause after it is a multiple of what it took: whoever stores or delivers
finds the stream's lock free most of the time. Nothing is remembered between steps, so one that was killed is simply
followed by the next.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.clock import Clock
from bridge.store import forgetting, leftovers
from bridge.store.engine import store_errors
from bridge.store.forgetting import Due, Expired, Step

log = structlog.get_logger()

PAUSE_SHARE = 19
"""How much longer a pause is than the step before it: a stream's lock is held for a twentieth of the time."""
PAUSE_MIN_S = 0.01

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """How long entries, attempts and reports are kept, and how many rows one step may delete.

    The newest ``entries_min`` of each stream are kept however old they are: a read, or a new connection, holds what
    the venue says against them.
    """

    keep_days: float = 30.0
    attempts_days: float = 30.0
    reports_days: float = 400.0
    rows_max: int = 1_000
    entries_min: int = 1_000


class Retention:
    """Forgets what is old. Any number of them may be at work on one database."""

    def __init__(self, engine: AsyncEngine, clock: Clock, limits: RetentionLimits) -> None:
        self._engine = engine
        self._clock = clock
        self._limits = limits

    async def tick(self) -> int:
        """One sweep over everything; returns how many entries and other rows went.

        Raises:
            StoreUnavailable: the database is away; what was done so far is done.
        """
        before = self._clock.now() - timedelta(days=self._limits.keep_days)
        await self._move_on_who_was_left_behind()
        async with self._engine.connect() as conn:
            with store_errors():
                due = await forgetting.due(conn, before=before, tail=self._limits.entries_min)
                held = await forgetting.held(conn, before=before, tail=self._limits.entries_min)
        for one in held:
            log.warning("retention.held", stream=one.stream, why="a gap is open", keeps_from=one.since.isoformat())
        gone = 0
        for stream in due:
            gone += await self._forget(stream, before)
        return gone + await self._clear(before)

    async def _forget(self, stream: Due, before: datetime) -> int:
        """Forget the stream's beginning, step by step, until what is left is young enough."""
        entries, forgotten, missed = 0, stream.forgotten, list[Expired]()
        while True:
            step = await self._step(partial(self._forget_after, stream=stream, forgotten=forgotten, before=before))
            if step.discarded:
                log.warning("parked.expired", stream=stream.stream, entries=step.discarded, upto=step.forgotten)
            missed += step.expired
            entries += step.entries
            if step.forgotten == forgotten:
                break
            forgotten = step.forgotten
        _tell(missed)
        if entries:
            log.info("retention.forgot", stream=stream.stream, entries=entries, upto=forgotten)
        return entries

    async def _forget_after(self, conn: AsyncConnection, *, stream: Due, forgotten: int, before: datetime) -> Step:
        return await forgetting.step(
            conn,
            stream_id=stream.stream_id,
            forgotten=forgotten,
            before=before,
            tail=self._limits.entries_min,
            entries_max=self._limits.rows_max,
            now=self._clock.now(),
        )

    async def _clear(self, before: datetime) -> int:
        """Clear what lies beside the logs."""
        now, cleared = self._clock.now(), Counter[str]()
        others = {"attempts": now - timedelta(days=self._limits.attempts_days)}
        others |= dict.fromkeys(leftovers.REPORTED, now - timedelta(days=self._limits.reports_days))
        for kind in leftovers.KINDS:
            until = others.get(kind, before)
            clearing = partial(leftovers.clear, kind=kind, before=until, rows_max=self._limits.rows_max)
            while rows := await self._step(clearing):
                cleared[kind] += rows
        if cleared:
            log.info("retention.cleared", **cleared)
        return cleared.total()

    async def _move_on_who_was_left_behind(self) -> None:
        """A cursor that was made, or moved back, in the moment of a step points to what is gone by now."""
        with store_errors():
            async with self._engine.begin() as conn:
                for stream_id, upto in await forgetting.left_behind(conn):
                    _tell(await forgetting.expire(conn, stream_id=stream_id, upto=upto, now=self._clock.now()))

    async def _step(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Do ``work`` in a transaction of its own, then leave the database to others for a while."""
        began = self._clock.monotonic()
        with store_errors():
            async with self._engine.begin() as conn:
                done = await work(conn)
        await self._clock.sleep(max(PAUSE_MIN_S, PAUSE_SHARE * (self._clock.monotonic() - began)))
        return done


def _tell(missed: list[Expired]) -> None:
    """Say aloud who missed what, once for each destination and stream."""
    for destination, stream in sorted({(one.destination, one.stream) for one in missed}):
        spans = [one for one in missed if (one.destination, one.stream) == (destination, stream)]
        first, last = min(one.first for one in spans), max(one.last for one in spans)
        log.error("cursor.expired", destination=destination, stream=stream, first=first, last=last)
