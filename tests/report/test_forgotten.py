"""Reports of a time whose hours retention has deleted in part, or as a whole: what is not known is not made up."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.event import Transport
from bridge.core.span import Span
from bridge.ingest import Base, Door, Finding, StreamSpec
from bridge.report import Period, make, making
from bridge.report.shape import Report, StreamReport
from bridge.report.telling import sheets_of
from bridge.store import leftovers
from bridge.store.evidence import Evidence
from tests.events import START, event
from tests.report.reading import whole

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
SPEC = StreamSpec("pb.events", "pb", "venue", settle_s=2.0)
HOURS = 6


@pytest.fixture
async def filled(engine: AsyncEngine) -> None:
    """In each of some hours two events, with a number between them that is lost, and one that is void."""
    clock = ManualClock(START)
    async with Door(engine, clock, {SPEC.name: SPEC}) as door:
        await door.record("pb.events", Finding(1, base=Base(1, START)))
        for first in range(1, 4 * HOURS, 4):
            heard = [event(first), event(first + 3)]
            await door.accept("pb.events", heard, transport=Transport.WEBHOOK)
            known = (
                Evidence(Span.inclusive(first + 1, first + 1), "loss", {"why": "gone"}),
                Evidence(Span.inclusive(first + 2, first + 2), "proof", {}),
            )
            await door.record("pb.events", Finding(1, evidence=known))
            clock.advance(3600)


async def forget(engine: AsyncEngine, before: datetime) -> None:
    async with engine.begin() as conn:
        await leftovers.clear(conn, kind="hours", before=before, rows_max=1_000)


async def report(engine: AsyncEngine, begin: int, end: int) -> StreamReport:
    period = Period.of(START + begin * HOUR, START + end * HOUR)
    async with engine.connect() as conn:
        [stream] = whole(await make(conn, period, now=period.until)).streams
    return stream


def classes(stream: StreamReport) -> tuple[int | None, ...]:
    counts = stream.counts
    return counts.assigned, counts.events, counts.void, counts.lost, counts.open_more


async def test_what_was_counted_before_is_not_counted_again(engine: AsyncEngine, filled: None) -> None:
    await forget(engine, START + 3 * HOUR)  # of the first three, the third is kept: the next report begins with it
    stream = await report(engine, 0, HOURS)
    assert classes(stream) == (12, 6, 3, 3, 0)
    assert (stream.complete_percent, stream.why) == (None, making.NOT_KEPT)
    assert [one.first for one in stream.gaps.lost] == [14, 18, 22]
    assert stream.began is not None
    assert stream.began.position == 9
    [sheet, *_] = sheets_of(Report(since=START, until=START + HOURS * HOUR, streams=[stream]))
    assert making.NOT_KEPT in sheet.says


async def test_a_period_that_is_forgotten_as_a_whole_says_so(engine: AsyncEngine, filled: None) -> None:
    await forget(engine, START + 4 * HOUR)
    stream = await report(engine, 0, 2)
    assert (stream.why, stream.ended, stream.hours) == (making.NOT_KEPT, None, [])


async def test_a_period_that_is_kept_and_one_from_before_the_stream_say_nothing_of_it(
    engine: AsyncEngine, filled: None
) -> None:
    before, kept = await report(engine, -5, -2), await report(engine, 3, 5)
    assert (before.complete_percent, before.why) == (None, making.NOTHING_PASSED)
    await forget(engine, START + 3 * HOUR)
    assert await report(engine, 3, 5) == kept
    assert kept.complete_percent == 75.0
    assert classes(await report(engine, 0, HOURS)) != classes(kept)
