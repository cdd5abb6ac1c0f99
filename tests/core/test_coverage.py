"""Coverage is a set: evidence may come in any order, twice, in pieces."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.coverage import Coverage
from bridge.core.span import Span

spans = st.builds(lambda start, size: Span(start, start + size), st.integers(0, 60), st.integers(1, 20))
coverages = st.lists(spans, max_size=8).map(Coverage.of)


def numbers(coverage: Coverage) -> set[int]:
    return {number for span in coverage.spans for number in range(span.start, span.stop)}


@given(coverages, coverages, coverages)
def test_union_is_commutative_associative_and_idempotent(a: Coverage, b: Coverage, c: Coverage) -> None:
    assert a | b == b | a
    assert (a | b) | c == a | (b | c)
    assert a | a == a
    assert numbers(a | b) == numbers(a) | numbers(b)


@given(st.lists(spans, max_size=8))
def test_spans_are_kept_ascending_disjoint_and_apart(pieces: list[Span]) -> None:
    coverage = Coverage.of(pieces)
    assert all(left.stop < right.start for left, right in zip(coverage.spans, coverage.spans[1:], strict=False))
    assert numbers(coverage) == {n for span in pieces for n in range(span.start, span.stop)}
    assert len(coverage) == len(numbers(coverage))


@given(st.sets(st.integers(0, 60)))
def test_single_events_cover_themselves(present: set[int]) -> None:
    assert numbers(Coverage.of_numbers(present)) == present


@given(coverages, st.integers(0, 80))
def test_the_frontier_is_the_first_number_not_covered(coverage: Coverage, base: int) -> None:
    frontier = coverage.frontier(base)
    assert frontier not in numbers(coverage)
    assert all(number in coverage for number in range(base, frontier))


@given(coverages, spans)
def test_what_is_missing_and_what_is_within_make_up_the_window(coverage: Coverage, window: Span) -> None:
    missing = Coverage(coverage.missing(window))
    within = coverage.within(window)
    assert numbers(missing) | numbers(within) == set(range(window.start, window.stop))
    assert not numbers(missing) & numbers(coverage)
