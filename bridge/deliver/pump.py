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

from bridge.core.delivery import Advance, Retry, Stop, decide
from bridge.core.destination import DestinationPolicy, chooser
from bridge.core.event import LogEntry
from bridge.deliver.holding import Holding
from bridge.deliver.limits import Means
from bridge.deliver.parcel import Parcel, body, headers, parcels, size_of
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
    """Delivers one claimed cursor. Set ``woken`` when there may be more in its stream's log."""

    def __init__(self, claim: Claim, policy: DestinationPolicy, means: Means, *, claimed: float) -> None:
        self.claim = claim
        self.woken = asyncio.Event()
        self.resting_until: datetime | None = None
        self._policy = policy
        self._means = means
        self._holding = Holding(claim, policy, means, claimed=claimed)
        self._wants = chooser(policy)
        self._slice_max = max(means.limits.slice_max, policy.batch_max)
        self._leaving = False
        self._ahead: tuple[Parcel, bytes] | None = None

    @property
    def accepted(self) -> int:
        return self._holding.accepted

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
                entries = await self._read()
            except LogBroken as broken:
                return await self._rest(self._late_retry(str(broken)), None, started_at=clock.now(), latency_s=0.0)
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

    async def _read(self) -> list[LogEntry]:
        with store_errors():
            async with self._means.reading.connect() as conn:
                return await log.read(
                    conn,
                    stream_id=self.claim.stream_id,
                    stream=self.claim.stream,
                    after=self._holding.position,
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
        cut = tuple(parcels(entries, self._wants, size_of(self._policy, self._holding.failures)))
        for parcel, following in zip_longest(cut, cut[1:]):
            if self._leaving:
                return None
            if self._holding.is_due() and not await self._holding.keep():
                return Ending.LOST
            ending = await self._post(parcel, following) if parcel.entries else None
            if ending is not None:
                return ending
            self._holding.position = parcel.until
        return None

    async def _post(self, parcel: Parcel, following: Parcel | None) -> Ending | None:
        means, policy, holding = self._means, self._policy, self._holding
        now = means.clock.now()
        content = self._body(parcel)
        if following is not None and following.entries:
            # It runs once the request is on its way: one parcel is written while the one before is answered.
            asyncio.get_running_loop().call_soon(self._write_ahead, following, parcel.entries[-1].position)
        outcome = await means.egress.post(
            policy.url,
            headers(parcel, content, policy, timestamp_s=int(now.timestamp()), attempt=holding.failures + 1),
            content,
            timeout_s=policy.timeout_s,
            allow_private=policy.allow_private,
        )
        decision = decide(
            outcome, failures=holding.failures, now=means.clock.now(), policy=policy, jitter=means.jitter()
        )
        first, last = parcel.entries[0].position, parcel.entries[-1].position
        if not isinstance(decision, Advance):
            return await self._rest(decision, parcel, started_at=now, latency_s=outcome.latency_s)
        means.observe(policy.name, "accepted", outcome.latency_s)
        holding.accept(first, last, len(parcel.entries), started_at=now, latency_s=outcome.latency_s)
        return None

    def _body(self, parcel: Parcel) -> bytes:
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] is parcel:
            return ahead[1]
        return body(parcel, sent=self._holding.sent, batched=self._policy.batch_max > 1)

    def _write_ahead(self, parcel: Parcel, sent: int) -> None:
        """``sent`` is the last position of the parcel under way: this one is only sent once that is accepted."""
        self._ahead = parcel, body(parcel, sent=sent, batched=self._policy.batch_max > 1)

    async def _rest(
        self, decision: Retry | Stop, parcel: Parcel | None, *, started_at: datetime, latency_s: float
    ) -> Ending:
        """Leave the cursor alone until the decision's time: ``parcel`` failed, or what follows cannot be read."""
        now, entries = self._means.clock.now(), () if parcel is None else parcel.entries
        position = entries[0].position if entries else self._holding.position + 1
        self.resting_until = decision.at if isinstance(decision, Retry) else now
        failed = Attempt(
            destination_id=self.claim.destination_id,
            stream_id=self.claim.stream_id,
            first=position,
            last=entries[-1].position if entries else position,
            entries=max(1, len(entries)),
            outcome="unknown" if isinstance(decision, Retry) else "refused",
            status=decision.status,
            error=decision.error,
            latency_max_ms=latency_s * 1000,
            started_at=started_at,
            ended_at=now,
        )
        self._means.observe(self._policy.name, failed.outcome, latency_s)
        held = await self._holding.fail(failed, decision)
        logger.warning(
            "delivery.failed" if isinstance(decision, Retry) else "destination.stopped",
            destination=self._policy.name,
            stream=self.claim.stream,
            position=position,
            entries=failed.entries,
            attempt=self._holding.failures + 1,
            status=decision.status,
            error=decision.error,
            retry_in_s=round((self.resting_until - now).total_seconds(), 3),
        )
        return Ending.RESTING if held else Ending.LOST

    def _late_retry(self, error: str) -> Retry:
        return Retry(self._means.clock.now() + timedelta(seconds=self._policy.retry_max_s), None, error)
