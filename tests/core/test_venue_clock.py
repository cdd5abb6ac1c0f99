"""The venue's clock as a lower bound: never ahead of the venue's own clock, and tight to the best frame."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.venue_clock import MEMORY_S, VenueClock

NOON = datetime(2026, 2, 18, 12, tzinfo=UTC)


def noon(plus_s: float) -> datetime:
    return NOON + timedelta(seconds=plus_s)


def test_a_venue_that_never_said_a_time_shows_none() -> None:
    clock = VenueClock()
    assert not clock.known
    assert clock.at(5.0) is None


def test_a_stamp_goes_on_by_itself() -> None:
    clock = VenueClock()
    clock.note(NOON, 100.0)
    assert clock.known
    assert clock.at(100.0) == NOON
    assert clock.at(107.5) == noon(7.5)


def test_a_frame_that_took_longer_changes_nothing_and_a_quicker_one_does() -> None:
    clock = VenueClock()
    clock.note(NOON, 100.0)
    clock.note(noon(9), 110.0)  # a second slower than the first
    assert clock.at(110.0) == noon(10)
    clock.note(noon(12), 111.0)  # a second quicker
    assert clock.at(111.0) == noon(12)


def test_the_best_frame_is_forgotten_in_the_end_because_clocks_drift_apart() -> None:
    clock = VenueClock(memory_s=60.0)
    clock.note(NOON, 0.0)
    clock.note(noon(59), 60.0)  # still remembered: a second slower counts for nothing
    assert clock.at(60.0) == noon(60)
    clock.note(noon(60), 61.0)  # the next stretch begins, and the one before still counts
    assert clock.at(61.0) == noon(61)
    clock.note(noon(119), 120.0)
    assert clock.at(120.0) == noon(120)
    clock.note(noon(121), 122.0)  # the first frame counts no longer
    assert clock.at(122.0) == noon(121)


def test_an_older_stretch_that_is_the_quicker_one_still_counts() -> None:
    clock = VenueClock(memory_s=10.0)
    clock.note(noon(5), 0.0)
    clock.note(noon(10), 11.0)
    assert clock.at(11.0) == noon(16)
    assert clock.at(20.0) == noon(25)


def test_the_newest_stamp_of_a_stretch_is_the_one_that_goes_on_to_the_next() -> None:
    clock = VenueClock(memory_s=10.0)
    clock.note(noon(0), 0.0)
    clock.note(noon(8), 5.0)
    clock.note(noon(11), 11.0)
    assert clock.at(12.0) == noon(15)


@pytest.mark.parametrize("hours", [-30, 0, 30])
@given(
    st.lists(
        st.tuples(st.floats(0, 2 * MEMORY_S), st.floats(0, 5)),  # how long until the next frame, how long it travels
        min_size=1,
        max_size=30,
    )
)
def test_the_bound_never_passes_the_venues_clock_and_is_as_tight_as_the_quickest_frame(
    hours: int, frames: list[tuple[float, float]]
) -> None:
    """The venue's clock is off by ``hours``, and nothing of that is known here."""
    clock = VenueClock()
    at_s, heard = 1000.0, list[tuple[float, float]]()
    for pause_s, travels_s in frames:
        at_s += pause_s
        clock.note(noon(hours * 3600 + at_s - travels_s), at_s)
        heard.append((at_s, travels_s))
        shows = clock.at(at_s)
        assert shows is not None
        behind_s = (noon(hours * 3600 + at_s) - shows).total_seconds()
        assert behind_s >= -0.001
        quickest_s = min(travelled for when, travelled in heard if at_s - when <= MEMORY_S)
        assert behind_s <= quickest_s + 0.001


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_between_frames_it_goes_as_time_goes(first_s: float, later_s: float) -> None:
    clock = VenueClock()
    clock.note(NOON, 0.0)
    early, late = clock.at(first_s), clock.at(first_s + later_s)
    assert early is not None
    assert late is not None
    assert abs((late - early).total_seconds() - later_s) < 0.001
