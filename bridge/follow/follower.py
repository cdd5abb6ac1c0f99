"""Follows one source: reads its lines, has its holes mended, and writes what is settled.

Five loops over what they hand each other; none of them waits for another's call. What has no room is dropped
aloud, and is a hole to be mended. Who may follow is the caller's business.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.core.channel import Told
from bridge.core.errors import StoreUnavailable, VenueError
from bridge.core.timeline import micros, moment
from bridge.core.venue_clock import VenueClock
from bridge.follow.chained import ChainedStream
from bridge.follow.hearing import Hearing, worst
from bridge.follow.keeping import Keeper
from bridge.follow.limits import FollowLimits
from bridge.follow.mending import Mender
from bridge.follow.opening import FollowedStream, open_streams
from bridge.follow.timed import TimedStream
from bridge.follow.writing import Writer
from bridge.ingest.followed import Appended, Chapter
from bridge.sources.base import Alive, Connected, Disconnected, LiveUpdate, Subscribed, Unsubscribed
from bridge.sources.loud import Loud
from bridge.sources.market import MarketSource
from bridge.store import connections
from bridge.store.engine import store_errors


class Follower:
    """Use ``run`` for as long as the source is ours to follow; it begins with what the database knows."""

    def __init__(
        self,
        source: MarketSource,
        engine: AsyncEngine,
        clock: Clock,
        *,
        limits: FollowLimits | None = None,
        loud: Loud | None = None,
        on_append: Callable[[Appended, Chapter], None] = lambda appended, chapter: None,
    ) -> None:
        self._source = source
        self._engine = engine
        self._clock = clock
        self._limits = limits or FollowLimits()
        self._loud = loud or Loud(clock)
        self._on_append = on_append
        self._venue_clock = VenueClock()
        self._keeper = Keeper(engine, clock, self._loud)
        self._mender = Mender(source, clock, self._venue_clock, self._limits, self._keeper.read)
        self._lines: list[Hearing] = []
        self._line_of: dict[str, Hearing] = {}
        self._suspect: set[str] = set()
        self._mending: set[str] = set()
        self._writer: Writer | None = None

    async def run(self) -> None:
        """Follow until cancelled. Raises Overtaken when another follower has written: begin anew then."""
        streams = await open_streams(self._engine, self._source.name, self._source.channels, self._limits)
        self._writer = Writer(self._engine, self._clock, self._limits, self._loud, self._on_append)
        self._lines = [
            Hearing(line, {channel.series: streams[channel.series] for channel in line.channels})
            for line in self._source.lines
        ]
        self._line_of = {series: heard for heard in self._lines for series in heard.streams}
        self._suspect, self._mending = set(streams), set()
        async with asyncio.TaskGroup() as tasks:
            for heard in self._lines:
                tasks.create_task(self._read(heard))
            tasks.create_task(self._writer.run(self._prove_before_writing))
            tasks.create_task(self._mend(tasks))
            tasks.create_task(self._prove())
            tasks.create_task(self._stand())

    async def audit(self) -> int:
        """Read again what the lists hold of everything that is heard well; how many events had been missed."""
        found = 0
        for heard in self._lines:
            for series, stream in heard.streams.items():
                if isinstance(stream, TimedStream) and series in heard.subscribed and series not in self._suspect:
                    found += await self._audit(stream)
        return found

    async def _audit(self, stream: TimedStream) -> int:
        began_at = self._clock.now()
        try:
            audited_until_us = await self._keeper.audited_until(stream.stream_id)
            looked = await self._mender.audit(stream, audited_until_us)
        except VenueError as error:
            self._loud.say("audit.failed", stream=stream.name, reason=str(error))
            await self._keeper.failed(stream.stream_id, began_at, str(error))
            return 0
        if looked is None:
            return 0
        await self._keeper.audited(stream, began_at, looked)
        if looked.found_us:
            self._loud.say("audit.found", stream=stream.name, times=len(looked.found_us))
            self._news(stream)
        return len(looked.found_us)

    # Reading

    async def _read(self, heard: Hearing) -> None:
        async with aclosing(heard.line.live()) as updates:
            async for update in updates:
                if type(update) is Told:
                    self._hear(heard, update)
                else:
                    self._follow(heard, update)

    def _hear(self, heard: Hearing, told: Told) -> None:
        stream = heard.streams.get(told.series)
        if stream is None:
            self._loud.say("frame.unwanted", source=self._source.name, series=told.series)
            return
        stream.live(told)
        if stream.overflowed:
            self._loud.say("frame.dropped", stream=stream.name)
            self._suspect.add(told.series)
        elif isinstance(stream, ChainedStream) and stream.sequel.broken:
            self._suspect.add(told.series)
        self._news(stream)

    def _follow(self, heard: Hearing, update: LiveUpdate) -> None:
        match update:
            case Alive():
                self._alive(heard, update)
            case Connected():
                heard.state, heard.detail = "connected", ""
            case Subscribed(series):
                self._subscribed(heard, series)
            case Unsubscribed(series, reason):
                self._loud.say("channel.refused", source=self._source.name, series=",".join(series), reason=reason)
                self._unheard(heard, series)
            case Disconnected(reason, misconfigured):
                heard.state, heard.detail = ("misconfigured" if misconfigured else "disconnected"), reason
                self._unheard(heard, tuple(heard.streams))
                heard.proven_us = None
            case _:
                pass

    def _alive(self, heard: Hearing, alive: Alive) -> None:
        if alive.sent_at is not None:
            self._venue_clock.note(alive.sent_at, alive.heard_s)
        asked_at = None if alive.asked_s is None else self._venue_clock.at(alive.asked_s)
        for until in (alive.sent_at, asked_at):
            if until is not None:
                heard.proven_us = max(heard.proven_us or 0, micros(until))
                heard.proven_at_s = alive.heard_s
        assert self._writer is not None
        self._writer.call()

    def _subscribed(self, heard: Hearing, series: tuple[str, ...]) -> None:
        now_us = self._now_us()
        for one in series:
            stream = heard.streams.get(one)
            if stream is None:
                continue
            heard.subscribed.add(one)
            if isinstance(stream, TimedStream):
                stream.subscribed(now_us)
            else:
                stream.subscribed()
            self._mender.subscribed(stream)
            self._suspect.add(one)

    def _unheard(self, heard: Hearing, series: tuple[str, ...]) -> None:
        """What was proven until now stays so; then nobody hears it."""
        for one in series:
            stream = heard.streams.get(one)
            if stream is not None:
                self._prove_stream(heard, stream)
                stream.unheard()
                heard.subscribed.discard(one)
                self._suspect.add(one)
                self._news(stream)

    def _news(self, stream: FollowedStream) -> None:
        assert self._writer is not None
        self._writer.has_news(stream)

    # Proving

    def _now_us(self) -> int:
        """What the venue's clock shows at least; our own where the venue never said a time."""
        known = self._venue_clock.at(self._clock.monotonic())
        if known is None:
            self._loud.say("venue.clock.assumed", source=self._source.name)
        return micros(known or self._clock.now())

    def _prove_stream(self, heard: Hearing, stream: FollowedStream) -> None:
        if heard.proven_us is not None:
            stream.alive(heard.proven_us)

    def _prove_before_writing(self, stream: FollowedStream) -> None:
        self._prove_stream(self._line_of[stream.channel.series], stream)

    async def _prove(self) -> None:
        """Ping the lines that are quiet while something waits for their word."""
        while True:
            await self._clock.sleep(self._limits.prove_every_s / 2)
            assert self._writer is not None
            waiting = {
                id(self._line_of[stream.channel.series])
                for stream in self._writer.busy()
                if isinstance(stream, TimedStream) and stream.awaits_proof
            }
            now_s = self._clock.monotonic()
            for heard in self._lines:
                if id(heard) in waiting and now_s - heard.proven_at_s >= self._limits.prove_every_s:
                    await heard.line.prove()

    # Mending

    async def _mend(self, tasks: asyncio.TaskGroup) -> None:
        """Look at what may have a hole, and mend it side by side."""
        free = asyncio.Semaphore(self._limits.repairs_side_by_side_max)
        while True:
            await self._clock.sleep(self._limits.look_every_s)
            now_us = self._now_us() if self._suspect else 0
            for series in sorted(self._suspect - self._mending):
                heard = self._line_of[series]
                stream = heard.streams[series]
                if stream.has_room_again and heard.state == "connected":
                    await heard.line.resubscribe(series) if isinstance(stream, ChainedStream) else None
                    self._subscribed(heard, (series,))
                self._prove_stream(heard, stream)
                if self._is_whole(heard, stream, now_us):
                    self._suspect.discard(series)
                elif self._mender.is_due(stream, now_us):
                    self._mending.add(series)
                    tasks.create_task(self._mend_one(series, heard, stream, now_us, free))
                self._news(stream)

    async def _mend_one(
        self, series: str, heard: Hearing, stream: FollowedStream, now_us: int, free: asyncio.Semaphore
    ) -> None:
        try:
            async with free:
                await self._mender.mend(stream, heard.line, now_us)
        finally:
            self._mending.discard(series)
        self._news(stream)

    def _is_whole(self, heard: Hearing, stream: FollowedStream, now_us: int) -> bool:
        if stream.channel.series not in heard.subscribed or stream.overflowed:
            return False
        if isinstance(stream, ChainedStream):
            return not stream.sequel.broken
        return stream.hole(now_us) is None

    # Standing

    async def _stand(self) -> None:
        """Write down that quiet time is complete time, and by what each stream is heard."""
        while True:
            await self._clock.sleep(self._limits.stand_every_s)
            assert self._writer is not None
            standing: list[tuple[int, int, datetime]] = []
            states: list[tuple[int, str, str]] = []
            for heard in self._lines:
                for series, stream in heard.streams.items():
                    self._prove_stream(heard, stream)
                    settled_us = self._writer.settled(stream)
                    if settled_us is not None:
                        standing.append((stream.stream_id, stream.position, moment(settled_us)))
                    states.append((stream.stream_id, *heard.state_of(series)))
            try:
                await self._writer.stand(standing, states)
                await self._tell()
            except StoreUnavailable as error:
                self._loud.say("follower.waiting", source=self._source.name, reason=str(error))

    async def _tell(self) -> None:
        if not self._lines:
            return
        state, detail = worst(self._lines)
        with store_errors():
            async with self._engine.begin() as connection:
                await connections.put(
                    connection,
                    source=self._source.name,
                    state=state,
                    detail=detail,
                    now=self._clock.now(),
                )
