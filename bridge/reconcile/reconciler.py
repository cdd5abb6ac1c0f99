"""Keeping a source's numbered stream moving: what is due is read, judged, and given to the door.

A tick may be missed, doubled or moved to another process: what is due is in rows, what is proven is in
coverage, and the memory between reads (``Watch``) only saves calls.
"""

import random
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.core.errors import Overloaded, VenueError
from bridge.core.numbering import Numbering
from bridge.core.plan import Ask, Standing, next_ask
from bridge.core.proof import Clause, Judgement
from bridge.ingest import Door, Finding
from bridge.reconcile.audit import Audit
from bridge.reconcile.bootstrap import find_base
from bridge.reconcile.gaps import open_gaps
from bridge.reconcile.limits import ReplayLimits
from bridge.reconcile.losses import forgotten
from bridge.reconcile.proving import ORDINARY, Prover
from bridge.reconcile.reading import Reader, ReadSoFar
from bridge.reconcile.suspicion import resolve
from bridge.reconcile.watch import Watch
from bridge.sources.base import Replay
from bridge.store import sightings, streams, sweeps
from bridge.store.engine import store_errors
from bridge.store.streams import Stream

log = structlog.get_logger()

READS_PER_TICK_MAX = 3
MATCH_EVERY_S = 60.0
MATCH_SINCE = timedelta(hours=1)


