"""What strips are drawn from, read from rows of a real database: every loss of a window, and every gap in time."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.core.coverage import Coverage
from bridge.core.span import Span
from bridge.core.strip import Mark, Strip, over_numbers
from bridge.store import strips
from bridge.store.strips import Window
from tests.logs import append_events, make_stream

pytestmark = pytest.mark.anyio

LOSSES = text("""
INSERT INTO evidence (stream_id, epoch, first, last, verdict, detail, recorded_at)
SELECT id, 1, first, last, 'loss', '{}', now()
FROM streams, unnest(CAST(:firsts AS bigint[]), CAST(:lasts AS bigint[])) AS l (first, last)
""")
GAPS = text("""
INSERT INTO gaps (stream_id, epoch, axis, first, last, state, opened_at, due_at, closed_at)
SELECT id, 1, 'time', n, n + 5, CAST(:state AS text), now(), now(), CASE :state WHEN 'open' THEN NULL ELSE now() END
FROM streams, generate_series(CAST(:since AS bigint), CAST(:until AS bigint), 10) n
""")


async def lose(conn: AsyncConnection, *spans: tuple[int, int]) -> None:
    await conn.execute(LOSSES, {"firsts": [first for first, _ in spans], "lasts": [last for _, last in spans]})


async def drawn(conn: AsyncConnection, window: Window) -> Strip:
    held, lost = await strips.held(conn, [window]), await strips.lost(conn, [window])
    return over_numbers(
        Span.inclusive(window.first, window.last),
        window.cell,
        frontier=window.frontier,
        held=held.get(window.stream_id, {}),
        lost=Coverage.of(lost.get(window.stream_id, ())),
    )


async def test_no_loss_of_a_window_is_taken_for_a_number_that_was_never_given_out(engine: AsyncEngine) -> None:
    stream = await make_stream(engine, "pb.events")
    async with engine.begin() as conn:
        await lose(conn, *((n, n) for n in range(2, 5_001, 2)))
        strip = await drawn(conn, Window(stream.id, 1, 1, 5_000, 5_001, 10))
    assert (strip.totals[Mark.LOST], strip.totals[Mark.VOID]) == (2_500, 2_500)


async def test_a_loss_in_which_something_turned_up_is_that_much_less(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 5)
    async with engine.begin() as conn:
        stream_id = (await conn.execute(text("SELECT id FROM streams"))).scalar_one()
        await lose(conn, (4, 9))
        strip = await drawn(conn, Window(stream_id, 1, 1, 10, 11, 10))
    assert (strip.totals[Mark.PROVEN], strip.totals[Mark.LOST], strip.totals[Mark.VOID]) == (5, 4, 1)


async def test_no_gap_in_time_is_hidden_by_others_that_have_healed_since(engine: AsyncEngine) -> None:
    stream = await make_stream(engine, "by.execution")
    async with engine.begin() as conn:
        for state, since, until in (("open", 1_000, 1_000), ("lost", 2_000, 2_000), ("recovered", 3_000, 7_000)):
            await conn.execute(GAPS, {"state": state, "since": since, "until": until})
        assert await strips.in_time(conn, [stream.id], since_ms=1_000) == {
            stream.id: [(Span(2_000, 2_005), "lost"), (Span(1_000, 1_005), "open")]
        }
        assert await strips.in_time(conn, [stream.id], since_ms=2_006) == {}
