"""A whole small world under one hand-moved clock: a lying venue, the bridge on a real Postgres, and the truth."""

import json
from collections import Counter
from datetime import datetime, timedelta
from random import Random
from typing import Self

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.chain import ORIGIN, link
from bridge.core.errors import VenueError
from bridge.core.event import Kind, LogEntry, Transport
from bridge.ingest import Door, StreamSpec
from bridge.reconcile import Reconciler, ReplayLimits
from bridge.sim.playbatman import API_KEY, Faults, Venue, rest_app
from bridge.sources.base import Page, Replay
from bridge.sources.playbatman.page import PageReader
from bridge.sources.playbatman.webhook import WebhookReader
from bridge.store import gaps, log, streams
from bridge.store.streams import Stream

START = datetime(2026, 2, 18, 23, 0).astimezone()
STREAM = "pb.events"
STEP_S = 0.25
READ_LIMIT = 100_000


class ShiftedClock(ManualClock):
    """The same flow of time, with wall time off by a constant."""

    def __init__(self, base: ManualClock, shift_s: float) -> None:
        self._base = base
        self._shift = timedelta(seconds=shift_s)

    def now(self) -> datetime:
        return self._base.now() + self._shift

    def monotonic(self) -> float:
        return self._base.monotonic()

    def advance(self, seconds: float) -> None:
        self._base.advance(seconds)


