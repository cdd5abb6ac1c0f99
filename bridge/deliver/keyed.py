"""A claimed cursor whose entries go out side by side, each key's in order.

The cursor moves over what is acknowledged without a hole. What is acknowledged above that is kept with it, so that
only a crash sends anything twice.
"""

import asyncio
from collections import deque
from datetime import timedelta
from typing import NamedTuple

import structlog

from bridge.core.delivery import Advance, Park, Retry, Stop
from bridge.core.destination import DestinationPolicy
from bridge.core.errors import StoreUnavailable
from bridge.deliver.lanes import Lanes
from bridge.deliver.limits import Means
from bridge.deliver.parcel import Parcel, body
from bridge.deliver.posting import Tried
from bridge.deliver.pump import Ending, Pump
from bridge.store.attempts import Attempt
from bridge.store.cursors import Claim
from bridge.store.log import LogBroken

logger = structlog.get_logger()

WINDOW_MAX = 4_000
"""Entries held between the cursor and where the log was read to."""
WINDOW_BYTES_MAX = 8 << 20


class _Back(NamedTuple):
    """A post that has come to its end."""

    key: str
    parcel: Parcel
    tried: Tried


class KeyedPump(Pump):
    """Delivers one claimed cursor with several posts under way."""

    def __init__(self, claim: Claim, policy: DestinationPolicy, means: Means, *, claimed: float) -> None:
        super().__init__(claim, policy, means, claimed=claimed)
        self._lanes = Lanes(claim.position, claim.sent, self._holding.ahead)
        self._back: deque[_Back] = deque()
        self._may_be_more = True

    def wake(self) -> None:
        self._may_be_more = True
        super().wake()

    async def run(self, *, stay: bool) -> Ending:
        """As its base; a lane that fails rests while the others go on."""
        away: StoreUnavailable | None = None
        ending = Ending.LOST
        async with asyncio.TaskGroup() as posts:
            try:
                ending = await self._go_on(posts, stay=stay) or await self._come_home()
            except LogBroken as broken:
                ending = await self._rest_for_the_log(broken)
            except StoreUnavailable as error:
                away = error  # the posts under way come to their end before it is told
        if away is not None:
            raise away
        return ending

    async def _go_on(self, posts: asyncio.TaskGroup, *, stay: bool) -> Ending | None:
        """Keep posts under way; None where it is time to end."""
        clock, linger_s = self._means.clock, self._means.limits.linger_s
        last_news = clock.monotonic()
        while not self._leaving:
            self.woken.clear()
            ending = await self._take_back()
            if ending is None and self._lanes.is_empty:
                ending = await self._notify()
            if ending is not None:
                return ending
            found = await self._refill()
            self._depart(posts)
            if self._holding.is_due() and not await self._holding.keep():
                return Ending.LOST
            if not stay and not self._lanes.is_moving and not found:
                return None
            if found or not self._lanes.is_empty:
                last_news = clock.monotonic()
            elif clock.monotonic() - last_news >= linger_s:
                return None
            if not found and not self._back:
                await self._wait()
        return None

    async def _come_home(self) -> Ending:
        """Wait for the posts under way, and give the cursor back with what they brought."""
        while self._lanes.flying:
            self.woken.clear()
            if not self._back:
                await self._wait()
            ending = await self._take_back()
            if ending is not None:
                return ending
        rest_until = self._lanes.next_wait()
        if rest_until is None or self._leaving:
            return Ending.IDLE if await self._holding.give_back() else Ending.LOST
        clock = self._means.clock
        self.resting_until = clock.now() + timedelta(seconds=max(0.0, rest_until - clock.monotonic()))
        return Ending.RESTING if await self._holding.give_back(self.resting_until) else Ending.LOST

    async def _refill(self) -> bool:
        """Read on in the log where there may be more and there is room for it; whether that brought anything."""
        lanes = self._lanes
        no_room = lanes.held + self._slice_max > WINDOW_MAX or lanes.bytes_held >= WINDOW_BYTES_MAX
        if no_room or not self._may_be_more:
            return False
        self._may_be_more = False
        entries = await self._read(lanes.read_to)
        lanes.add(entries, (self._wants(entry) for entry in entries))
        self._follow_lanes()
        self._may_be_more = self._may_be_more or self._is_full(entries)
        return bool(entries)

    def _depart(self, posts: asyncio.TaskGroup) -> None:
        monotonic = self._means.clock.monotonic()
        while self._lanes.flying < self.policy.in_flight_max:
            if not self._lanes.has_ready(monotonic):
                return
            if self._means.throttle.wait_s(self.policy, monotonic=monotonic) > 0:
                return
            key, parcel, failures = self._lanes.depart(self.policy)
            content = body(parcel, self._lanes.previous(parcel), batched=self.policy.batch_max > 1)
            posts.create_task(self._fly(key, parcel, content, failures))

    async def _fly(self, key: str, parcel: Parcel, content: bytes, failures: int) -> None:
        tried = await self._poster.send(parcel, content, failures=failures, failing_since=self._holding.failing_since)
        self._back.append(_Back(key, parcel, tried))
        self.woken.set()

    async def _take_back(self) -> Ending | None:
        while self._back:
            key, parcel, tried = self._back.popleft()
            if isinstance(tried.decision, Advance):
                self._holding.accept(parcel, tried)
                self._lanes.arrive(key, accepted=True)
                self._follow_lanes()
                continue
            failed = self._poster.record(
                tried, parcel.entries[0].position, parcel.entries[-1].position, len(parcel.entries)
            )
            ending = await self._take_failure(key, tried, failed)
            if ending is not None:
                return ending
        return None

    async def _take_failure(self, key: str, tried: Tried, failed: Attempt) -> Ending | None:
        decision = tried.decision
        if isinstance(decision, Stop):
            return await self._give_up(decision, failed)
        if isinstance(decision, Park):
            if not await self._holding.park(failed, attempts_made=self._lanes.failures(key) + 1):
                return Ending.LOST
            self._lanes.arrive(key, accepted=False)
            self._follow_lanes()
            return None
        assert isinstance(decision, Retry)
        if not await self._holding.note(failed):
            return Ending.LOST
        wait_s = (decision.at - failed.ended_at).total_seconds()
        self._lanes.fail(key, until=self._means.clock.monotonic() + wait_s)
        logger.warning(
            "delivery.failed",
            destination=self.policy.name,
            stream=self.claim.stream,
            position=failed.first,
            entries=failed.entries,
            status=decision.status,
            error=decision.error,
            retry_in_s=round(wait_s, 3),
        )
        return None

    def _follow_lanes(self) -> None:
        self._holding.move(self._lanes.done, self._lanes.sent)
        self._holding.ahead = self._lanes.ahead

    async def _wait(self) -> None:
        """Until something came back, or somebody calls, or a lane may go on, or something is to be settled."""
        limits, monotonic = self._means.limits, self._means.clock.monotonic()
        wait_s = limits.linger_s if self._holding.is_settled else limits.settle_every_s
        rest_until = self._lanes.next_wait()
        if rest_until is not None:
            wait_s = min(wait_s, max(0.0, rest_until - monotonic))
        if self.policy.rate_per_s is not None:
            wait_s = min(wait_s, 1 / self.policy.rate_per_s)
        try:
            async with asyncio.timeout(wait_s):
                await self.woken.wait()
        except TimeoutError:
            self._may_be_more = True  # nobody may have called
