"""The truth: what was assigned stays in order and counted, what else was told stands beside it."""

from bridge.sim.market import Assigned, Row, Truth
from tests.sim.market_dialect import at

A, B, TWIN = Assigned("a", at(0)), Assigned("b", at(1)), Assigned("b", at(1))
STATE = Assigned("state", at(2), optional=True)


def test_twins_stay_two_and_what_is_optional_comes_last_and_once() -> None:
    truth = Truth()
    truth.tell("s", Assigned("state", at(2)))
    truth.assign("s", [A, STATE, B, TWIN])
    assert [row.assigned for row in truth.rows("s")] == [A, B, TWIN, STATE]
    assert truth.counts() == {"s": {"assigned": 3, "optional": 1, "swallowed": 0}}


def test_pages_are_cut_anywhere() -> None:
    truth = Truth()
    truth.assign("s", [A, B, TWIN, STATE])
    whole = truth.rows("s")
    for limit in (1, 2, 3, 4, 9):
        pages = [truth.rows("s", after, limit) for after in range(0, 6, limit)]
        assert [row for page in pages for row in page] == whole
    assert truth.rows("none") == []


def test_of_twins_the_one_that_was_swallowed_is_marked() -> None:
    truth = Truth()
    truth.assign("s", [B, TWIN])
    truth.swallow((TWIN,))
    assert truth.rows("s") == [Row(B, False), Row(TWIN, True)]


def test_what_is_too_much_to_keep_is_counted_as_forgotten() -> None:
    truth = Truth(kept_max=2)
    truth.tell("s", STATE)
    truth.tell("s", STATE)
    truth.assign("s", [A, B])
    truth.tell("s", STATE)
    truth.tell("s", Assigned("other", at(3)))
    assert truth.forgotten == 2
    assert [row.assigned for row in truth.rows("s")] == [A, STATE]
