"""The door's queue: many callers share one commit, one commit in flight per stream, no timer.

Whatever waits while a transaction is in the database joins the next one. The queue is bounded; a batch
that Postgres refuses is committed piece by piece, so that one bad event never costs its neighbours theirs.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.core.errors import Overloaded, StoreRefused, StoreUnavailable
from bridge.core.event import Event, Transport
from bridge.ingest.submission import Answer, Finding, NewEpoch, Receipt, StreamSpec, Submission
from bridge.ingest.transaction import Committed, commit, commit_plain
from bridge.store import follows, streams, sweeps
from bridge.store.direct import Direct, taken_out
from bridge.store.engine import store_errors
from bridge.store.finish import Finished

_Waiting = tuple[Submission, Answer]

SWEEP_KINDS = ("tail", "audit")


@dataclass(slots=True)
class _Lane:
    """One stream's queue."""

    spec: StreamSpec
    stream_id: int
    waiting: deque[_Waiting] = field(default_factory=deque)
    events_waiting: int = 0
    busy: bool = False
    unsettled: bool = True  # a predecessor may have been killed in the middle of a long stretch
    last: Finished | None = None  # since then nothing has failed; another process may have committed

    def take(self, events_max: int) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self.waiting and (not batch or size + len(self.waiting[0][0].events) <= events_max):
            batch.append(self.waiting.popleft())
            size += len(batch[-1][0].events)
        self.events_waiting -= size
        return batch


