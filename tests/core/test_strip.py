"""Coverage as a strip: nothing of a window is left out, and what is worse hides what is better."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.coverage import Coverage
from bridge.core.span import Span
from bridge.core.strip import SCALE, Held, Mark, Strip, cell_of, over_numbers, over_time, window_of

NUMBERS = st.integers(0, 400)


def drawn(strip: Strip) -> list[tuple[float, float, str]]:
    return [(piece.x, piece.width, piece.mark.value) for piece in strip.pieces]


def test_a_window_is_the_last_numbers_and_none_below_the_base() -> None:
    assert window_of(1, 50, numbers_max=100) == Span(1, 51)
    assert window_of(1, 500, numbers_max=100) == Span(401, 501)
    assert window_of(51, 50, numbers_max=100) is None


def test_a_window_has_no_more_cells_than_there_may_be() -> None:
    assert cell_of(Span(1, 101), cells_max=100) == 1
    assert cell_of(Span(1, 102), cells_max=100) == 2


def test_numbers_are_events_voids_and_losses_below_the_frontier_and_open_or_waiting_from_there() -> None:
    strip = over_numbers(
        Span(1, 11),
        2,
        frontier=7,
        held={0: Held(2, 0), 1: Held(1, 0), 3: Held(0, 1), 4: Held(0, 2)},
        lost=Coverage((Span(6, 7),)),
    )
    assert drawn(strip) == [
        (0, 400, "proven"),
        (400, 200, "lost"),
        (600, 200, "open"),
        (800, 200, "waiting"),
    ]
    assert strip.totals == {Mark.PROVEN: 3, Mark.VOID: 2, Mark.LOST: 1, Mark.OPEN: 1, Mark.WAITING: 3}


@given(st.integers(1, 300), st.integers(1, 40), NUMBERS, st.sets(NUMBERS), st.sets(NUMBERS, max_size=30))
def test_every_number_of_a_window_is_one_thing(
    length: int, cells: int, frontier: int, present: set[int], gone: set[int]
) -> None:
    window = Span(10, 10 + length)
    cell = cell_of(window, cells_max=cells)
    held: dict[int, Held] = {}
    for number in present:
        if number in window:
            place = (number - window.start) // cell
            told, waiting = held.get(place, Held(0, 0))
            held[place] = Held(told + (number < frontier), waiting + (number >= frontier))
    strip = over_numbers(window, cell, frontier=frontier, held=held, lost=Coverage.of_numbers(gone - present))
    assert sum(strip.totals.values()) == length
    assert min(strip.totals.values()) >= 0
    assert len(strip.pieces) <= cells
    assert sum(piece.width for piece in strip.pieces) == pytest.approx(SCALE, abs=1)
    assert strip.totals[Mark.LOST] == sum(1 for n in gone - present if n in window and n < frontier)


def test_time_is_proven_up_to_where_it_is_settled_but_for_its_holes() -> None:
    strip = over_time(
        Span(0, 1000),
        began=100,
        settled=900,
        holes=[(Span(200, 300), Mark.LOST), (Span(250, 400), Mark.OPEN), (Span(-50, 120), Mark.SUPERSEDED)],
    )
    assert drawn(strip) == [
        (0, 120, "superseded"),
        (120, 80, "proven"),
        (200, 50, "lost"),
        (250, 150, "open"),
        (400, 500, "proven"),
        (900, 100, "waiting"),
    ]
    assert sum(strip.totals.values()) == 1000


def test_a_stream_that_was_never_settled_only_waits_and_one_that_never_began_shows_nothing() -> None:
    assert drawn(over_time(Span(0, 10), began=0, settled=None, holes=[])) == [(0, 1000, "waiting")]
    assert drawn(over_time(Span(0, 10), began=None, settled=None, holes=[])) == []
