"""A bridge that is killed again and again while venues go on ends with what they assigned, or with its gaps told."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import SystemClock
from bridge.core.channel import Channel
from bridge.core.event import Kind
from bridge.sim import bybit, cryptomus, poloniex_v3
from bridge.sim.consumer import Consumer, Record
from bridge.sim.demo.followed import BYBIT, CRYPTOMUS, POLONIEX_V3, Followed
from bridge.sim.demo.series import SeriesRow, SeriesVerdict
from bridge.sim.demo.series_verdict import judge_series
from bridge.sim.market import Kit
from bridge.store import gaps, streams
from bridge.store.streams import Stream
from tests.processes.bridges import DESTINATION, BridgeProcess, bridges
from tests.processes.stage import consuming
from tests.processes.test_crashes import KILLS, SEED, TAKE_OVER_S
from tests.processes.waiting import eventually
from tests.sim.market_dialect import Running, running

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(240)]

KITS: Mapping[str, Kit] = {"bybit": bybit.KIT, "cryptomus": cryptomus.KIT, "poloniex_v3": poloniex_v3.KIT}
VENUES = (BYBIT, CRYPTOMUS, POLONIEX_V3)
RATE_PER_S = 30.0
LISTENED_TO = text(
    "SELECT count(*) FROM follows f JOIN streams s ON s.id = f.stream_id"
    " WHERE s.source = :source AND f.state = 'subscribed'"
)
FLOORED = timedelta(seconds=1)
"""To what a venue may floor its stamps."""


@dataclass(slots=True)
class Market:
    """One simulated venue, and what a consumer holds of it."""

    followed: Followed
    venue: Running
    consumer: Consumer
    engine: AsyncEngine

    def record(self, channel: Channel) -> Record:
        return self.consumer.records.setdefault(self.followed.stream(channel), Record())

    async def stream(self, channel: Channel) -> Stream | None:
        async with self.engine.connect() as connection:
            return await streams.read(connection, self.followed.stream(channel))

    async def verdict(self, channel: Channel) -> SeriesVerdict:
        rows = [msgspec.convert(row, SeriesRow) for row in await self.venue.truth(channel.series, limit=10_000)]
        stream = await self.stream(channel)
        began_at = None if stream is None else stream.epoch_began_at
        return judge_series(
            self.followed.stream(channel),
            rows,
            list(self.record(channel).held.values()),
            self.followed.terms(channel),
            since_ms=0.0 if began_at is None else began_at.timestamp() * 1000,
        )

    async def has_begun(self) -> bool:
        """Whether every channel is listened to; what is ordered by time longer ago than stamps are floored by."""
        async with self.engine.connect() as connection:
            heard = (await connection.execute(LISTENED_TO, {"source": self.followed.source})).scalar_one()
        if heard < len(self.followed.channels):
            return False
        return all([await self._has_begun(channel) for channel in self.followed.channels if not channel.in_session])

    async def _has_begun(self, channel: Channel) -> bool:
        stream = await self.stream(channel)
        began_at = None if stream is None else stream.epoch_began_at
        return began_at is not None and began_at + FLOORED < SystemClock().now()

    async def problems(self) -> list[str]:
        return [text for channel in self.followed.channels for text in (await self.verdict(channel)).problems]

    async def is_whole(self) -> bool:
        return not await self.problems()


@asynccontextmanager
async def markets(consumer: Consumer, engine: AsyncEngine) -> AsyncIterator[tuple[Market, ...]]:
    async with AsyncExitStack() as stack:
        opened = []
        for followed in VENUES:
            options = {"requests_per_s": 0} if followed is CRYPTOMUS else {}
            venue = await stack.enter_async_context(
                running(kit=KITS[followed.venue], seed=SEED, events_per_s=0, options=options)
            )
            opened.append(Market(followed, venue, consumer, engine))
        yield tuple(opened)


async def fall(bridge: BridgeProcess, around: tuple[Market, ...], dice: Random) -> None:
    """Kill the bridge so many entries after it went on, of a stream of the seed's choice."""
    market = dice.choice(around)
    record = market.record(market.followed.channels[0])
    entries = record.last + dice.randint(1, 60)
    await eventually(lambda: record.last >= entries, within_s=TAKE_OVER_S, state=bridge.tail)
    bridge.kill()


def written(folder: Path, around: tuple[Market, ...], port: int) -> Path:
    parts = ["[bridge]\ndrain_s = 10\n", *(market.followed.toml(market.venue.port) for market in around)]
    parts.append(DESTINATION.format(name="ledger", port=port).replace('"pb.events"', '"*"'))
    config = folder / "bridge.toml"
    config.write_text("\n".join(parts))
    return config


async def settled(around: tuple[Market, ...]) -> None:
    """Nothing happens any more; return when the consumer holds all that did, or is told what is missing."""
    for market in around:
        await market.venue.order("stop")
        await market.venue.order("drain?timeout_s=20")
    for market in around:
        try:
            await eventually(market.is_whole, within_s=TAKE_OVER_S)
        except AssertionError:
            raise AssertionError("\n".join(await market.problems())) from None


async def test_kills_at_random_points_of_following_leave_nothing_out_in_silence(
    engine: AsyncEngine, database_url: str, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    [port] = free_ports(1)
    dice = Random(f"{SEED}:followed")
    async with consuming() as (ledger, consumer), markets(consumer, engine) as around:
        config = written(tmp_path, around, ledger)
        secrets = {name: value for market in around for name, value in market.followed.secrets.items()}
        with bridges(tmp_path, config, database_url=database_url) as started:
            bridge = started.start("run", port=port, **secrets)
            for market in around:
                await eventually(market.has_begun, within_s=TAKE_OVER_S, state=bridge.tail)
                await market.venue.order("rate", events_per_s=RATE_PER_S)
            for _ in range(KILLS):
                await fall(bridge, around, dice)
                bridge = started.start("run", port=port, **secrets)
            await bridge.ready()
            await settled(around)
            bridge.terminate()
            assert await bridge.ended() == 0
        for market in around:
            await check(market)


async def check(market: Market) -> None:
    """Every position once with its chain; what the lists hold was healed by them, and what none holds was told."""
    for channel in market.followed.channels:
        record, stream = market.record(channel), await market.stream(channel)
        assert stream is not None
        assert (record.last, record.chain) == (stream.position, stream.chain), channel.series
        faults = (record.missing, record.breaks, record.out_of_order, record.chain_failures, record.digest_failures)
        assert faults == (0, 0, 0, 0, 0), channel.series
        assert record.kinds.get(Kind.LATE, 0) == 0, channel.series
        async with market.engine.connect() as connection:
            ended = await gaps.listing(connection, stream_id=stream.id)
        if market.followed.terms(channel).repairs:
            assert Kind.GAP not in record.kinds, channel.series
            assert "replay" in {gap.healed_by for gap in ended}, channel.series
        if channel.in_session:
            assert Kind.GAP in record.kinds, channel.series
