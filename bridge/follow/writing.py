"""Writes what is settled: one transaction per stream and round, on one connection, for as long as there is news.

A chapter that was handed out is written before anything else of its stream, however often the database is away.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.core.errors import StoreUnavailable
from bridge.follow.limits import FollowLimits
from bridge.follow.opening import FollowedStream
from bridge.follow.timed import TimedStream
from bridge.ingest.followed import Appended, Chapter, append
from bridge.sources.loud import Loud
from bridge.store import follows
from bridge.store.direct import Direct, taken_out
from bridge.store.engine import store_errors

RETRY_S = 0.5


class Writer:
    """One source's writer. ``busy`` are the streams with something that is not in the log yet."""

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Clock,
        limits: FollowLimits,
        loud: Loud,
        on_append: Callable[[Appended, Chapter], None],
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._limits = limits
        self._loud = loud
        self._on_append = on_append
        self._news: dict[str, FollowedStream] = {}
        self._unwritten: dict[str, Chapter] = {}
        self._called = asyncio.Event()

    def has_news(self, stream: FollowedStream) -> None:
        """Something was heard of the stream."""
        self._news[stream.name] = stream
        self._called.set()

    def call(self) -> None:
        """Something was proven: what waits may be its turn."""
        if self._news:
            self._called.set()

    def busy(self) -> Iterable[FollowedStream]:
        return self._news.values()

    def settled(self, stream: FollowedStream) -> int | None:
        """Up to when a stream without news is complete, in microseconds of venue time; None where it has some."""
        if stream.name in self._news:
            return None
        if isinstance(stream, TimedStream):
            chapter = stream.chapter(self._limits.commit_events_max)
            if chapter is not None:
                self._unwritten[stream.name] = chapter
                self.has_news(stream)
                return None
        return stream.settled_us

    async def run(self, prove: Callable[[FollowedStream], None]) -> None:
        """Write until cancelled. ``prove`` brings a stream's proof up to date. Raises Overtaken."""
        while True:
            await self._called.wait()
            self._called.clear()
            longest = 0
            try:
                longest = await self._round(prove)
            except StoreUnavailable as error:
                self._loud.say("follower.waiting", reason=str(error))
                self._called.set()
                await self._clock.sleep(RETRY_S)
            if longest < self._limits.commit_events_max:
                await self._clock.sleep(self._limits.commit_every_s)

    async def stand(
        self, standing: Sequence[tuple[int, int, datetime]], states: Sequence[tuple[int, str, str]]
    ) -> None:
        """Write down how far the quiet streams are, and by what each one is heard."""
        with store_errors():
            async with self._engine.begin() as connection:
                if standing:
                    await follows.advance(connection, standing)
                await follows.set_states(connection, states)

    async def _round(self, prove: Callable[[FollowedStream], None]) -> int:
        """Write one chapter of every stream that has one; how many sayings the longest of them had."""
        ready = [stream for stream in list(self._news.values()) if self._prepare(stream, prove)]
        if not ready:
            return 0
        longest = max(len(self._unwritten[stream.name].sayings) for stream in ready)
        with store_errors():
            async with taken_out(self._engine) as connection:
                for stream in ready:
                    await self._write(connection, stream)
        return longest

    def _prepare(self, stream: FollowedStream, prove: Callable[[FollowedStream], None]) -> bool:
        """Whether there is a chapter to write; a stream that needs no more looking at is dismissed."""
        if stream.name in self._unwritten:
            return True
        prove(stream)
        chapter = stream.chapter(self._limits.commit_events_max)
        if chapter is None:
            if not stream.unfinished:
                del self._news[stream.name]
            return False
        self._unwritten[stream.name] = chapter
        self._called.set()  # there may be more of it
        return True

    async def _write(self, connection: Direct, stream: FollowedStream) -> None:
        chapter = self._unwritten[stream.name]
        async with connection.transaction():
            appended = await append(connection, stream.stream_id, chapter, now=self._clock.now())
        del self._unwritten[stream.name]
        stream.written(appended.stream.position, appended.gap_id)
        self._on_append(appended, chapter)
