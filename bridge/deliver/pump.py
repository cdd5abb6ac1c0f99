"""One claimed cursor at work: read the log after it, post parcel by parcel, decide.

A pump stays on its cursor while entries keep coming, so that a busy stream costs no claim per entry. A crash
sends at most what was not settled a second time.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum, auto
from itertools import zip_longest

import structlog

from bridge.core.delivery import Advance, Park, Retry, Stop
from bridge.core.destination import DestinationPolicy, chooser
from bridge.core.event import LogEntry
from bridge.deliver.holding import Holding
from bridge.deliver.limits import Means
from bridge.deliver.notices import Notices
from bridge.deliver.parcel import Parcel, body, in_a_row, parcels, size_of
from bridge.deliver.posting import Poster, Tried
from bridge.store import log
from bridge.store.attempts import Attempt
from bridge.store.cursors import Claim
from bridge.store.engine import store_errors
from bridge.store.log import SLICE_BYTES_MAX, LogBroken

logger = structlog.get_logger()


class Ending(Enum):
    """Why a pump ended: nothing more to send, the cursor waits after a failure, or it is no longer ours."""

    IDLE = auto()
    RESTING = auto()
    LOST = auto()


class Pump:
    """Delivers one claimed cursor. ``woken`` is set when there may be more in its stream's log."""

    def __init__(self, claim: Claim, policy: DestinationPolicy, means: Means, *, claimed: float) -> None:
        self.claim = claim
        self.woken = asyncio.Event()
        self.resting_until: datetime | None = None
        self.policy = policy
        self._means = means
        self._holding = Holding(claim, policy, means, claimed=claimed)
        self._poster = Poster(claim, policy, means)
        self._notices = Notices(claim, policy, means, self._holding, self._poster)
        self._wants = chooser(policy)
        self._slice_max = max(means.limits.slice_max, policy.batch_max)
        self._leaving = False
        self._ahead: tuple[Parcel, int, bytes] | None = None

    @property
    def accepted(self) -> int:
        return self._holding.accepted

    def wake(self) -> None:
        """There may be more in the stream's log."""
        self.woken.set()

    def leave(self) -> None:
        """Give the cursor back after the post that is under way."""
        self._leaving = True
        self.woken.set()

    async def run(self, *, stay: bool) -> Ending:
        """Deliver until there is nothing more; with ``stay``, until nothing more has come for a while.

        Raises:
            StoreUnavailable: the database is away; what was not settled will be sent again.
        """
        clock, linger_s = self._means.clock, self._means.limits.linger_s
        last_news = clock.monotonic()
        while not self._leaving:
            self.woken.clear()
            try:
                entries = await self._read(self._holding.position)
            except LogBroken as broken:
                return await self._rest_for_the_log(broken)
            ending = await self._send(entries)
            if ending is not None:
                return ending
            if self._is_full(entries):
                continue
            if entries:
                last_news = clock.monotonic()
            if not stay or clock.monotonic() - last_news >= linger_s:
                break
            if not await self._pause():
                return Ending.LOST
        return Ending.IDLE if await self._holding.give_back() else Ending.LOST

    async def _read(self, after: int) -> list[LogEntry]:
        with store_errors():
            async with self._means.reading.connect() as conn:
                return await log.read(
                    conn,
                    stream_id=self.claim.stream_id,
                    stream=self.claim.stream,
                    after=after,
                    limit=self._slice_max,
                )

    def _is_full(self, entries: Sequence[LogEntry]) -> bool:
        if len(entries) >= self._slice_max:
            return True
        return sum(len(entry.payload) for entry in entries) >= SLICE_BYTES_MAX

    async def _pause(self) -> bool:
        """Wait for more, but no longer than what is not settled yet may wait. False: the cursor is lost."""
        limits = self._means.limits
        with suppress(TimeoutError):
            async with asyncio.timeout(limits.linger_s if self._holding.is_settled else limits.settle_every_s):
                await self.woken.wait()
        return not self._holding.is_due() or await self._holding.keep()

    async def _send(self, entries: Sequence[LogEntry]) -> Ending | None:
        ending = await self._notify()
        if ending is not None:
            return ending
        cut = tuple(parcels(entries, self._wants, size_of(self.policy, self._holding.failures)))
        for parcel, following in zip_longest(cut, cut[1:]):
            if self._leaving:
                return None
            ending = await self._keep_until_its_turn(parcel)
            if ending is None and parcel.entries:
                ending = await self._post(parcel, following)
            if ending is not None:
                return ending
            self._holding.move(parcel.until, self._holding.sent)
        return await self._notify()

    async def _notify(self) -> Ending | None:
        """Tell what is due outside of the log."""
        failed = await self._notices.send()
        position = self._holding.position
        return None if failed is None else await self._rest(failed, position + 1, position + 1, 1)

    async def _keep_until_its_turn(self, parcel: Parcel) -> Ending | None:
        """Wait until the destination's rate allows a POST; the lease is kept meanwhile."""
        clock, limits = self._means.clock, self._means.limits
        while True:
            if self._holding.is_due() and not await self._holding.keep():
                return Ending.LOST
            wait_s = self._means.throttle.wait_s(self.policy, monotonic=clock.monotonic()) if parcel.entries else 0
            if wait_s <= 0:
                return None
            await clock.sleep(min(wait_s, limits.settle_every_s))

    async def _post(self, parcel: Parcel, following: Parcel | None) -> Ending | None:
        holding = self._holding
        content = self._body(parcel)
        if following is not None and following.entries:
            # It runs once the request is on its way: one parcel is written while the one before is answered.
            asyncio.get_running_loop().call_soon(self._write_ahead, following, parcel.entries[-1].position)
        tried = await self._poster.send(
            parcel, content, failures=holding.failures, failing_since=holding.failing_since
        )
        first, last = parcel.entries[0].position, parcel.entries[-1].position
        if isinstance(tried.decision, Advance):
            holding.accept(parcel, tried)
            holding.move(last, last)
            return None
        if isinstance(tried.decision, Park):
            failed = self._poster.record(tried, first, last, 1)
            parked = await holding.park(failed, attempts_made=holding.failures + 1)
            return None if parked else Ending.LOST
        return await self._rest(tried, first, last, len(parcel.entries))

    def _body(self, parcel: Parcel) -> bytes:
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] is parcel and ahead[1] == self._holding.sent:
            return ahead[2]
        return body(parcel, in_a_row(parcel, self._holding.sent), batched=self.policy.batch_max > 1)

    def _write_ahead(self, parcel: Parcel, sent: int) -> None:
        """``sent`` is the last position of the parcel under way: this one is only sent once that is accepted."""
        self._ahead = parcel, sent, body(parcel, in_a_row(parcel, sent), batched=self.policy.batch_max > 1)

    async def _rest(self, tried: Tried, first: int, last: int, entries: int) -> Ending:
        """Leave the cursor alone until the decision's time: ``entries`` from ``first`` to ``last`` failed."""
        return await self._give_up(tried.decision, self._poster.record(tried, first, last, entries))

    async def _rest_for_the_log(self, broken: LogBroken) -> Ending:
        """Leave the cursor alone for long: what follows cannot be read."""
        now, position = self._means.clock.now(), self._holding.position + 1
        decision = Retry(now + timedelta(seconds=self.policy.retry_max_s), None, str(broken))
        self._means.observe.attempted(self.policy.name, "unknown")
        return await self._give_up(decision, self._poster.record(Tried(decision, now, 0.0, 0), position, position, 1))

    async def _give_up(self, decision: object, failed: Attempt) -> Ending:
        assert isinstance(decision, Retry | Stop)
        now = failed.ended_at
        self.resting_until = decision.at if isinstance(decision, Retry) else now
        held = await self._holding.fail(failed, decision)
        logger.warning(
            "delivery.failed" if isinstance(decision, Retry) else "destination.stopped",
            destination=self.policy.name,
            stream=self.claim.stream,
            position=failed.first,
            entries=failed.entries,
            attempt=self._holding.failures + 1,
            status=decision.status,
            error=decision.error,
            retry_in_s=round((self.resting_until - now).total_seconds(), 3),
        )
        return Ending.RESTING if held else Ending.LOST
