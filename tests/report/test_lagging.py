"""How far a frontier stood behind, hour by hour: also where nothing was stored, and whatever our clock shows."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.channel import Told
from bridge.core.event import Transport
from bridge.core.span import Span
from bridge.core.timeline import micros
from bridge.follow.limits import FollowLimits
from bridge.follow.opening import open_streams
from bridge.follow.timed import TimedStream
from bridge.ingest import Base, Door, Finding, StreamSpec
from bridge.ingest.followed import append
from bridge.report import Period, make
from bridge.report.shape import StreamReport
from bridge.store.evidence import Evidence
from tests.events import START, event
from tests.laws.market import KEYED
from tests.report.reading import whole

pytestmark = pytest.mark.anyio

SPEC = StreamSpec("pb.events", "pb", "venue", settle_s=2.0)
HOUR = timedelta(hours=1)
PERIOD = Period.of(START, START + 5 * HOUR)
MINUTE_S = 60.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def door(engine: AsyncEngine, clock: ManualClock) -> AsyncIterator[Door]:
    async with Door(engine, clock, {"pb.events": SPEC}) as opened:
        await opened.record("pb.events", Finding(1, base=Base(1, START)))
        yield opened


async def reported(engine: AsyncEngine, period: Period = PERIOD, *, late: timedelta = timedelta()) -> StreamReport:
    async with engine.connect() as conn:
        [stream] = whole(await make(conn, period, now=period.until + late)).streams
    return stream


async def hear(door: Door, *numbers: int) -> None:
    await door.accept("pb.events", [event(number) for number in numbers], transport=Transport.WEBHOOK)


def lags(stream: StreamReport) -> list[tuple[int, float, float]]:
    """By hour after the first: how many minutes it was behind at most, and at the end."""
    return [
        ((line.hour - START) // HOUR, line.lag.most_s / MINUTE_S, line.lag.at_end_s / MINUTE_S)
        for line in stream.hours
    ]


async def test_a_hole_is_seen_in_every_hour_that_it_lasts_although_nothing_was_stored(
    door: Door, clock: ManualClock, engine: AsyncEngine
) -> None:
    clock.advance(50 * MINUTE_S)
    await hear(door, 1, 3)
    clock.advance(150 * MINUTE_S)
    await hear(door, 2)
    stream = await reported(engine)
    assert lags(stream) == [(0, 10, 10), (1, 70, 70), (2, 130, 130), (3, 150, 0)]
    assert (stream.lag.most_s, stream.lag.at_end_s) == (150 * MINUTE_S, 0)
    assert [line.counts.events for line in stream.hours] == [1, 0, 0, 2]
    assert [line.standing.open for line in stream.hours] == [2, 2, 2, 0]
    assert sum(line.counts.assigned or 0 for line in stream.hours) == stream.counts.assigned == 3


async def test_what_still_stands_grows_to_the_end_of_the_period_and_no_further_than_now(
    door: Door, clock: ManualClock, engine: AsyncEngine
) -> None:
    clock.advance(50 * MINUTE_S)
    await hear(door, 1, 3)
    begun_later = Period.of(START + 2 * HOUR, START + 4 * HOUR)
    stream = await reported(engine, begun_later)
    assert lags(stream) == [(2, 130, 130), (3, 190, 190)]
    assert await reported(engine, begun_later, late=HOUR * 9) == stream
    stream = await reported(engine, begun_later, late=-HOUR * 1.5)
    assert lags(stream) == [(2, 100, 100)]
    assert stream.lag.at_end_s == 100 * MINUTE_S


async def test_the_next_hole_counts_from_when_it_showed(door: Door, clock: ManualClock, engine: AsyncEngine) -> None:
    await hear(door, 1, 3)
    clock.advance(10 * MINUTE_S)
    await hear(door, 5)
    clock.advance(10 * MINUTE_S)
    await hear(door, 2)
    assert lags(await reported(engine))[0] == (0, 50, 50)
    clock.advance(5 * MINUTE_S)
    await door.record("pb.events", Finding(1, evidence=(Evidence(Span.inclusive(4, 4), "proof", {}),)))
    assert lags(await reported(engine)) == [(0, 20, 0)]


async def test_a_stream_whose_numbering_is_doubted_stands_behind_from_then_on(
    door: Door, clock: ManualClock, engine: AsyncEngine
) -> None:
    await hear(door, 1, 2)
    clock.advance(30 * MINUTE_S)
    stranger = event(1, event_id="stranger", n=9)._replace(occurred_at=START + HOUR * 9)
    await door.accept("pb.events", [stranger], transport=Transport.WEBHOOK)
    assert lags(await reported(engine))[0] == (0, 30, 30)
    clock.advance(15 * MINUTE_S)
    await door.record("pb.events", Finding(1, same_epoch=True))
    assert lags(await reported(engine)) == [(0, 15, 0)]


@pytest.mark.parametrize("shift", [timedelta(0), timedelta(minutes=-17)], ids=["agreeing", "shifted"])
async def test_a_followed_stream_is_behind_the_venue_whatever_our_clock_shows(
    engine: AsyncEngine, shift: timedelta
) -> None:
    opened = (await open_streams(engine, "m", [KEYED], FollowLimits()))[KEYED.series]
    assert isinstance(opened, TimedStream)
    venue_at = START + timedelta(minutes=20)

    async def write() -> None:
        while (chapter := opened.chapter(100)) is not None:
            async with engine.begin() as connection:
                done = await append(connection, opened.stream_id, chapter, now=venue_at + shift)
            opened.written(done.stream.position, done.gap_id)

    opened.subscribed(micros(venue_at))
    venue_at += timedelta(minutes=1)
    opened.alive(micros(venue_at))
    await write()
    opened.unheard()
    venue_at += timedelta(minutes=9)
    assert opened.hole(micros(venue_at)) is not None
    await write()
    stood = await reported(engine)
    until_the_hour_s = (HOUR - timedelta(minutes=30) - shift).total_seconds()
    assert stood.hours[0].lag.at_end_s == pytest.approx(9 * MINUTE_S + until_the_hour_s, abs=6)
    venue_at += timedelta(minutes=5)
    hole = opened.hole(micros(venue_at))
    assert hole is not None
    opened.give_up(hole, "nobody can be asked")
    heard = event(None, event_id="heard")._replace(occurred_at=venue_at - timedelta(minutes=14))
    opened.live(Told(KEYED.series, heard))
    await write()
    stream = await reported(engine)
    [line] = stream.hours
    assert line.lag.most_s == pytest.approx(14 * MINUTE_S, abs=6)
    assert line.lag.at_end_s == 0
    assert (stream.counts.gaps, stream.counts.superseded) == (1, 0)