class Door:
    """Where events come in. Use as ``async with``: its commits run in a task group of its own."""

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Clock,
        specs: Mapping[str, StreamSpec],
        *,
        events_waiting_max: int = 20_000,
        batch_events_max: int = 1_000,
        on_commit: Callable[[Committed], None] = lambda committed: None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._specs = dict(specs)
        self._lanes: dict[str, _Lane] = {}
        self._opening = asyncio.Lock()
        self._events_waiting_max = events_waiting_max
        self._batch_events_max = batch_events_max
        self._on_commit = on_commit
        self._tasks = asyncio.TaskGroup()
        self._draining: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)

    async def accept(
        self,
        stream: str,
        events: Sequence[Event],
        *,
        transport: Transport,
        reread_below: int = 0,
        audit: int | None = None,
    ) -> Receipt:
        """Store ``events``; returns after the commit that holds them.

        A reader that looks at numbers again says so with ``reread_below``: they are not counted as heard twice. The
        audit names its pass: what it finds missing is counted there, and goes down as a gap.

        Raises:
            StoreRefused: Postgres will not take these events; nothing of this call was stored.
            Overloaded: more is waiting than ``events_waiting_max``; nothing of this call was stored.
            StoreUnavailable: the database is away; whether this call was stored is unknown.
        """
        return await self._submit(stream, Submission(events, transport, reread_below, audit))

    def offer(self, stream: str, events: Sequence[Event], answer: Answer, *, transport: Transport) -> None:
        """``accept`` for a caller without a task: ``answer`` is told after the commit. The stream was opened before.

        Raises:
            Overloaded: more is waiting than ``events_waiting_max``; ``answer`` hears nothing of it.
        """
        self._put(self._lanes[stream], Submission(events, transport), answer)

    async def record(self, stream: str, finding: Finding) -> Receipt:
        """Add what a reader found out to what is known of the stream, and settle all that is complete.

        What was found out of an epoch that is sealed by now says nothing of the present one and is ignored.
        """
        return await self._submit(stream, Submission(finding=finding))

    async def open_epoch(self, stream: str, epoch: NewEpoch) -> Receipt:
        """Seal the stream's epoch and begin the next one. Does nothing if that epoch was sealed before."""
        return await self._submit(stream, Submission(epoch=epoch))

    async def ring(self, stream: str) -> None:
        """Have the tail of the numbered stream read at once."""
        with store_errors():
            async with self._engine.begin() as connection:
                await sweeps.ring(connection, stream=stream, now=self._clock.now())

    async def open(self, stream: str) -> int:
        """Make the stream if it is new; returns its id."""
        return (await self._lane(stream)).stream_id

    def abandon(self) -> None:
        """Give up the commits under way: there is no more time to wait for the database."""
        for draining in self._draining:
            draining.cancel()

    async def _submit(self, stream: str, submission: Submission) -> Receipt:
        lane = self._lanes.get(stream) or await self._lane(stream)
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._put(lane, submission, future)
        return await future

    def _put(self, lane: _Lane, submission: Submission, answer: Answer) -> None:
        if lane.events_waiting + len(submission.events) > self._events_waiting_max:
            raise Overloaded(f"{lane.spec.name}: {lane.events_waiting} events are waiting for the database")
        lane.waiting.append((submission, answer))
        lane.events_waiting += len(submission.events)
        if not lane.busy:
            lane.busy = True
            draining = self._tasks.create_task(self._drain(lane))
            self._draining.add(draining)
            draining.add_done_callback(self._draining.discard)

    async def _lane(self, stream: str) -> _Lane:
        async with self._opening:
            if stream not in self._lanes:
                spec = self._specs[stream]
                with store_errors():
                    async with self._engine.begin() as connection:
                        row = await streams.ensure(
                            connection,
                            name=spec.name,
                            source=spec.source,
                            numbering=spec.numbering,
                            settle_s=spec.settle_s,
                        )
                        if spec.numbering == "venue":
                            await sweeps.ensure(
                                connection, stream_id=row.id, kinds=SWEEP_KINDS, now=self._clock.now()
                            )
                        if spec.channel is not None:
                            # Nobody has to connect for what comes by delivery; who listens says so himself.
                            await follows.ensure(
                                connection, stream_id=row.id, channel=spec.channel, state="subscribed"
                            )
                self._lanes[stream] = _Lane(spec, row.id)
            return self._lanes[stream]

    async def _drain(self, lane: _Lane) -> None:
        """Commit batch after batch until nothing waits. Errors go to the callers, never out of here."""
        try:
            while lane.waiting:
                await self._drain_on_one_connection(lane)
        finally:
            lane.busy = False

    async def _drain_on_one_connection(self, lane: _Lane) -> None:
        """One connection for as long as something waits; where there is none, who waits is told."""
        batch: list[_Waiting] = []
        try:
            with store_errors():
                async with taken_out(self._engine) as connection:
                    while lane.waiting:
                        batch = lane.take(self._batch_events_max)
                        await self._commit_batch(connection, lane, batch)
        except StoreUnavailable as error:
            _fail(batch or lane.take(self._batch_events_max), error)
        except BaseException:
            _fail(batch, StoreUnavailable("the bridge is stopping"))
            raise

    async def _commit_batch(self, connection: Direct, lane: _Lane, batch: list[_Waiting]) -> None:
        """Commit the batch, or, where Postgres refuses it, its halves: one bad event costs no other its place."""
        try:
            with store_errors():
                committed = await self._transact(connection, lane, [submission for submission, _ in batch])
        except StoreRefused as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            middle = len(batch) // 2
            await self._commit_batch(connection, lane, batch[:middle])
            await self._commit_batch(connection, lane, batch[middle:])
        else:
            for (_, answer), receipt in zip(batch, committed.receipts, strict=True):
                if not answer.done():
                    answer.set_result(receipt)

    async def _transact(self, connection: Direct, lane: _Lane, batch: list[Submission]) -> Committed:
        """Commit the batch; what is complete but too long to settle in one transaction follows in more of them."""
        committed = await self._commit(connection, lane, batch)
        while lane.unsettled:
            await self._commit(connection, lane, [])
        return committed

    async def _commit(self, connection: Direct, lane: _Lane, batch: list[Submission]) -> Committed:
        now, last = self._clock.now(), lane.last
        lane.last, committed = None, None
        if last is not None and not lane.unsettled:
            committed = await commit_plain(connection, lane.spec, last, batch, now=now)
        if committed is None:
            async with connection.transaction():
                committed = await commit(connection, lane.spec, lane.stream_id, batch, now=now, walk=lane.unsettled)
        lane.last = Finished(committed.stream, committed.version)  # and not what was told: it may be large
        lane.unsettled = committed.unsettled
        self._on_commit(committed)
        return committed


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for _, answer in batch:
        if not answer.done():
            answer.set_exception(error)