class Reconciler:
    """One numbered stream's reconciler. Only the holder of the source's lease runs it."""

    def __init__(
        self,
        engine: AsyncEngine,
        door: Door,
        clock: Clock,
        replay: Replay,
        *,
        stream: str,
        source: str,
        limits: ReplayLimits,
        dice: random.Random,
    ) -> None:
        self._engine = engine
        self._door = door
        self._clock = clock
        self._replay = replay
        self._stream = stream
        self._source = source
        self._limits = limits
        self._dice = dice
        self._watch = Watch()
        reader = Reader(replay, door, stream, limits)
        self._prover = Prover(engine, door, clock, reader, self._watch, limits)
        self._audit = Audit(engine, door, clock, replay, limits)

    async def tick(self) -> int:
        """Do what is due; returns how many reads it made. Called by the scheduler, a bell, or a test."""
        stream = await self._look()
        if stream is None or self._clock.monotonic() < self._watch.not_before:
            return 0
        try:
            return await self._tick(stream)
        except (VenueError, Overloaded) as error:
            self._back_off(str(error))
            return 1

    async def _tick(self, stream: Stream) -> int:
        if stream.suspect_at is not None:
            await self._ask_numbering(stream)
            return 1
        if stream.frontier is None:
            base = await find_base(self._replay, self._limits, self._clock.now())
            await self._door.record(stream.name, Finding(stream.epoch, base=base))
            log.info("stream.began", stream=stream.name, base=base.number)
            return 1
        now = self._clock.now()
        due = await self._due(now)
        if await open_gaps(self._engine, stream, self._limits, now):
            stream = await self._look() or stream
        reads = 0
        while reads < READS_PER_TICK_MAX:
            ask = next_ask(self._standing(stream, tail_due="tail" in due, now=now))
            if ask is None:
                break
            reads += 1
            so_far, judgement = await self._prover.read(stream, ask)
            if ask.why == "tail":
                await self._done(due.pop("tail"), self._limits.every_s)
            if not await self._follow_up(stream, ask, so_far, judgement):
                break
            stream = await self._look() or stream
        if reads == 0 and "audit" in due:
            reads = 1
            await self._go_on_auditing(stream, due["audit"])
        await self._report_unmatched(stream, now)
        return reads

    async def _go_on_auditing(self, stream: Stream, sweep: sweeps.Sweep) -> None:
        """One page. Where the venue does not give it, the audit waits, and only the audit: no gap waits for it."""
        try:
            under_way = await self._audit.step(stream)
        except VenueError as error:
            log.warning("audit.waits", stream=stream.name, reason=str(error))
            await self._done(sweep, self._limits.backoff_max_s)
        else:
            if under_way.ended_at is not None:
                await self._done(sweep, self._limits.audit_every_s)

    async def _follow_up(self, stream: Stream, ask: Ask, so_far: ReadSoFar, judgement: Judgement) -> bool:
        """What a withheld proof calls for; True if another read at once is worth it."""
        assert stream.frontier is not None
        if so_far.anchors(stream.frontier):
            self._watch.strangers = 0
        if judgement.proven is not None or not judgement.failed:
            self._watch.failures = 0
            return True
        if Clause.STABLE in judgement.failed:
            return True
        if Clause.LEFT_ANCHOR in judgement.failed and (so_far.ended or so_far.listed):
            venue_now = so_far.venue_now or self._clock.now()
            if forgotten(stream.anchored_at, venue_now, self._limits):
                if await self._prover.declare_loss(stream, so_far):
                    return True
                if self._watch.loss is None and not so_far.listed and stream.head >= stream.frontier:
                    self._back_off("nothing is listed, and nothing of it is forgotten for certain")
                return False
            await self._ask_numbering(stream)
            return False
        hard = set(judgement.failed) - ORDINARY
        if hard or ask.why == "proof":
            self._back_off(", ".join(clause.value for clause in judgement.failed))
        return False

    async def _ask_numbering(self, stream: Stream) -> None:
        verdict = await resolve(stream, self._replay, self._door, self._engine, self._watch, self._limits)
        if verdict is not Numbering.RESTARTED:
            self._back_off(f"numbering is {verdict.value}")

    async def _look(self) -> Stream | None:
        with store_errors():
            async with self._engine.connect() as connection:
                stream = await streams.read(connection, self._stream)
        if stream is not None:
            self._watch.horizon.saw(stream.head, self._clock.monotonic())
        return stream

    async def _due(self, now: datetime) -> dict[str, sweeps.Sweep]:
        with store_errors():
            async with self._engine.connect() as connection:
                found = await sweeps.due(connection, sources=[self._source], now=now)
        return {sweep.kind: sweep for sweep in found if sweep.stream == self._stream}

    async def _done(self, sweep: sweeps.Sweep, after_s: float) -> None:
        next_at = self._clock.now() + timedelta(seconds=after_s)
        with store_errors():
            async with self._engine.begin() as connection:
                await sweeps.done(connection, sweep, next_at=next_at)

    def _standing(self, stream: Stream, *, tail_due: bool, now: datetime) -> Standing:
        assert stream.frontier is not None
        hole_age_s = None
        if stream.stalled_at is not None and stream.head >= stream.frontier:
            hole_age_s = (now - stream.stalled_at).total_seconds()
        return Standing(
            frontier=stream.frontier,
            hole_age_s=hole_age_s,
            grace_s=self._limits.grace_s,
            looked_to=self._watch.looked_to,
            settled_to=self._prover.settled_to(stream),
            tail_due=tail_due,
        )

    async def _report_unmatched(self, stream: Stream, now: datetime) -> None:
        """Say once of each delivery without a number that nothing ever matched it."""
        if not stream.unmatched:
            return
        if self._clock.monotonic() < self._watch.match_at:
            return
        self._watch.match_at = self._clock.monotonic() + MATCH_EVERY_S
        before = now - timedelta(seconds=self._limits.unmatched_after_s)
        with store_errors():
            async with self._engine.begin() as connection:
                locked = await streams.lock(connection, stream.id)
                found = await sightings.match_stored(
                    connection, stream_id=stream.id, before=before, since=MATCH_SINCE
                )
                if found:
                    await streams.save(connection, replace(locked, unmatched=locked.unmatched - found))
                ids = await sightings.report(connection, stream_id=stream.id, before=before, now=now)
        for event_id in ids:
            log.error("sighting.unmatched", stream=stream.name, event_id=event_id)

    def _back_off(self, why: str) -> None:
        """Leave the venue alone for a while: exponential, with full jitter, bounded."""
        self._watch.failures += 1
        ceiling = min(self._limits.backoff_max_s, self._limits.backoff_first_s * 2 ** min(self._watch.failures, 16))
        wait_s = self._limits.backoff_first_s + self._dice.random() * (ceiling - self._limits.backoff_first_s)
        self._watch.not_before = self._clock.monotonic() + wait_s
        log.warning("replay.backed_off", stream=self._stream, why=why, wait_s=round(wait_s, 3))
