"""The token bucket, on a clock that is only a number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.budget import Budget, Left


def test_a_second_allows_its_rate_and_then_asks_to_wait() -> None:
    budget = Budget(4, now=0)
    assert [budget.take(0) for _ in range(4)] == [0, 0, 0, 0]
    assert budget.take(0) == pytest.approx(0.25)


def test_waiting_as_long_as_was_asked_is_enough() -> None:
    budget = Budget(3, now=0)
    now, taken = 0.0, 0
    while taken < 30:
        wait = budget.take(now)
        taken += wait == 0
        now += wait
    assert now == pytest.approx(9.0)


def test_a_long_pause_saves_up_no_more_than_the_burst() -> None:
    budget = Budget(5, now=0)
    assert sum(budget.take(1000) == 0 for _ in range(100)) == 5


def test_the_burst_is_never_larger_than_the_rate() -> None:
    budget = Budget(5, burst=50, now=0)
    assert sum(budget.take(0) == 0 for _ in range(100)) == 5


def test_a_rate_below_one_still_allows_single_calls() -> None:
    budget = Budget(0.5, now=0)
    assert budget.take(0) == 0
    assert budget.take(0) == pytest.approx(2.0)


def test_the_reserve_is_for_urgent_calls_alone() -> None:
    budget = Budget(5, reserve=2, now=0)
    assert sum(budget.take(0) == 0 for _ in range(10)) == 3
    assert sum(budget.take(0, urgent=True) == 0 for _ in range(10)) == 2


def test_a_reserve_leaves_ordinary_calls_something() -> None:
    budget = Budget(1, reserve=10, now=0)
    assert budget.take(0) == 0


def test_a_pause_holds_urgent_calls_too_and_is_never_shortened() -> None:
    budget = Budget(5, now=0)
    budget.pause(0, 30)
    budget.pause(1, 2)
    assert budget.take(10, urgent=True) == pytest.approx(20)
    assert budget.take(30) == 0


def test_a_clock_that_steps_back_gives_nothing() -> None:
    budget = Budget(1, now=100)
    assert budget.take(100) == 0
    assert budget.take(50) > 0
    assert budget.take(100.5) > 0


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="allows"):
        Budget(0, now=0)


@given(st.floats(0.1, 100), st.lists(st.floats(0, 3), max_size=60))
def test_no_pattern_of_calls_gets_more_than_rate_and_burst(rate: float, pauses: list[float]) -> None:
    budget = Budget(rate, now=0)
    now, taken = 0.0, 0
    for pause in pauses:
        now += pause
        taken += budget.take(now) == 0
    assert taken <= max(1.0, rate) + rate * now + 1e-6


def test_looking_says_what_is_left_and_takes_nothing() -> None:
    budget = Budget(4, now=0)
    budget.take(0)
    budget.take(0)
    assert [budget.left(0.25) for _ in range(9)] == [Left(per_s=4, burst=4, tokens=3, paused_s=0)] * 9
    assert sum(budget.take(0.25) == 0 for _ in range(9)) == 3


def test_looking_says_for_how_long_nothing_is_allowed() -> None:
    budget = Budget(4, now=0)
    budget.pause(1, 20)
    assert budget.left(6).paused_s == 15
    assert budget.left(30).paused_s == 0
