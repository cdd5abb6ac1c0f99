"""What is kept of what a venue was asked: the reads of a gap, and the passes of the audit."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.span import Span
from bridge.store import audits, gaps, reads
from bridge.store.audits import Audit, Differing, Figures
from bridge.store.reads import Read
from tests.logs import make_stream

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


async def open_gap(engine: AsyncEngine, stream_id: int, first: int, last: int, opened_at: datetime) -> int:
    async with engine.begin() as conn:
        found = [(Span.inclusive(first, last), opened_at)]
        await gaps.open_all(conn, stream_id=stream_id, epoch=1, found=found, deadline_at=None, now=opened_at)
        return int((await conn.execute(text("SELECT max(id) FROM gaps"))).scalar_one())


async def test_a_gap_has_the_reads_that_reached_it_while_it_was_open(engine: AsyncEngine) -> None:
    stream, other = await make_stream(engine, "pb.events"), await make_stream(engine, "pb.other")
    gap_id = await open_gap(engine, stream.id, 10, 12, NOW)
    read = Read(after(1), "proof", since=3, upto=20, reached=20, pages=1, rows=9, withheld="stable")
    made = [
        read._replace(at=after(-1)),
        read,
        read._replace(at=after(2), reached=9),
        read._replace(at=after(3), reached=None, error="x" * 1000),
        read._replace(at=after(4), proven_first=10, proven_last=15, withheld=None),
        read._replace(at=after(6)),
    ]
    async with engine.begin() as conn:
        await reads.insert(conn, stream_id=stream.id, epoch=1, made=made)
        await reads.insert(conn, stream_id=stream.id, epoch=2, made=[read])
        await reads.insert(conn, stream_id=other.id, epoch=1, made=[read])
        await gaps.close_passed(conn, stream_id=stream.id, epoch=1, frontier=15, now=after(5))
        found = await reads.of_gap(conn, gap_id=gap_id, limit=10)
        assert [one.at for one in found] == [after(4), after(3), after(1)]
        assert found[2]._replace(id=0) == read
        assert found[1].error == "x" * reads.ERROR_CHARS_MAX
        page = await reads.of_gap(conn, gap_id=gap_id, limit=2)
        rest = await reads.of_gap(conn, gap_id=gap_id, before=page[-1].id, limit=2)
        assert [*page, *rest] == found


async def test_a_gap_in_time_that_was_written_down_late_has_the_reads_of_what_begins_in_it(
    engine: AsyncEngine,
) -> None:
    stream = await make_stream(engine, "po.position")
    first = int(NOW.timestamp() * 1000)
    read = Read(after(1), "snapshot", since=first, upto=first + 900, reached=first + 900, pages=1, rows=1)
    made = [
        read._replace(at=after(0), since=first - 500),  # of what was missing before, as far as this gap
        read,
        read._replace(at=after(2), since=None, upto=None, reached=None),  # of nothing in particular
        read._replace(at=after(3), since=first + 500),
        read._replace(at=after(26), since=None, upto=None, reached=None),
        read._replace(at=after(31)),
    ]
    async with engine.begin() as conn:
        await reads.insert(conn, stream_id=stream.id, epoch=1, made=made)
        gap_id, _ = await gaps.open_time(
            conn, stream_id=stream.id, first_ms=first, last_ms=first + 900, now=after(30)
        )
        await gaps.close_time(
            conn, gap_id=gap_id, last_ms=first + 900, state="void", reads=3, found=0, lost_ms=0, healed_by=None,
            now=after(30),
        )  # fmt: skip
        found = await reads.of_gap(conn, gap_id=gap_id, limit=10)
    assert [one.at for one in found] == [after(26), after(3), after(1)]


async def test_a_pass_grows_by_pages_and_names_the_first_of_what_differs(engine: AsyncEngine) -> None:
    stream = await make_stream(engine, "pb.events")
    async with engine.begin() as conn:
        begun = await audits.begin(conn, stream_id=stream.id, epoch=1, why="sweep", now=NOW)
        assert await audits.under_way(conn, stream_id=stream.id, why="asked") is None
        await audits.brought(conn, audit_id=begun.id, numbers=[4])
        once = await audits.save(conn, begun.further([3, 4, 5], Differing(conflicts=[5])))
        assert once is not None
        assert (once.fresh, once.conflicts, once.named) == (1, 1, {"fresh": [4], "conflicts": [5]})
        assert await audits.under_way(conn, stream_id=stream.id, why="sweep") == once
        many = list(range(10, 10 + audits.NAMED_MAX))
        await audits.brought(conn, audit_id=begun.id, numbers=many)
        twice = await audits.save(conn, once.further([6, 9], Differing(many, [7], 2)))
        assert twice is not None
        assert (twice.first, twice.last, twice.pages, twice.rows) == (3, 9, 2, 5)
        assert (twice.fresh, twice.conflicts, twice.unlisted, twice.differs) == (101, 101, 2, True)
        assert twice.named == {"fresh": [4, *many[:-1]], "conflicts": [5, *many[:-1]], "unlisted": [7]}
        assert await audits.under_way(conn, stream_id=stream.id, why="sweep") == twice


async def test_rows_that_a_venue_lists_again_from_further_back_take_a_pass_no_step_back(engine: AsyncEngine) -> None:
    stream = await make_stream(engine, "pb.events")
    async with engine.begin() as conn:
        begun = await audits.begin(conn, stream_id=stream.id, epoch=1, why="sweep", now=NOW)
        once = begun.further([60, 100], Differing())
        again = await audits.save(conn, once.further([10, 50], Differing()))
        assert again is not None
        assert (again.first, again.last, again.rows) == (10, 100, 4)


async def test_a_pass_that_was_left_open_is_ended_by_the_next_and_takes_no_more_in(engine: AsyncEngine) -> None:
    stream = await make_stream(engine, "pb.events")
    async with engine.begin() as conn:
        left = await audits.begin(conn, stream_id=stream.id, epoch=1, why="asked", now=NOW)
        sweep = await audits.begin(conn, stream_id=stream.id, epoch=1, why="sweep", now=NOW)
        again = await audits.begin(conn, stream_id=stream.id, epoch=1, why="asked", now=after(60))
        assert await audits.save(conn, left.further([1], Differing(conflicts=[1]))) is None
        found = await audits.listing(conn, stream_id=stream.id, limit=10)
        assert [(one.id, one.ended_at, one.error, one.rows) for one in found] == [
            (again.id, None, None, 0),
            (sweep.id, None, None, 0),
            (left.id, after(60), "it was not finished", 0),
        ]
        assert await audits.listing(conn, stream_id=stream.id, before=sweep.id, limit=10) == found[2:]


async def test_a_period_counts_the_passes_that_ended_in_it(engine: AsyncEngine) -> None:
    stream, quiet = await make_stream(engine, "pb.events"), await make_stream(engine, "pb.quiet")
    passes = [
        Audit(began_at=NOW, ended_at=after(-1), rows=1),
        Audit(began_at=NOW, ended_at=NOW, rows=2, fresh=1),
        Audit(began_at=NOW, ended_at=after(5), rows=4, conflicts=1, unlisted=3),
        Audit(began_at=NOW, ended_at=after(9), rows=8, error="HTTP 500"),
        Audit(began_at=NOW, ended_at=after(10), rows=16),
        Audit(began_at=NOW, rows=32),
    ]
    async with engine.begin() as conn:
        for one in passes:
            await audits.add(conn, stream_id=stream.id, audit=one)
        found = await audits.figures(conn, [stream.id, quiet.id], since=NOW, until=after(10))
    assert found == {stream.id: Figures(3, 1, 14, 1, 1, 3, after(5))}
