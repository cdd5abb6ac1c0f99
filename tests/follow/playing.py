"""A simulated venue, a source of ours on it, and a follower writing into a real Postgres; and the verdict."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import SystemClock
from bridge.core.channel import Channel
from bridge.core.event import Kind, LogEntry
from bridge.follow.follower import Follower
from bridge.follow.limits import FollowLimits
from bridge.sim.consumer import Held
from bridge.sim.demo.followed import FOLLOWED
from bridge.sim.demo.series import SeriesRow, SeriesVerdict, Terms
from bridge.sim.demo.series_verdict import judge_series
from bridge.sources.market import MarketSource
from bridge.store import follows, gaps, log, streams
from bridge.store.gaps import Gap
from bridge.store.streams import Stream
from tests.sim.market_dialect import Running

PATIENCE_S = 40.0
LOOK_S = 0.1
HEARD_EARLY_S = 1.0
"""What bears the time of its hearing may bear it in whole seconds, and so seem older than its stream at first."""
BRISK = FollowLimits(
    pad_s=0.3, overlap_s=1.0, prove_every_s=0.2, poll_every_s=0.5, look_every_s=0.05, stand_every_s=0.3,
    snapshot_wait_s=1.0, retry_first_s=0.2, retry_max_s=1.0,
)  # fmt: skip
CLOCK = SystemClock()


@dataclass(slots=True)
class Playing:
    """What a test sees of a venue that is followed."""

    venue: Running
    source: MarketSource
    follower: Follower
    engine: AsyncEngine

    async def stream(self, series: str) -> Stream | None:
        async with self.engine.connect() as connection:
            return await streams.read(connection, f"{self.source.name}.{series}")

    async def entries(self, series: str) -> list[LogEntry]:
        stream = await self.stream(series)
        if stream is None:
            return []
        found: list[LogEntry] = []
        async with self.engine.connect() as connection:
            while True:
                after = found[-1].position if found else 0
                page = await log.read(connection, stream_id=stream.id, stream=stream.name, after=after, limit=1000)
                if not page:
                    return found
                found += page

    async def gaps(self, series: str) -> list[Gap]:
        stream = await self.stream(series)
        assert stream is not None
        async with self.engine.connect() as connection:
            return await gaps.listing(connection, stream_id=stream.id)

    async def state(self, series: str) -> tuple[str, str]:
        """By what the channel is heard, and why not, as people are told."""
        stream = await self.stream(series)
        assert stream is not None
        async with self.engine.connect() as connection:
            follow = await follows.read(connection, stream.id)
        assert follow is not None
        return follow.state, follow.detail

    async def begun(self) -> None:
        """Wait until every stream that is ordered by time has begun; the venue may refuse some."""
        await self.until(self._has_begun)

    async def until(self, holds: Callable[[], "asyncio.Future[bool] | object"]) -> None:
        """Wait for ``holds``, a coroutine function that says whether something is so."""
        async with asyncio.timeout(PATIENCE_S):
            while not await holds():  # type: ignore[misc]  # any awaitable of a bool
                await CLOCK.sleep(LOOK_S)

    async def whole(self, *series: str) -> None:
        """Wait until the log of each series holds everything that the venue told, or names it as missing."""
        wanted = series or tuple(channel.series for channel in self.source.channels)
        try:
            for one in wanted:
                await self.until(lambda one=one: self._is_good(one))  # type: ignore[misc]  # bound on purpose
        except TimeoutError:
            problems = [problem for one in wanted for problem in (await self.verdict(one)).problems]
            raise AssertionError("\n".join(problems)) from None

    async def verdict(self, series: str) -> SeriesVerdict:
        channel = next(channel for channel in self.source.channels if channel.series == series)
        rows = [msgspec.convert(row, SeriesRow) for row in await self.venue.truth(series, limit=10_000)]
        stream, terms = await self.stream(series), terms_of(self.source.name, channel)
        began_at = None if stream is None else stream.epoch_began_at
        since_s = 0.0 if began_at is None else began_at.timestamp()
        return judge_series(
            f"{self.source.name}.{series}",
            rows,
            [_held(entry) for entry in await self.entries(series)],
            terms,
            since_ms=1000 * (since_s + (HEARD_EARLY_S if terms.untimed else 0.0)),
        )

    async def _is_good(self, series: str) -> bool:
        return (await self.verdict(series)).good

    async def _has_begun(self) -> bool:
        now = CLOCK.now()
        for channel in self.source.channels:
            stream = await self.stream(channel.series)
            if stream is None:
                return False
            if (await self.state(channel.series))[0] == "refused":
                continue
            if not channel.in_session and (stream.epoch_began_at is None or stream.epoch_began_at > now):
                return False
        return True


def terms_of(source: str, channel: Channel) -> Terms:
    """What may be expected of a channel of ``source``, which bears the name that the demo gives to its venue."""
    return next(one for one in FOLLOWED.values() if one.source == source).terms(channel)


def _held(entry: LogEntry) -> Held:
    return Held(
        entry.stream, entry.position, entry.kind, entry.epoch, entry.sequence, entry.event_id, entry.type,
        entry.digest.hex(), entry.chain.hex(), entry.received_at.timestamp(),
        entry.payload if entry.kind is Kind.GAP else None,
        (entry.occurred_at or entry.received_at).isoformat(timespec="milliseconds")[:23] + "Z",
    )  # fmt: skip


@asynccontextmanager
async def playing(
    venue: Running, source: MarketSource, engine: AsyncEngine, *, limits: FollowLimits = BRISK
) -> AsyncIterator[Playing]:
    """Follow ``source`` for the length of the block."""
    follower = Follower(source, engine, CLOCK, limits=limits)
    try:
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(follower.run())
            yield Playing(venue, source, follower, engine)
            following.cancel()
    finally:
        await source.close()