class AsgiReplay:
    """The venue's replay over real HTTP messages, without a socket."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._reader = PageReader()
        self.calls = 0

    async def page(self, *, since: int | None, limit: int, urgent: bool = False) -> Page:
        self.calls += 1
        params = {"limit": limit} | ({} if since is None else {"since": since})
        try:
            response = await self._client.get("/api/v1/events", params=params)
        except httpx.HTTPError as error:
            raise VenueError(type(error).__name__) from error
        if response.status_code != 200:
            raise VenueError(f"HTTP {response.status_code}")
        venue_now = datetime.strptime(response.headers["date"], "%a, %d %b %Y %H:%M:%S %Z").astimezone()
        return self._reader.page(response.content, venue_now)


class World:
    """Use as ``async with``. ``deaf`` makes the receiver answer 503, as while the bridge is down."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        seed: int,
        faults: Faults,
        limits: ReplayLimits | None = None,
        shift_s: float = 0.0,
        retention_s: float = 86_400.0,
        rate_per_s: float = 8.0,
        name: str = STREAM,
    ) -> None:
        self.engine = engine
        self.time = ManualClock(START)
        self.clock = ShiftedClock(self.time, shift_s)
        self.dice = Random(f"{seed}:world")
        self.venue = Venue(seed=seed, start=START, faults=faults, retention_s=retention_s)
        self.limits = limits or ReplayLimits(
            every_s=5.0,
            audit_every_s=20.0,
            page_max=50,
            overlap=20,
            retention_s=retention_s,
            margin_s=retention_s / 50,
        )
        self.rate_per_s = rate_per_s
        self.name = name
        self.deaf = False
        self._webhooks = WebhookReader()
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(rest_app(self.venue, clock=self.time)),
            base_url="http://venue.test",
            headers={"X-Api-Key": API_KEY},
        )
        self.replay = AsgiReplay(client)
        spec = StreamSpec(
            name, "pb", "venue", settle_s=self.limits.settle_s, tell_below_base=self.limits.start == "oldest"
        )
        self.door = Door(engine, self.clock, {name: spec})
        self.restart()

    def restart(self, replay: Replay | None = None) -> None:
        """A new process: all memory between reads is gone. ``replay`` is asked in place of the venue's own."""
        self.reconciler = Reconciler(
            self.engine,
            self.door,
            self.clock,
            replay or self.replay,
            stream=self.name,
            source="pb",
            limits=self.limits,
            dice=self.dice,
        )

    async def __aenter__(self) -> Self:
        await self.door.__aenter__()
        await self.door.open(self.name)
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.door.__aexit__(None, None, None)

    async def step(self, *, emitting: bool = True) -> None:
        """A quarter of a second: the venue assigns, webhooks come in, the reconciler does what is due."""
        self.time.advance(STEP_S)
        if emitting:
            wanted = self.rate_per_s * STEP_S
            count = int(wanted) + (self.dice.random() < wanted % 1)
            self.venue.emit(self.time.now(), count)
        await self.hear()
        await self.reconciler.tick()

    async def hear(self) -> None:
        for delivery in self.venue.deliveries_due(self.time.now()):
            if not self.deaf:
                event = self._webhooks.event(delivery.body, delivery.delivery_id)
                await self.door.accept(self.name, [event], transport=Transport.WEBHOOK)
            self.venue.delivered(delivery, not self.deaf, self.time.now())

    async def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            await self.step()

    async def pause(self, seconds: float) -> None:
        """Time passes and nothing is assigned."""
        for _ in range(round(seconds / STEP_S)):
            await self.step(emitting=False)

    async def calm(self, seconds: float = 240.0) -> None:
        """The faults stop; steps until everything assigned is below the frontier, for ``seconds`` at most."""
        self.venue.faults = Faults(contiguous=self.venue.faults.contiguous)
        for _ in range(round(seconds / STEP_S)):
            await self.step(emitting=False)
            head = self.venue.head
            stream = await self.stream()
            passed = head is None or ((stream.frontier or 0) > head.sequence and stream.epoch == head.epoch)
            if passed and not self.venue.pending_deliveries and not self.venue.uncommitted(self.time.now()):
                await self.settle_tail()
                return

    async def settle_tail(self) -> None:
        """One more tail read and tick, so that what just closed is on record."""
        await self.door.ring(self.name)
        await self.step(emitting=False)
        await self.step(emitting=False)

    async def stream(self) -> Stream:
        async with self.engine.connect() as connection:
            found = await streams.read(connection, self.name)
        assert found is not None
        return found

    async def entries(self) -> list[LogEntry]:
        stream = await self.stream()
        async with self.engine.connect() as connection:
            return await log.read(connection, stream_id=stream.id, stream=self.name, after=0, limit=READ_LIMIT)

    async def gap_counts(self) -> dict[str, int]:
        stream = await self.stream()
        async with self.engine.connect() as connection:
            return await gaps.counts(connection, stream_id=stream.id)

    # The promises.

    async def check_safety(self) -> None:
        """What must hold at any moment, whatever the venue does."""
        stream, entries = await self.stream(), await self.entries()
        venue_events = [e for e in entries if e.sequence is not None]
        numbers = [(e.epoch, e.sequence) for e in venue_events]
        assert max(Counter(numbers).values(), default=1) == 1, "once"
        in_order = [(e.epoch, e.sequence) for e in venue_events if e.kind is Kind.EVENT]
        assert in_order == sorted(in_order), "order"
        assert [e.position for e in entries] == list(range(1, len(entries) + 1)), "dense"
        chain = ORIGIN
        for entry in entries:
            chain = link(chain, entry.position, entry.kind, entry.epoch, entry.sequence, entry.digest)
            assert entry.chain == chain, "chained"
        assert stream.chain == chain
        assert stream.position == len(entries)

    async def untold(self) -> list[int]:
        """Numbers of this epoch that the venue assigned, that the frontier passed, and that nothing tells of."""
        stream, entries = await self.stream(), await self.entries()
        if stream.frontier is None or stream.base is None:
            return []
        told = {e.sequence for e in entries if e.epoch == stream.epoch and e.sequence is not None}
        lost: set[int] = set()
        for entry in entries:
            if entry.kind is Kind.GAP and entry.epoch == stream.epoch:
                gap = json.loads(entry.payload)
                lost |= set(range(gap["first"], gap["last"] + 1))
        passed = (
            row.sequence
            for row in self.venue.assigned()
            if row.epoch == stream.epoch
            and row.sequence < stream.frontier
            and (row.sequence >= stream.base or self.limits.start == "oldest")
        )
        return [number for number in passed if number not in told and number not in lost]

    async def check_nothing_late(self) -> None:
        """Where no venue is slower than the settling time, no proof is ever refuted."""
        assert [entry.sequence for entry in await self.entries() if entry.kind is Kind.LATE] == []

    async def check_complete(self) -> None:
        """After the faults stopped: everything that was retained is told, and no gap is open.

        The venue began empty, so that is everything from the first number on.
        """
        stream = await self.stream()
        head = self.venue.head
        assert head is None or (stream.frontier or 0) > head.sequence, f"frontier {stream.frontier} head {head}"
        assert await self.untold() == []
        assert stream.gaps_open == 0
        assert (await self.gap_counts()).get("open", 0) == 0
        assert stream.suspect_at is None
