"""How streams stand, read from rows of a real database."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.store import stance
from bridge.store.stance import Missing, Stance
from tests.followed import BEGAN, BEGAN_MS, BOOK, EXECUTION, SETTLED, TRADES, declare, tell, turn
from tests.logs import append_events, make_stream

pytestmark = pytest.mark.anyio


async def standing(engine: AsyncEngine, name: str) -> Stance:
    async with engine.connect() as connection:
        found = await stance.read(connection, name)
        assert found in await stance.listing(connection), "one and all of them are the same rows"
    assert found is not None
    return found


async def test_a_channel_whose_losses_all_show_is_whole_until_something_is_lost(engine: AsyncEngine) -> None:
    stream = await declare(engine, EXECUTION)
    before = await standing(engine, "by.execution")
    assert before.completeness.share is None
    await tell(engine, stream, turn(10, 15, "recovered"), turn(20, 24, "void"))
    after = await standing(engine, "by.execution")
    assert (after.completeness.share, after.settled_until, after.gaps) == (1.0, SETTLED, None)
    assert after.lag_s(SETTLED + timedelta(seconds=7)) == 7
    assert after.lag is None, "there are no numbers of the venue's to lag behind"


async def test_what_was_lost_and_what_a_snapshot_replaced_lower_the_share(engine: AsyncEngine) -> None:
    book, fills = await declare(engine, BOOK), await declare(engine, EXECUTION)
    await tell(engine, book, turn(10, 30, "superseded"))
    await tell(engine, fills, turn(10, 20, "lost"), turn(50, 55, "lost"), turn(60, 70))
    told = await standing(engine, "by.execution")
    assert told.completeness.share == pytest.approx(0.85)
    assert told.gaps is not None
    assert (told.gaps.spans, told.axis) == (1, "time")
    assert (await standing(engine, BOOK.stream_of("by"))).completeness.share == pytest.approx(0.8)


async def test_a_channel_with_unnoticed_losses_is_never_called_complete(engine: AsyncEngine) -> None:
    await tell(engine, await declare(engine, TRADES))
    told = (await standing(engine, TRADES.stream_of("by"))).fields()
    assert (told["completeness"], told["reason"]) == (None, TRADES.unnoticed)
    assert (told["model"], told["repair"], told["reach"]) == ("keyed", "history", TRADES.reach)


async def test_numbers_of_the_venue_are_counted_in_numbers_and_by_epoch(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 10)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE streams SET epoch = 2, base = 1, frontier = 11, head = 14"))
        await connection.execute(
            text("""
            INSERT INTO gaps (stream_id, epoch, first, last, opened_at, due_at, closed_at, state, lost)
            SELECT id, epoch, first, last, now(), now(), now(), 'lost', 1 + last - first
            FROM streams CROSS JOIN (VALUES (1, 1, 9), (2, 4, 5)) AS lost (of_epoch, first, last)
            """).bindparams()
        )
        await connection.execute(text("UPDATE gaps SET epoch = 1 WHERE first = 1"))
    told = await standing(engine, "pb.events")
    assert told.completeness.share == pytest.approx(0.8)
    assert (told.lag, told.lag_s(BEGAN), told.axis) == (4, None, "sequence")


async def test_only_the_newest_gaps_are_counted_and_what_is_older_is_left_out(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stance, "GAPS_COUNTED_MAX", 2)
    stream = await declare(engine, EXECUTION)
    await tell(engine, stream, turn(0, 40, "lost"), turn(60, 65, "lost"), turn(80, 85, "lost"))
    told = await standing(engine, "by.execution")
    assert told.missing == Missing(10_000, BEGAN_MS + 60_000)
    assert told.completeness.share == pytest.approx(0.75)


async def test_a_stream_that_was_never_declared_stands_without_a_channel(engine: AsyncEngine) -> None:
    await make_stream(engine, "pb.events")
    told = await standing(engine, "pb.events")
    assert told.follow is None
    assert (told.fields()["model"], told.fields()["completeness"]) == (None, None)
    async with engine.connect() as connection:
        assert await stance.read(connection, "no.such") is None
