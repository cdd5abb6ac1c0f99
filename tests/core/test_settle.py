"""Settling tells every covered number in order, once, and stops at the first that is not covered."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.coverage import Coverage
from bridge.core.settle import settle
from bridge.core.span import Span
from tests.core.test_coverage import coverages, numbers


@given(st.sets(st.integers(1, 60)), coverages, coverages, st.integers(1, 30))
def test_every_number_below_the_new_frontier_is_accounted_for(
    present: set[int], proven: Coverage, lost: Coverage, frontier: int
) -> None:
    ahead = sorted(number for number in present if number >= frontier)
    result = settle(frontier, present=ahead, proven=proven, lost=lost, until=90)
    told_events = [step for step in result.steps if isinstance(step, int)]
    told_losses = [n for step in result.steps if isinstance(step, Span) for n in range(step.start, step.stop)]
    passed = set(range(frontier, result.frontier))
    assert told_events == [number for number in ahead if number < result.frontier]
    assert set(told_losses) == (passed & numbers(lost)) - numbers(proven) - present
    assert passed - set(told_events) - set(told_losses) <= numbers(proven)
    covered = present | numbers(proven) | numbers(lost)
    assert result.frontier == 90 or result.frontier not in covered


@given(st.sets(st.integers(1, 60)), coverages, coverages, st.integers(1, 60))
def test_settling_in_two_steps_tells_the_same_as_in_one(
    present: set[int], proven: Coverage, lost: Coverage, pause: int
) -> None:
    whole = settle(1, present=sorted(present), proven=proven, lost=lost, until=90)
    first = settle(1, present=sorted(n for n in present if n < pause), proven=proven, lost=lost, until=pause)
    rest = sorted(number for number in present if number >= first.frontier)
    second = settle(first.frontier, present=rest, proven=proven, lost=lost, until=90)
    assert second.frontier == whole.frontier
    assert _flat([*first.steps, *second.steps]) == _flat(list(whole.steps))


def test_a_present_event_is_told_even_inside_a_loss() -> None:
    result = settle(5, present=[7], proven=Coverage(), lost=Coverage.of([Span(5, 10)]), until=20)
    assert result.steps == (Span(5, 7), 7, Span(8, 10))
    assert result.frontier == 10


def _flat(steps: list[int | Span]) -> list[tuple[str, int]]:
    return [
        entry
        for step in steps
        for entry in (
            [("event", step)] if isinstance(step, int) else [("lost", n) for n in range(step.start, step.stop)]
        )
    ]
