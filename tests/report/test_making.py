"""Reports: every assigned number is in exactly one class, and the same log gives the same bytes."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.event import Transport
from bridge.core.span import Span
from bridge.ingest import Base, Door, Finding, NewEpoch, StreamSpec
from bridge.report import NotReportable, Period, make, making
from bridge.report.shape import Report
from bridge.report.sheet import COLUMNS, csv_of, inert
from bridge.store.evidence import Evidence
from tests.events import START, event
from tests.report.reading import whole, written

pytestmark = pytest.mark.anyio

SPECS = {
    "pb.events": StreamSpec("pb.events", "pb", "venue", settle_s=2.0),
    "pay.in": StreamSpec("pay.in", "pay", "bridge", settle_s=2.0, once=True),
}
BEGIN = START.replace(minute=0, second=0, microsecond=0)
DAY = Period.of(BEGIN, BEGIN + timedelta(hours=24))
WAYS = (Transport.WEBHOOK, Transport.WEBSOCKET, Transport.REPLAY)
NUMBERS = 150


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def door(engine: AsyncEngine, clock: ManualClock) -> AsyncIterator[Door]:
    async with Door(engine, clock, SPECS) as opened:
        yield opened


async def report(engine: AsyncEngine, period: Period = DAY, glob: str = "pb.*") -> Report:
    async with engine.connect() as conn:
        return whole(await make(conn, period, now=period.until, glob=glob))


async def ask(engine: AsyncEngine, statement: str) -> list[Any]:
    async with engine.connect() as conn:
        return list((await conn.execute(text(statement))).all())


class Played:
    """What a stream of random ends was made of, counted by who made it."""

    def __init__(self, door: Door, clock: ManualClock, seed: int) -> None:
        self.told: Counter[str] = Counter()
        self.late = self.recovered = 0
        self._door, self._clock, self._dice = door, clock, Random(seed)

    async def play(self, first: int) -> dict[str, list[int]]:
        """Numbers from ``first`` on: told out of order and again, never given out, or lost; some come late."""
        ends: dict[str, list[int]] = {"event": [], "void": [], "lost": []}
        for number in range(first, first + NUMBERS):
            ends[self._dice.choices(("event", "void", "lost"), (8, 2, 1))[0]].append(number)
        waiting = [*ends["event"], *self._dice.sample(ends["event"], 20)]
        self._dice.shuffle(waiting)
        while waiting:
            await self.hear(*[waiting.pop() for _ in range(min(len(waiting), self._dice.randint(1, 9)))])
            self._clock.advance(self._dice.uniform(60, 1500))
        await self.find(first, ends["lost"])
        late = self._dice.sample(ends["void"], 3)
        recovered = self._dice.sample(ends["lost"], 2)
        await self.hear(*late, *recovered)
        self.late, self.recovered = self.late + len(late), self.recovered + len(recovered)
        return ends

    async def hear(self, *numbers: int) -> None:
        way = self._dice.choice(WAYS)
        self.told[way.value] += len(numbers)
        await self._door.accept("pb.events", [event(number) for number in numbers], transport=way)

    async def find(self, first: int, lost: list[int]) -> None:
        """What is proven, and what is lost, piece by piece."""
        verdicts = [
            Evidence(Span.inclusive(number, number), "loss" if number in lost else "proof", {})
            for number in range(first, first + NUMBERS)
        ]
        self._dice.shuffle(verdicts)
        for at in range(0, len(verdicts), 40):
            await self._door.record("pb.events", Finding(1, evidence=tuple(verdicts[at : at + 40])))
            self._clock.advance(self._dice.uniform(10, 1800))


@pytest.mark.parametrize("seed", range(4))
async def test_every_assigned_number_is_in_exactly_one_class(
    seed: int, door: Door, clock: ManualClock, engine: AsyncEngine
) -> None:
    await door.record("pb.events", Finding(1, base=Base(1, START)))
    played = Played(door, clock, seed)
    ends = await played.play(1)
    await played.hear(NUMBERS + 5, NUMBERS + 9)
    [stream] = (await report(engine)).streams
    counts = stream.counts
    assert (counts.events, counts.void, counts.lost) == tuple(len(ends[end]) for end in ("event", "void", "lost"))
    assert (counts.assigned, counts.open_more) == (NUMBERS + 9, 9)
    assert (counts.late, counts.recovered, counts.conflicts) == (played.late, played.recovered, 0)
    assert len(stream.hours) > 3
    for line in (*(line.counts for line in stream.hours), counts):
        assert line.assigned == line.events + (line.void or 0) + (line.lost or 0) + (line.open_more or 0)
    for name in ("assigned", "events", "void", "lost", "open_more", "late", "recovered", "gaps"):
        assert sum(getattr(line.counts, name) for line in stream.hours) == getattr(counts, name), name
    for way in WAYS:
        heard = getattr(counts, way.value)
        assert heard.told == played.told[way.value]
        assert heard.again == heard.told - heard.first
    firsts = sum(getattr(counts, way.value).first for way in WAYS)
    assert firsts == (await ask(engine, "SELECT count(*) FROM events"))[0][0]
    passed = counts.events + counts.void + counts.lost  # type: ignore[operator]  # of a stream with numbers
    assert stream.complete_percent == pytest.approx(100 * (passed - len(ends["lost"])) / passed, abs=1e-4)


async def test_an_hour_ends_where_the_log_stood(door: Door, clock: ManualClock, engine: AsyncEngine) -> None:
    await door.record("pb.events", Finding(1, base=Base(1, START)))
    await Played(door, clock, 7).play(1)
    chains = dict(await ask(engine, "SELECT position, encode(chain, 'hex') FROM log"))
    [stream] = (await report(engine)).streams
    for line in stream.hours:
        if line.standing.position:
            assert line.standing.chain == chains[line.standing.position]
    last = (await ask(engine, "SELECT position, frontier, head FROM streams WHERE name = 'pb.events'"))[0]
    assert stream.ended is not None
    assert (stream.ended.position, stream.ended.frontier, stream.ended.head) == tuple(last)


async def test_what_a_sealed_epoch_missed_is_lost_and_the_next_one_adds_up(
    door: Door, clock: ManualClock, engine: AsyncEngine
) -> None:
    await door.record("pb.events", Finding(1, base=Base(1, START)))
    await door.accept("pb.events", [event(1), event(2), event(6)], transport=Transport.REPLAY)
    clock.advance(7200)
    await door.open_epoch("pb.events", NewEpoch(1, Base(10, clock.now())))
    [stream] = (await report(engine)).streams
    counts = stream.counts
    assert (counts.assigned, counts.events, counts.void, counts.lost, counts.open_more) == (6, 3, 0, 3, 0)
    assert [line.counts.open_more for line in stream.hours] == [4, 0, -4]
    assert stream.ended is not None
    assert (stream.ended.epoch, stream.ended.frontier, stream.ended.open) == (2, 10, 0)


async def test_what_turns_up_of_a_sealed_epoch_was_told_first_by_somebody(
    door: Door, clock: ManualClock, engine: AsyncEngine
) -> None:
    await door.record("pb.events", Finding(1, base=Base(1, START)))
    await door.accept("pb.events", [event(1), event(4)], transport=Transport.REPLAY)
    clock.advance(7200)
    await door.open_epoch("pb.events", NewEpoch(1, Base(1, clock.now())))
    for _ in range(2):
        await door.accept("pb.events", [event(2), event(3)], transport=Transport.WEBHOOK)
    [stream] = (await report(engine)).streams
    assert msgspec.structs.astuple(stream.counts.webhook) == (4, 2, 2)
    assert (stream.counts.recovered, stream.counts.lost, stream.counts.events) == (2, 2, 2)


async def test_a_period_that_is_over_gives_the_same_bytes_for_ever(
    door: Door, clock: ManualClock, engine: AsyncEngine
) -> None:
    await door.record("pb.events", Finding(1, base=Base(1, START)))
    played = Played(door, clock, 1)
    await played.play(1)
    clock.advance(max(0.0, (DAY.until - clock.now()).total_seconds()))
    before = await report(engine)
    await played.play(NUMBERS + 1)
    after = await report(engine)
    assert msgspec.json.encode(before) == msgspec.json.encode(after)
    assert len(before.digest) == 64
    next_day = Period.of(DAY.until, DAY.until + timedelta(hours=48))
    [stream] = (await report(engine, next_day)).streams
    assert stream.began == before.streams[0].ended
    assert stream.counts.assigned == NUMBERS


async def test_a_stream_that_came_later_is_listed_with_nothing_in_it_and_changes_no_other(
    door: Door, clock: ManualClock, engine: AsyncEngine
) -> None:
    await door.record("pb.events", Finding(1, base=Base(1, START)))
    await Played(door, clock, 1).play(1)
    before = await report(engine, glob="*")
    clock.advance(max(0.0, (DAY.until - clock.now()).total_seconds()))
    await door.accept("pay.in", [event(None, event_id="paid")], transport=Transport.WEBHOOK)
    [new, same] = (await report(engine, glob="*")).streams
    assert [same] == before.streams
    assert (new.stream, new.began, new.ended, new.hours, new.counts.events) == ("pay.in", None, None, [], 0)


async def test_what_became_of_gaps_counts_as_the_period_left_it(
    door: Door, clock: ManualClock, engine: AsyncEngine
) -> None:
    await door.record("pb.events", Finding(1, base=Base(1, START)))
    begin = BEGIN.isoformat()
    async with engine.begin() as conn:
        for first, state, opened_h, closed_h, lost in (
            (1, "recovered", 1, 2, 0),
            (2, "recovered", 1, 4, 0),
            (3, "lost", 2, 3, 5),
            (4, "lost", 2, 30, 5),
            (5, "open", 3, None, 0),
        ):
            closed = "NULL" if closed_h is None else f"timestamptz '{begin}' + interval '{closed_h} hours'"
            await conn.execute(
                text(
                    "INSERT INTO gaps (stream_id, epoch, first, last, state, opened_at, due_at, closed_at, lost,"
                    f" healed_by) SELECT id, 1, {first}, {first} + 9, '{state}', timestamptz '{begin}' +"
                    f" interval '{opened_h} hours', now(), {closed}, {lost},"
                    f" CASE '{state}' WHEN 'recovered' THEN 'replay' END FROM streams WHERE name = 'pb.events'"
                )
            )
    [stream] = (await report(engine)).streams
    gaps = stream.gaps
    assert (gaps.opened, gaps.open) == (5, 2)
    assert [(one.state, one.healed_by, one.gaps, one.p50_s, one.max_s) for one in gaps.closed] == [
        ("lost", None, 1, 3600, 3600),
        ("recovered", "replay", 2, 3600, 3 * 3600),
    ]


async def test_where_the_venue_numbers_nothing_nobody_claims_completeness(door: Door, engine: AsyncEngine) -> None:
    await door.accept("pay.in", [event(None, event_id="paid")], transport=Transport.WEBHOOK)
    [stream] = (await report(engine, glob="pay.*")).streams
    assert (stream.complete_percent, stream.why) == (None, making.NOT_NUMBERED)
    counts = stream.counts
    assert (counts.assigned, counts.void, counts.lost, counts.events) == (None, None, None, 1)


@pytest.mark.parametrize(
    "since, until, why",
    [
        (BEGIN, BEGIN, "empty"),
        (BEGIN, BEGIN + timedelta(minutes=90), "whole hours"),
        (BEGIN, BEGIN + timedelta(days=367), "too long"),
    ],
)
def test_a_period_is_whole_hours_and_not_too_many(since: datetime, until: datetime, why: str) -> None:
    with pytest.raises(NotReportable, match=why):
        Period.of(since, until)


async def test_a_report_of_too_many_streams_says_so_and_some_of_them_are_not(
    door: Door, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.record("pb.events", Finding(1, base=Base(1, START)))
    await door.accept("pay.in", [event(None, event_id="paid")], transport=Transport.WEBHOOK)
    monkeypatch.setattr(making, "STREAMS_MAX", 1)
    with pytest.raises(NotReportable, match="ask for some"):
        await report(engine, glob="*")
    assert [one.stream for one in (await report(engine, glob="pb.*")).streams] == ["pb.events"]


async def test_the_sheet_has_a_row_for_each_hour(door: Door, clock: ManualClock, engine: AsyncEngine) -> None:
    await door.record("pb.events", Finding(1, base=Base(1, START)))
    await Played(door, clock, 3).play(1)
    made = await report(engine)
    lines = b"".join(csv_of(written(made))).decode().splitlines()
    assert lines[0].split(",") == list(COLUMNS)
    assert len(lines) == 1 + len(made.streams[0].hours)
    row = dict(zip(COLUMNS, lines[-1].split(","), strict=True))
    ended = made.streams[0].ended
    assert ended is not None
    assert (row["chain"], int(row["position"])) == (ended.chain, ended.position)


FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\x0b1", " =1", "\u00a0\u3000=1")
FULL_WIDTH = ("\uff1d1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)", "\ufe62\ufe631", "\u2212 1")


@pytest.mark.parametrize("text_", [*FORMULAS, *FULL_WIDTH])
def test_no_cell_is_a_formula(text_: str) -> None:
    assert inert(text_) == f"'{text_}"


@pytest.mark.parametrize("text_", ["pb.events", "a=1", "", "'=1", "_x"])
def test_what_is_none_stays_as_it_is(text_: str) -> None:
    assert inert(text_) == text_


async def test_deliveries_that_no_event_was_found_for_are_counted_in_their_period(
    door: Door, clock: ManualClock, engine: AsyncEngine
) -> None:
    await door.record("pb.events", Finding(1, base=Base(1, START)))
    await door.accept("pb.events", [event(1)], transport=Transport.REPLAY)
    for name in ("nobody-1", "nobody-2"):
        await door.accept("pb.events", [event(None, event_id=name)], transport=Transport.WEBHOOK)
        clock.advance(3600)
    first = Period.of(BEGIN, BEGIN + timedelta(hours=1))
    assert [(await report(engine, period)).streams[0].unmatched for period in (first, DAY)] == [1, 2]


async def test_more_hours_than_a_report_holds_are_refused(
    door: Door, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.record("pb.events", Finding(1, base=Base(1, START)))
    monkeypatch.setattr(making, "HOURS_MAX", 23)
    with pytest.raises(NotReportable, match="24 hours of streams are too many"):
        await report(engine)
