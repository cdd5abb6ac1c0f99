"""A claimed cursor as its holder keeps it: how far it is, what is settled, how long the lease lasts.

Everything written here names the claim's attempt number. Once another claim was made nothing is changed, and the
holder is told that the cursor is lost.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.core.delivery import Retry, Stop
from bridge.core.destination import DestinationPolicy
from bridge.deliver.limits import Means
from bridge.deliver.parcel import Parcel
from bridge.deliver.posting import Tried
from bridge.store import attempts, cursors, delivery_hours, destinations, parked
from bridge.store.attempts import Attempt
from bridge.store.cursors import Claim
from bridge.store.delivery_hours import Tally
from bridge.store.engine import store_errors

logger = structlog.get_logger()


class _Run:
    """Accepted attempts in a row, as they grow; ``fresh`` of them are not settled yet, the oldest since ``since``."""

    __slots__ = (
        "began", "entries", "first", "fresh", "last", "latency_max_s", "recorded", "row_id", "since", "started_at",
        "unrecorded",
    )  # fmt: skip

    def __init__(self, position: int, started_at: datetime, began: float) -> None:
        self.first = self.last = position
        self.started_at, self.began = started_at, began
        self.entries = self.fresh = self.unrecorded = 0
        self.latency_max_s = self.since = 0.0
        self.recorded = began
        self.row_id: int | None = None

    def is_due(self, monotonic: float, *, last: bool, every_s: float) -> bool:
        """Whether its row is to be written now."""
        if not self.unrecorded:
            return False
        return last or self.row_id is None or monotonic - self.recorded >= every_s


class Holding:
    """One claimed cursor. ``claimed`` is the monotonic time just before the claim.

    ``position``: everything up to it is dealt with. ``sent``: the last position up to it that was accepted.
    ``ahead``: accepted positions above it. ``failures`` counts the failed attempts in a row since ``failing_since``.
    """

    def __init__(self, claim: Claim, policy: DestinationPolicy, means: Means, *, claimed: float) -> None:
        self.claim = claim
        self.position = claim.position
        self.sent = claim.sent
        self.failures = claim.failures
        self.failing_since = claim.failing_since
        self.ahead: set[int] = {position for first, last in claim.ahead for position in range(first, last + 1)}
        self.accepted = 0
        self._policy = policy
        self._means = means
        self._renewed = claimed
        self._run: _Run | None = None
        self._tally = Tally()
        self._counted = claim.position

    @property
    def is_settled(self) -> bool:
        return self._run is None or self._run.fresh == 0

    def accept(self, parcel: Parcel, tried: Tried) -> None:
        """The entries of ``parcel`` were accepted; they are settled later, together with others."""
        first, last = parcel.entries[0].position, parcel.entries[-1].position
        run, monotonic = self._run, self._means.clock.monotonic()
        if run is None or (run.unrecorded == 0 and monotonic - run.began >= self._means.limits.run_s):
            run = self._run = _Run(first, tried.started_at, monotonic)
        if run.fresh == 0:
            run.since = monotonic
        run.first, run.last = min(run.first, first), max(run.last, last)
        run.entries += len(parcel.entries)
        run.fresh += len(parcel.entries)
        run.unrecorded += len(parcel.entries)
        run.latency_max_s = max(run.latency_max_s, tried.latency_s)
        self.failures, self.failing_since = 0, None
        self.accepted += len(parcel.entries)
        heard_at = [entry.received_at for entry in parcel.entries]
        self._tally.accept(heard_at, self._means.clock.now(), first_try=tried.failures == 0)

    def move(self, position: int, sent: int) -> None:
        """Everything up to ``position`` is dealt with; ``sent`` was the last of it that was accepted."""
        self.position, self.sent = position, sent

    def is_due(self) -> bool:
        """Whether something is to be settled, or the lease to be renewed, before anything else is posted."""
        limits, run, monotonic = self._means.limits, self._run, self._means.clock.monotonic()
        if monotonic - self._renewed >= limits.renew_every_s:
            return True
        if run is None or run.fresh == 0:
            return False
        return run.fresh >= limits.unsettled_max or monotonic - run.since >= limits.settle_every_s

    async def keep(self) -> bool:
        """Settle what was accepted and renew the lease. False: the cursor is lost."""
        return await self._settle(self._lease_end(), last=False)

    async def give_back(self, until: datetime | None = None) -> bool:
        """Settle what was accepted and end the lease; nobody is to take it up before ``until``.

        False: the cursor was lost before.
        """
        return await self._settle(until or self._means.clock.now(), last=True)

    async def fail(self, failed: Attempt, decision: Retry | Stop) -> bool:
        """Give the cursor back after a failed attempt, and write down why. False: the cursor was lost before."""
        if self._run is not None and self._run.unrecorded and not await self._settle(self._lease_end(), last=True):
            return False
        now = failed.ended_at
        self.failing_since = self.failing_since or now
        due_at = decision.at if isinstance(decision, Retry) else now
        self._tally.fail()
        async with self._transaction() as conn:
            held = await cursors.fail(
                conn, self.claim, position=self.position, due_at=due_at, error=decision.error, now=now
            )
            if held:
                await attempts.add(conn, failed)
                await self._count(conn)
                if isinstance(decision, Stop):
                    await destinations.stop(conn, self._policy.name, reason=decision.error, now=now)
        return held

    async def note(self, failed: Attempt) -> bool:
        """Write a failed attempt down and keep the cursor. False: the cursor is lost."""
        self.failures += 1
        self.failing_since = self.failing_since or failed.ended_at
        self._tally.fail()
        async with self._transaction() as conn:
            held = await cursors.note_failure(
                conn, self.claim, failures=self.failures, error=failed.error or "", now=failed.ended_at
            )
            if held:
                await attempts.add(conn, failed)
                await self._count(conn)
        return held

    async def park(self, failed: Attempt, *, attempts_made: int) -> bool:
        """Lay the entry of ``failed`` aside. False: the cursor is lost."""
        if not await self.note(failed):
            return False
        self._tally.parked += 1
        async with self._transaction() as conn:
            await self._count(conn)  # the cursor first, as whoever forgets a log locks them
            await parked.add(
                conn,
                self.claim.destination_id,
                self.claim.stream_id,
                failed.first,
                attempts=attempts_made,
                status=failed.status,
                error=failed.error or "",
                now=failed.ended_at,
            )
        self.failures, self.failing_since = 0, None
        logger.error(
            "delivery.parked", destination=self._policy.name, stream=self.claim.stream, position=failed.first,
            attempts=attempts_made, status=failed.status, error=failed.error,
        )  # fmt: skip
        return True

    def _lease_end(self) -> datetime:
        return self._means.clock.now() + self._means.limits.lease(self._policy)

    async def _settle(self, due_at: datetime, *, last: bool) -> bool:
        """``last``: the cursor is given back, so the history is brought up to date, too."""
        renewed, run = self._means.clock.monotonic(), self._run
        accepted = run is not None and run.fresh > 0
        recording = run is not None and run.is_due(renewed, last=last, every_s=self._means.limits.record_every_s)
        async with self._transaction() as conn:
            wanted = await cursors.settle(
                conn, self.claim, position=self.position, sent=self.sent, due_at=due_at, accepted=accepted,
                ahead=sorted(self.ahead),
            )  # fmt: skip
            if wanted is not None and run is not None and recording:
                run.row_id, run.recorded, run.unrecorded = await self._record(conn, run), renewed, 0
            if wanted is not None and (accepted or self.position != self._counted):
                await self._count(conn)
        if wanted is None:
            logger.warning("delivery.fenced", destination=self._policy.name, stream=self.claim.stream)
            return False
        self._renewed = renewed
        if run is not None:
            run.fresh = 0
        return wanted

    async def _count(self, conn: AsyncConnection) -> None:
        """Add what came of it since the last time to the destination's hour, in the cursor's own transaction."""
        claim, now = self.claim, self._means.clock.now()
        await delivery_hours.add(conn, claim.destination_id, claim.stream_id, self._tally, now=now)
        self._means.observe.delivered(self._policy.name, self._tally.latency, self._tally.waited_s)
        self._tally, self._counted = Tally(), self.position

    async def _record(self, conn: AsyncConnection, run: _Run) -> int:
        accepted = Attempt(
            destination_id=self.claim.destination_id,
            stream_id=self.claim.stream_id,
            first=run.first,
            last=run.last,
            entries=run.entries,
            outcome="accepted",
            status=None,
            error=None,
            latency_max_ms=run.latency_max_s * 1000,
            started_at=run.started_at,
            ended_at=self._means.clock.now(),
        )
        if run.row_id is None:
            return await attempts.add(conn, accepted)
        await attempts.extend(conn, run.row_id, accepted)
        return run.row_id

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        with store_errors():
            async with self._means.engine.begin() as conn:
                yield conn
