"""A read is proof only if every clause holds; each clause, broken alone, withholds the claim."""

from dataclasses import replace

import pytest

from bridge.core.proof import Candidate, Clause, Known, Reading, judge
from bridge.core.span import Span

READING = Reading(since=7, listed=(8, 9, 11, 14, 17), pages=1, ended=True, whole=True)
KNOWN = Known(frontier=10, anchors={8, 9}, anchored_in_time=False, stored={11, 14}, fresh=set(), settled_to=15)
CLAIM = Candidate(Span(10, 15), (11, 14))


def test_two_reads_that_agree_prove_up_to_the_last_settled_number() -> None:
    first = judge(READING, KNOWN, None)
    assert first.proven is None
    assert first.candidate == CLAIM
    assert first.failed == (Clause.STABLE,)
    assert judge(READING, KNOWN, first.candidate).proven == Span(10, 15)


def test_a_read_without_holes_needs_no_second_look() -> None:
    reading = replace(READING, listed=(8, 9, 10, 11))
    assert judge(reading, replace(KNOWN, settled_to=11), None).proven == Span(10, 12)


def test_a_hole_that_got_a_row_is_proven_at_once_and_one_that_got_none_is_not() -> None:
    assert judge(READING, replace(KNOWN, stored={11, 14}, fresh={11, 14}), None).proven == Span(10, 15)
    assert judge(READING, replace(KNOWN, fresh={11}), None).proven == Span(10, 15)
    assert judge(READING, replace(KNOWN, fresh={14}), None).proven is None, "before 11 came nothing"
    reading = replace(READING, listed=(8, 9, 10, 12, 14, 17))
    assert judge(reading, replace(KNOWN, stored={10, 14}, fresh={12}), None).proven == Span(10, 15)


def test_the_shorter_of_two_claims_is_what_they_agree_on() -> None:
    longer = Candidate(Span(10, 18), (11, 14, 17))
    assert judge(READING, KNOWN, longer).proven == Span(10, 15)


@pytest.mark.parametrize(
    "reading, known, broken",
    [
        (READING, replace(KNOWN, anchors=set()), Clause.LEFT_ANCHOR),
        (replace(READING, since=12, listed=(14, 17)), KNOWN, Clause.LEFT_ANCHOR),
        (replace(READING, listed=(8, 9)), KNOWN, Clause.RIGHT_ANCHOR),
        (READING, replace(KNOWN, stored={11, 12}), Clause.RIGHT_ANCHOR),
        (replace(READING, listed=(8, 9, 11, 14), ended=False), KNOWN, Clause.TERMINAL),
        (replace(READING, listed=(8, 9, 14, 11, 17)), KNOWN, Clause.ORDERED),
        (replace(READING, listed=(8, 9, 11, 11, 14, 17)), KNOWN, Clause.ORDERED),
        (replace(READING, listed=(7, 8, 9, 11, 14, 17)), KNOWN, Clause.ORDERED),
        (replace(READING, whole=False), KNOWN, Clause.ORDERED),
        (READING, replace(KNOWN, settled_to=10), Clause.SETTLED),
        (replace(READING, pages=2, oldest_after=10), KNOWN, Clause.RETAINED),
        (replace(READING, pages=2, oldest_after=None), KNOWN, Clause.RETAINED),
        (replace(READING, listed=(8, 9, 11, 12, 14, 17)), KNOWN, Clause.STABLE),
    ],
)
def test_a_broken_clause_withholds_the_proof(reading: Reading, known: Known, broken: Clause) -> None:
    judgement = judge(reading, known, CLAIM)
    assert judgement.proven is None
    assert broken in judgement.failed


def test_an_empty_answer_proves_nothing() -> None:
    empty = Reading(since=7, listed=(), pages=1, ended=True, whole=True)
    assert judge(empty, KNOWN, CLAIM).proven is None


def test_where_nothing_is_left_to_see_again_time_may_be_the_anchor() -> None:
    reading = replace(READING, since=None, listed=(11, 14, 17))
    known = replace(KNOWN, anchors=set(), anchored_in_time=True)
    first = judge(reading, known, None)
    assert judge(reading, known, first.candidate).proven == Span(10, 15)


def test_over_several_pages_an_anchor_must_still_be_retained_at_the_end() -> None:
    reading = replace(READING, pages=3, oldest_after=9)
    assert judge(reading, KNOWN, CLAIM).proven == Span(10, 15)
