"""What is lost is named as the log tells of it: from where to where, since when, at which position, by whose word."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.event import Kind, Transport
from bridge.core.sequel import Skipped
from bridge.core.span import Span
from bridge.core.timeline import Missing, micros
from bridge.follow import words
from bridge.ingest import Base, Door, Finding, NewEpoch, StreamSpec
from bridge.ingest.followed import Chapter, Saying, append
from bridge.report import Period, make, making
from bridge.report.losing import EVIDENCE_CHARS_MAX, range_of
from bridge.report.shape import StreamReport
from bridge.report.telling import bounds
from bridge.store.evidence import Evidence
from bridge.store.losses import Loss
from tests.events import START, event
from tests.followed import TRADES, declare
from tests.report.reading import whole

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
PERIOD = Period.of(START, START + 3 * HOUR)
SPEC = StreamSpec("pb.events", "pb", "venue", settle_s=2.0)
WORD = {"given_up_by": "ada", "because": "the venue confirmed it"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def door(engine: AsyncEngine, clock: ManualClock) -> AsyncIterator[Door]:
    async with Door(engine, clock, {"pb.events": SPEC}) as opened:
        await opened.record("pb.events", Finding(1, base=Base(1, START)))
        yield opened


async def reported(engine: AsyncEngine, period: Period = PERIOD) -> StreamReport:
    async with engine.connect() as conn:
        [stream] = whole(await make(conn, period, now=period.until)).streams
    return stream


async def lose(door: Door, first: int, last: int, detail: dict[str, Any]) -> None:
    found = Evidence(Span.inclusive(first, last), "loss", detail)
    await door.record("pb.events", Finding(1, evidence=(found,)))


async def test_a_loss_is_named_with_the_word_of_who_gave_it_up_and_without_what_is_there(
    door: Door, clock: ManualClock, engine: AsyncEngine
) -> None:
    await door.accept("pb.events", [event(n) for n in (1, 4, 7)], transport=Transport.WEBHOOK)
    clock.advance(60)
    await lose(door, 2, 6, WORD)
    stream = await reported(engine)
    assert [(one.first, one.last, one.lost, one.position) for one in stream.gaps.lost] == [(2, 3, 2, 2), (5, 6, 2, 4)]
    assert stream.gaps.lost[0].closed_at == clock.now()
    assert {one.evidence for one in stream.gaps.lost} == {"because: the venue confirmed it; given up by: ada"}
    assert sum(one.lost for one in stream.gaps.lost) == stream.counts.lost == 4


async def test_what_a_sealed_epoch_lost_is_named_though_no_gap_was_ever_opened(
    door: Door, clock: ManualClock, engine: AsyncEngine
) -> None:
    await door.accept("pb.events", [event(1), event(2), event(6)], transport=Transport.REPLAY)
    await door.open_epoch("pb.events", NewEpoch(1, Base(10, clock.now())))
    stream = await reported(engine)
    [lost] = stream.gaps.lost
    assert (lost.epoch, lost.first, lost.last, lost.evidence) == (1, 3, 5, "why: the epoch was sealed")
    assert (stream.gaps.opened, stream.counts.lost) == (0, 3)


async def test_each_period_names_its_own_and_counts_what_it_does_not_name(
    door: Door, clock: ManualClock, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.accept("pb.events", [event(n) for n in (1, 3, 5, 7)], transport=Transport.WEBHOOK)
    for first in (2, 4, 6):
        await lose(door, first, first, {})
        clock.advance(HOUR.total_seconds())
    for n in range(3):
        stream = await reported(engine, Period.of(START + n * HOUR, START + (n + 1) * HOUR))
        assert [one.first for one in stream.gaps.lost] == [2 + 2 * n]
    monkeypatch.setattr(making, "LOST_IN_ALL_MAX", 2)
    stream = await reported(engine)
    assert ([one.first for one in stream.gaps.lost], stream.gaps.lost_more) == ([2, 4], 1)
    async with engine.begin() as conn:
        await conn.execute(text("DELETE FROM log WHERE position <= 5"))
    stream = await reported(engine)
    assert ([one.first for one in stream.gaps.lost], stream.gaps.lost_more) == ([6], 2)


async def test_of_a_followed_stream_what_a_snapshot_stands_for_is_superseded_and_not_lost(
    engine: AsyncEngine,
) -> None:
    stream = await declare(engine, TRADES)
    at = micros(START)
    said = [
        words.of_missing(Missing(Span(at, at + 5_000_000), "lost", {"cause": "no list", "reason": "superseded"})),
        words.of_missing(Missing(Span(at + 5_000_000, at + 6_000_000), "superseded", {"rows": 3})),
        words.of_skipped(Skipped(7, 11, "superseded"), at, at + 9_000_000),
        words.of_broken_value("free", "10", "12", at, at + 1_500_000),
    ]
    async with engine.begin() as connection:
        chapter = Chapter(position=0, sayings=[*said, Saying(Kind.EVENT, event(None), Transport.WEBSOCKET)])
        await append(connection, stream.id, chapter, now=START)
    found = await reported(engine)
    assert (found.counts.gaps, found.counts.superseded, found.gaps.lost_more) == (4, 2, 0)
    hole, broken = found.gaps.lost
    assert (hole.lost, hole.evidence) == (5_000, "cause: no list; reason: superseded")
    assert (broken.axis, broken.lost, broken.position) == ("time", 1_500, 4)
    assert broken.last - broken.first == 1_500
    assert broken.evidence == "key: free; expected: 10; told: 12"


def test_a_loss_of_which_nobody_knows_the_time_is_told_without_one() -> None:
    lost = range_of(told(**{"from": None, "to": None, "after": 3, "before": 9, "evidence": {}}))
    assert bounds(lost) == ("-", "-", "-")
    assert lost.evidence == "after: 3; before: 9"


def told(**data: Any) -> Loss:
    return Loss(1, 9, START, json.dumps(data).encode())


def test_evidence_is_bounded_whatever_it_holds() -> None:
    long = range_of(told(first=1, last=2, evidence={"said": "x" * 10_000, "n": 1}))
    assert len(long.evidence) == EVIDENCE_CHARS_MAX
    assert long.evidence.endswith("...")
    assert range_of(told(first=1, last=2)).evidence == ""
    nested = range_of(told(**{"from": None, "to": "2026-02-18T23:00:01Z", "after": 3, "evidence": {"of": [1, None]}}))
    assert (nested.first, nested.last, nested.lost) == (micros(START) // 1000 + 1_000,) * 2 + (0,)
    assert nested.evidence == "after: 3; of: [1,null]"
