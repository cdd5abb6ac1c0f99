"""Delivery to all destinations: claim the cursors that are due, and let each have a pump of its own.

A pump is a task and a destination has only so many, so one that is slow or dead delays nobody else. What is due
is a row with a time; what this file remembers only spares the database questions.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.core.destination import DestinationPolicy, Order, matcher
from bridge.core.errors import StoreUnavailable
from bridge.deliver.keyed import KeyedPump
from bridge.deliver.limits import DeliveryLimits, Means, Observe, Posting, Unobserved
from bridge.deliver.parking import send_again
from bridge.deliver.pump import Ending, Pump
from bridge.deliver.throttle import Throttle
from bridge.egress import Egress
from bridge.store import cursors, destinations
from bridge.store.cursors import Wish
from bridge.store.engine import store_errors

logger = structlog.get_logger()

Pair = tuple[int, int]
"""A cursor's key: destination id, stream id."""


class Deliverer:
    """Delivers the log to every destination of ``policies``. Any number of these may work on one database."""

    def __init__(
        self,
        engine: AsyncEngine,
        egress: Egress,
        clock: Clock,
        *,
        policies: Sequence[DestinationPolicy],
        jitter: Callable[[], float],
        limits: DeliveryLimits | None = None,
        observe: Observe | None = None,
        posting: Posting | None = None,
    ) -> None:
        reading = engine.execution_options(isolation_level="AUTOCOMMIT")
        told, limits = observe or Unobserved(), limits or DeliveryLimits()
        self._means = Means(engine, reading, egress, clock, jitter, limits, told, Throttle(), posting)
        self._policies = policies
        self._own = frozenset(policy.name for policy in policies)
        self._pairs: dict[Pair, DestinationPolicy] = {}
        self._streams: dict[str, int] = {}
        self._pumps: dict[Pair, Pump] = {}
        self._resting: dict[Pair, float] = {}
        self._quiet: dict[Pair, float] = {}
        self._unreturned: dict[Pair, int] = {}
        self._wanted: set[Pair] = set()
        self._called = asyncio.Event()
        self._next_poll = 0.0
        self._stopping = False
        self._again: asyncio.Task[None] | None = None

    def wake(self, stream: str) -> None:
        """There may be more in the stream's log. Cheap; a hint only: without it, a poll finds out."""
        stream_id = self._streams.get(stream)
        if stream_id is None:
            self._next_poll = 0.0
            self._called.set()
            return
        for pair in self._pairs:
            if pair[1] != stream_id:
                continue
            if pair in self._pumps:
                self._pumps[pair].wake()
            elif pair not in self._resting:
                quiet_until = self._quiet.pop(pair, 0.0)
                if quiet_until > self._means.clock.monotonic():
                    self._resting[pair] = quiet_until
                else:
                    self._wanted.add(pair)
                self._called.set()

    def stop(self) -> None:
        """Let every pump finish its post and give its cursor back; ``run`` returns then."""
        self._stopping = True
        for pump in self._pumps.values():
            pump.leave()
        self._called.set()

    async def run(self) -> None:
        """Deliver until ``stop``."""
        async with asyncio.TaskGroup() as group:
            while not self._stopping:
                self._called.clear()
                try:
                    await self.tick(group)
                except StoreUnavailable as error:
                    logger.warning("delivery.waiting", error=str(error))
                    self._next_poll = self._means.clock.monotonic() + self._means.limits.poll_s
                await self._wait()

    async def tick(self, group: asyncio.TaskGroup) -> int:
        """Claim what is due and start its pumps in ``group``; returns how many."""
        monotonic = self._means.clock.monotonic()
        for pair in [pair for pair, until in self._resting.items() if until <= monotonic]:
            del self._resting[pair]
            self._wanted.add(pair)
        called, self._wanted = self._wanted, set()
        polling = monotonic >= self._next_poll
        if polling:
            await self._refresh()
            self._next_poll = monotonic + self._means.limits.poll_s
            if self._again is None or self._again.done():
                self._again = group.create_task(self._send_again())
        pumps = await self._claim(self._pairs if polling else called)
        for pump in pumps:
            group.create_task(self._stay(pump))
        # Who was called for and not gained is held elsewhere, or stopped: not every entry is to cost a question.
        for pair in called - self._pumps.keys():
            self._quiet[pair] = monotonic + self._means.limits.quiet_s
        return len(pumps)

    def adopt(self, policies: Sequence[DestinationPolicy]) -> None:
        """Deliver to these from now on. What goes on under an older policy comes to its end first.

        One that was not among the first has a row already, or is not delivered to: it may have been deleted.
        """
        self._policies = policies
        now = {policy.name: policy for policy in policies}
        for pair, policy in list(self._pairs.items()):
            if now.get(policy.name) == policy:
                continue
            del self._pairs[pair]
            if pair in self._pumps:
                self._pumps[pair].leave()
        self._next_poll = 0.0
        self._called.set()

    async def _send_again(self) -> None:
        """What was parked and is wanted again."""
        try:
            await send_again(self._means, {pair[0]: policy for pair, policy in self._pairs.items()})
        except StoreUnavailable as error:
            logger.warning("delivery.waiting", error=str(error))

    async def drain(self) -> int:
        """Deliver all that is due now, without waiting for anything; returns how many entries were accepted."""
        await self._refresh()
        accepted, candidates = 0, set(self._pairs)
        while pumps := await self._claim(candidates):
            async with asyncio.TaskGroup() as group:
                tasks = {pump: group.create_task(self._pump(pump, stay=False)) for pump in pumps}
            candidates -= {_pair(pump) for pump, task in tasks.items() if task.result() is not Ending.IDLE}
            accepted += sum(pump.accepted for pump in pumps)
        return accepted

    async def _refresh(self) -> None:
        """Every destination a row, and a cursor for every stream that it takes, also for new ones."""
        now, names = self._means.clock.now(), [policy.name for policy in self._policies]
        with store_errors():
            async with self._means.engine.begin() as conn:
                ids = await destinations.ensure(conn, [name for name in names if name in self._own], now=now)
                ids |= await destinations.ids(conn, [name for name in names if name not in self._own])
                streams = await cursors.streams(conn)
                pairs = _pairs(self._policies, ids, streams)
                if pairs.keys() - self._pairs.keys():
                    await cursors.ensure(conn, sorted(pairs), now=now)
        self._streams = streams
        self._pairs |= pairs

    async def _claim(self, candidates: Iterable[Pair]) -> list[Pump]:
        asked = self._with_room(candidates)
        if not asked:
            return []
        now, claimed, limits = self._means.clock.now(), self._means.clock.monotonic(), self._means.limits
        wishes = [
            Wish(
                *pair,
                until=now + limits.lease(self._pairs[pair]),
                held=self._unreturned.get(pair, 0),
                checkpoint_before=_checkpoint_before(self._pairs[pair], now),
            )
            for pair in asked
        ]
        with store_errors():
            async with self._means.engine.begin() as conn:
                claims = await cursors.claim(conn, wishes, now=now)
        pumps = []
        for claim in claims:
            pair = (claim.destination_id, claim.stream_id)
            policy = self._pairs[pair]
            made = KeyedPump if policy.order is Order.KEY else Pump
            pump = made(claim, policy, self._means, claimed=claimed)
            self._pumps[pair] = pump
            self._unreturned.pop(pair, None)
            self._resting.pop(pair, None)
            pumps.append(pump)
        return pumps

    def _with_room(self, candidates: Iterable[Pair]) -> list[Pair]:
        """Those of ``candidates`` that nobody here works on, for each destination as many as may start now.

        Who is asked for goes to the end of the line, so that all come round where there is not room for all.
        """
        room = {policy.name: self._means.limits.pumps_per_destination_max for policy in self._policies}
        for pump in self._pumps.values():
            if pump.policy.name in room:
                room[pump.policy.name] -= 1
        asked = []
        for pair in [pair for pair in self._pairs if pair in candidates and pair not in self._pumps]:
            policy = self._pairs[pair]
            if room[policy.name] > 0:
                room[policy.name] -= 1
                self._pairs[pair] = self._pairs.pop(pair)
                asked.append(pair)
        return asked

    async def _stay(self, pump: Pump) -> None:
        if self._stopping:
            pump.leave()
        await self._pump(pump, stay=True)

    async def _pump(self, pump: Pump, *, stay: bool) -> Ending:
        """Run the pump and remember what its ending says about when to ask for the cursor again."""
        pair, clock = _pair(pump), self._means.clock
        ending = Ending.LOST
        try:
            ending = await pump.run(stay=stay)
        except StoreUnavailable as error:
            self._unreturned[pair] = pump.claim.attempt
            logger.warning(
                "delivery.interrupted", destination=pump.policy.name, stream=pump.claim.stream, error=str(error)
            )
        finally:
            del self._pumps[pair]
        if ending is Ending.RESTING and pump.resting_until is not None:
            self._resting[pair] = clock.monotonic() + (pump.resting_until - clock.now()).total_seconds()
            self._called.set()
        elif ending is Ending.IDLE and pump.woken.is_set():
            self._wanted.add(pair)
            self._called.set()
        return ending

    async def _wait(self) -> None:
        """Until somebody calls, a rest is over, or it is time to poll."""
        until = min([self._next_poll, *self._resting.values()])
        wait_s = until - self._means.clock.monotonic()
        if wait_s > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._called.wait()


def _pair(pump: Pump) -> Pair:
    return pump.claim.destination_id, pump.claim.stream_id


def _checkpoint_before(policy: DestinationPolicy, now: datetime) -> datetime | None:
    return None if policy.checkpoint_every_s is None else now - timedelta(seconds=policy.checkpoint_every_s)


def _pairs(
    policies: Sequence[DestinationPolicy], ids: dict[str, int], streams: dict[str, int]
) -> dict[Pair, DestinationPolicy]:
    wanted: dict[Pair, DestinationPolicy] = {}
    for policy in policies:
        if policy.name not in ids:
            continue
        takes = matcher(policy.streams)
        wanted |= {(ids[policy.name], stream_id): policy for name, stream_id in streams.items() if takes(name)}
    return wanted
