"""The verdict on streams that the bridge numbers: by sabotage of what a good consumer holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from bridge.core.event import Kind
from bridge.sim.consumer import Held
from bridge.sim.demo.series import SeriesRow, SeriesVerdict, Terms
from bridge.sim.demo.series_verdict import judge_series

ZERO = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
ZERO_MS = int(ZERO.timestamp()) * 1000
TIMED = Terms()
TWINS = Terms(twins=True)
BOOK = Terms(in_session=True)


def iso(ms: int) -> str:
    return (ZERO + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")[:23] + "Z"


def row(event_id: str, ms: float = 0, **more: object) -> SeriesRow:
    return SeriesRow(event_id, ZERO_MS + ms, **more)  # type: ignore[arg-type]  # tests give what fits


def step(previous: int, number: int, **more: object) -> SeriesRow:
    return row(f"b:{number}", number, previous=previous, number=number, **more)


def snapshot(number: int) -> SeriesRow:
    return row(f"snapshot:{number}", number, number=number, optional=True)


def entry(event_id: str, ms: int = 0, kind: Kind = Kind.EVENT) -> Held:
    return Held("by.s", 1, kind, 1, 1, event_id, "t", "", "", 0.0, None, iso(ms))


def gap(**said: object) -> Held:
    content = msgspec.json.encode({"reason": "lost", "evidence": {}, **said})
    return Held("by.s", 1, Kind.GAP, 1, None, "g", "bridge.gap", "", "", 0.0, content)


def lost(from_ms: int, to_ms: int) -> Held:
    return gap(**{"from": iso(from_ms), "to": iso(to_ms)})


def judged(truth: list[SeriesRow], held: list[Held], terms: Terms = TIMED, since: int = 0) -> SeriesVerdict:
    return judge_series("by.s", truth, held, terms, since_ms=ZERO_MS + since)


def counts(verdict: SeriesVerdict) -> dict[str, int]:
    """What is not as it should be, or has an excuse."""
    names = (
        "missing", "told_missing", "unnoticed", "held_twice", "unknown", "wrong_time", "out_of_order",
    )  # fmt: skip
    return {name: count for name in names if (count := getattr(verdict, name))}


THREE = [row("a", 10), row("b", 20), row("c", 30)]
HELD = [entry("a", 10), entry("b", 20), entry("c", 30)]


def test_everything_held_once_in_order_is_good() -> None:
    verdict = judged(THREE, HELD)
    assert (verdict.good, verdict.assigned, verdict.delivered, verdict.problems) == (True, 3, 3, ())


@pytest.mark.parametrize(
    "held, found",
    [
        (HELD[:2], {"missing": 1}),
        ([*HELD, HELD[0]], {"held_twice": 1, "out_of_order": 1}),
        ([*HELD, entry("d", 40)], {"unknown": 1}),
        ([HELD[1], HELD[0], HELD[2]], {"out_of_order": 1}),
        ([entry("a", 11), *HELD[1:]], {"wrong_time": 1}),
    ],
)
def test_what_is_wrong_is_found_and_counted(held: list[Held], found: dict[str, int]) -> None:
    verdict = judged(THREE, held)
    assert counts(verdict) == found
    assert not verdict.good
    assert len(verdict.problems) == len(found)


def test_a_missing_event_is_named() -> None:
    assert judged(THREE, HELD[1:]).examples == ("a",)


def test_what_comes_late_may_come_out_of_order() -> None:
    for kind in (Kind.LATE, Kind.RECOVERED):
        assert judged(THREE, [HELD[0], HELD[2], entry("b", 20, kind)]).good


def test_equal_times_are_ordered_by_id() -> None:
    truth = [row("b", 10), row("a", 10)]
    assert judged(truth, [entry("a", 10), entry("b", 10)]).good
    assert counts(judged(truth, [entry("b", 10), entry("a", 10)])) == {"out_of_order": 1}


def test_times_below_the_millisecond_order_what_the_entries_cannot_tell() -> None:
    truth = [row("b", 10.1), row("a", 10.2)]
    assert judged(truth, [entry("b", 10), entry("a", 10)]).good


def test_a_gap_excuses_what_lies_in_its_time_and_nothing_else() -> None:
    assert counts(judged(THREE, [HELD[0], lost(15, 25), HELD[2]])) == {"told_missing": 1}
    assert judged(THREE, [HELD[0], lost(15, 25), HELD[2]]).good
    assert counts(judged(THREE, [HELD[0], lost(21, 25), HELD[2]])) == {"missing": 1}
    assert counts(judged(THREE, [HELD[0], lost(11, 19), HELD[2]])) == {"missing": 1}


def test_a_gap_is_a_problem_where_the_venue_still_had_everything() -> None:
    verdict = judged(THREE, [HELD[0], lost(15, 25), HELD[2]], Terms(repairs=True))
    assert verdict.problems == ("by.s: 1 told as missing although the venue still had them",)


def test_what_was_swallowed_is_excused_only_where_nobody_can_notice() -> None:
    truth = [THREE[0], row("b", 20, swallowed=True), THREE[2]]
    held = [HELD[0], HELD[2]]
    assert counts(judged(truth, held, Terms(unnoticed=True))) == {"unnoticed": 1}
    assert judged(truth, held, Terms(unnoticed=True)).good
    assert counts(judged(truth, held)) == {"missing": 1}
    assert counts(judged(THREE, held, Terms(unnoticed=True))) == {"missing": 1}


def test_what_was_before_the_stream_began_is_not_judged() -> None:
    assert judged(THREE, HELD[1:], since=15).good
    assert counts(judged(THREE, HELD[2:], since=15)) == {"missing": 1}


def test_present_states_may_be_held_or_not_and_more_than_once_is_not_asked() -> None:
    truth = [*THREE, row("state", 25, optional=True)]
    assert judged(truth, HELD).good
    assert judged(truth, [*HELD[:2], entry("state", 25), HELD[2]]).good


def test_a_state_that_also_happened_must_be_held_once() -> None:
    truth = [*THREE, row("b", 20, optional=True)]
    assert judged(truth, HELD).good
    assert counts(judged(truth, [HELD[0], HELD[2]])) == {"missing": 1}


def test_a_venue_without_times_is_judged_by_what_the_entries_say() -> None:
    held = [entry("a", 12), entry("b", 22), entry("c", 32)]
    assert judged(THREE, held, Terms(untimed=True)).good
    assert counts(judged(THREE, [held[0], held[2], held[1]], Terms(untimed=True))) == {"out_of_order": 1}


# Twins: equal to the last digit, and still two.

PAIR = [row("p", 10), row("p", 10), row("q", 20)]


def test_twins_are_held_as_often_as_they_were_assigned() -> None:
    good = [entry("p#1", 10), entry("p#2", 10), entry("q#1", 20)]
    assert judged(PAIR, good, TWINS).good
    assert counts(judged(PAIR, good[1:], TWINS)) == {"missing": 1}
    assert counts(judged(PAIR, [*good[:2], entry("p#3", 10), good[2]], TWINS)) == {"held_twice": 1}
    twice = [good[0], replaced(good[1], "p#1"), good[2]]
    assert counts(judged(PAIR, twice, TWINS)) == {"held_twice": 1, "out_of_order": 1}


def replaced(held: Held, event_id: str) -> Held:
    return msgspec.structs.replace(held, id=event_id)


def test_one_swallowed_twin_excuses_one_absence_and_not_two() -> None:
    truth = [PAIR[0], row("p", 10, swallowed=True), PAIR[2]]
    terms = replace(TWINS, unnoticed=True)
    assert counts(judged(truth, [entry("p#1", 10), entry("q#1", 20)], terms)) == {"unnoticed": 1}
    assert counts(judged(truth, [entry("q#1", 20)], terms)) == {"unnoticed": 1, "missing": 1}


def test_a_twin_that_is_held_uses_up_no_excuse() -> None:
    truth = [row("p", 10), row("p", 10, swallowed=True)]
    assert counts(judged(truth, [entry("p#1", 10), entry("p#2", 10)], replace(TWINS, unnoticed=True))) == {}


# Books.

CHAIN = [step(1, 3), step(3, 6), step(6, 7), step(7, 9)]
FIRST = snapshot(1)


def told(*numbers: int) -> list[Held]:
    return [entry(f"b:{number}", number) for number in numbers]


def test_a_book_is_good_from_its_first_snapshot_on() -> None:
    assert judged([*CHAIN, FIRST], [entry("snapshot:1", 1), *told(3, 6, 7, 9)], BOOK).good
    assert judged([*CHAIN, snapshot(6)], [entry("snapshot:6", 6), *told(7, 9)], BOOK).good
    assert counts(judged([*CHAIN, snapshot(3)], [entry("snapshot:3", 3), *told(7, 9)], BOOK)) == {"missing": 1}


def test_numbers_strictly_between_those_of_a_gap_are_excused() -> None:
    held = [entry("snapshot:1", 1), *told(3), gap(after=3, before=7), *told(7, 9)]
    assert counts(judged([*CHAIN, FIRST], held, BOOK)) == {"told_missing": 1}
    short = [entry("snapshot:1", 1), *told(3), gap(after=3, before=7), *told(9)]
    assert counts(judged([*CHAIN, FIRST], short, BOOK)) == {"told_missing": 1, "missing": 1}


def test_a_snapshot_stands_for_the_step_that_has_its_number() -> None:
    truth = [*CHAIN, FIRST, snapshot(7)]
    held = [entry("snapshot:1", 1), *told(3), gap(after=3, before=7, reason="superseded"), entry("snapshot:7", 7)]
    assert counts(judged(truth, [*held, *told(9)], BOOK)) == {"told_missing": 2}
    assert judged(truth, [*held, *told(9)], BOOK).good


def test_a_step_may_be_held_in_pieces_all_of_them_and_not_beside_the_whole() -> None:
    truth = [CHAIN[0], step(3, 6, parts=(("b:4", 4), ("b:5", 5), ("b:6", 6))), *CHAIN[2:], FIRST]
    begin = [entry("snapshot:1", 1), *told(3)]
    assert judged(truth, [*begin, *told(4, 5, 6, 7, 9)], BOOK).good
    assert judged(truth, [*begin, *told(6, 7, 9)], BOOK).good, "the whole has the last number"
    assert "held_twice" in counts(judged(truth, [*begin, *told(4, 4, 5, 6, 7, 9)], BOOK))
    named = [CHAIN[0], step(3, 6, parts=(("r:5", 5), ("r:6", 6))), *CHAIN[2:], FIRST]
    pieces = [entry("r:5", 5), entry("r:6", 6)]
    assert judged(named, [*begin, *pieces, *told(7, 9)], BOOK).good
    assert counts(judged(named, [*begin, pieces[0], *told(7, 9)], BOOK)) == {"missing": 1}
    assert "held_twice" in counts(judged(named, [*begin, *pieces, *told(6, 7, 9)], BOOK))


def test_numbers_must_grow_but_for_a_snapshot() -> None:
    truth = [*CHAIN, FIRST, snapshot(6)]
    held = [entry("snapshot:1", 1), *told(3, 6, 7), entry("snapshot:6", 6), *told(9)]
    assert counts(judged(truth, held, BOOK)) == {}
    assert "out_of_order" in counts(judged(truth, [entry("snapshot:1", 1), *told(6, 3, 7, 9)], BOOK))


ANEW = [
    row("snapshot:100", 0, number=100, optional=True),
    row("b:101", 10, previous=100, number=101),
    row("snapshot:1", 20, number=1, optional=True),
    row("b:2", 30, previous=1, number=2),
    row("b:3", 40, previous=2, number=3),
]


def test_where_numbers_begin_anew_what_comes_after_is_judged_too() -> None:
    held = [entry(one.id, int(one.at_ms) - ZERO_MS) for one in ANEW]
    assert judged(ANEW, held, BOOK).good
    assert counts(judged(ANEW, held[:-1], BOOK)) == {"missing": 1}


def test_a_gap_across_which_numbers_began_anew_excuses_by_its_times() -> None:
    truth = [*ANEW, row("snapshot:3", 45, number=3, optional=True)]
    first, last = entry("snapshot:100", 0), entry("snapshot:3", 45)
    between = gap(after=100, before=3, **{"from": iso(5), "to": iso(45)})
    assert judged(truth, [first, between, last], BOOK).good
    early = gap(after=100, before=3, **{"from": iso(5), "to": iso(35)})
    assert judged(truth, [first, early, last], BOOK).missing == 1


def test_a_book_without_numbers_is_excused_by_the_time_of_its_gap() -> None:
    truth = [row("x", 10), row("y", 20), row("z", 30), row("whole", 5, optional=True)]
    begin = [entry("whole", 5), entry("x", 10)]
    assert counts(judged(truth, [*begin, lost(10, 20), entry("z", 30)], BOOK)) == {"told_missing": 1}
    assert counts(judged(truth, [*begin, entry("z", 30)], BOOK)) == {"missing": 1}
    assert counts(judged([row("old", 1), *truth], [*begin, entry("y", 20), entry("z", 30)], BOOK)) == {}


def test_nothing_held_is_everything_missing() -> None:
    assert counts(judged([*CHAIN, FIRST], [], BOOK)) == {"missing": 4}
