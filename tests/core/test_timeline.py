"""A stream ordered by time: nothing is told before its time is proven, nothing twice, what is missing is named."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.channel import Told
from bridge.core.event import Event, Kind, Transport
from bridge.core.span import Span
from bridge.core.timeline import Heard, Missing, Step, Timeline, micros, moment

END = 60
LIVE, REPLAY = Transport.WEBSOCKET, Transport.REPLAY


def told(event_id: str) -> Told:
    return Told("trade", Event(event_id, "trade", "X", event_id.encode(), b"", None, None))


def hear(timeline: Timeline, *events: tuple[str, int], by: Transport = LIVE) -> list[bool]:
    return [timeline.hear(told(event_id), by, at_us=at_us) for event_id, at_us in events]


def said(steps: Sequence[Step]) -> list[object]:
    """Kind and id of what was heard, the span of what is missing."""
    return [(s.kind, s.told.event.event_id) if isinstance(s, Heard) else (s.span.start, s.span.stop) for s in steps]


def events(*ids: str) -> list[object]:
    return [(Kind.EVENT, event_id) for event_id in ids]


@given(st.datetimes(timezones=st.just(UTC), allow_imaginary=False).filter(lambda time: time.year < 9999))
def test_a_time_survives_as_whole_microseconds(time: datetime) -> None:
    assert moment(micros(time)) == time
    assert moment(micros(time)).tzinfo is UTC
    assert micros(time + timedelta(microseconds=1)) == micros(time) + 1


def test_events_are_told_by_time_and_id_however_they_arrive() -> None:
    timeline = Timeline(0)
    hear(timeline, ("c", 7), ("b", 5), ("a", 7), ("d", 1))
    timeline.cover(0, 10)
    assert said(timeline.settle(100)) == events("d", "b", "a", "c")
    assert timeline.frontier_us == 10


def test_nothing_is_told_before_its_time_is_proven_and_its_end_is_not_part_of_a_proof() -> None:
    timeline = Timeline(0)
    hear(timeline, ("a", 4), ("b", 5))
    assert timeline.settle(100) == []
    timeline.cover(2, 5)  # what was before is not proven
    assert timeline.settle(100) == []
    assert (timeline.frontier_us, timeline.reached_us, timeline.covered_from_us(0)) == (0, 0, 2)
    assert timeline.covered_from_us(2) is None
    timeline.cover(0, 2)
    assert timeline.reached_us == 5
    assert said(timeline.settle(100)) == events("a")
    assert (timeline.waiting, timeline.oldest_us) == (1, 5)
    timeline.cover(5, 6)
    assert said(timeline.settle(100)) == events("b")
    assert (timeline.waiting, timeline.oldest_us) == (0, None)


def test_a_proof_of_what_is_behind_the_frontier_changes_nothing() -> None:
    timeline = Timeline(10)
    hear(timeline, ("a", 12))
    timeline.cover(0, 10)
    timeline.cover(12, 12)
    timeline.give_up(0, 10, reason="lost", evidence={})
    assert timeline.settle(100) == []
    assert timeline.frontier_us == 10


def test_a_repetition_is_known_while_it_waits_and_after_it_was_told() -> None:
    timeline = Timeline(0)
    assert hear(timeline, ("a", 3), ("a", 3)) == [True, False]
    timeline.cover(0, 10)
    assert said(timeline.settle(100)) == events("a")
    assert hear(timeline, ("a", 3)) == [False]
    assert timeline.settle(100) == []


def test_two_of_the_same_moment_under_two_ids_stay_two() -> None:
    timeline = Timeline(0)
    assert hear(timeline, ("print#2", 3), ("print#1", 3)) == [True, True]
    timeline.cover(0, 10)
    assert said(timeline.settle(100)) == events("print#1", "print#2")


def test_what_is_heard_behind_the_frontier_is_late_once() -> None:
    timeline = Timeline(0)
    timeline.cover(0, 10)
    timeline.settle(100)
    assert hear(timeline, ("a", 9), ("a", 9), ("b", 10), by=REPLAY) == [True, False, True]
    assert timeline.settle(100) == [Heard(Kind.LATE, told("a"), REPLAY)]
    assert timeline.settle(100) == []


def test_what_was_told_as_missing_and_is_heard_after_all_is_recovered() -> None:
    timeline = Timeline(0)
    timeline.cover(0, 2)
    timeline.give_up(0, 6, reason="lost", evidence={"reads": 2})
    timeline.cover(6, 9)
    assert timeline.settle(100) == [Missing(Span(2, 6), "lost", {"reads": 2})]
    assert timeline.frontier_us == 9
    hear(timeline, ("a", 2), ("b", 5), ("c", 6), ("d", 1))
    assert said(timeline.settle(100)) == [
        (Kind.RECOVERED, "a"),
        (Kind.RECOVERED, "b"),
        (Kind.LATE, "c"),
        (Kind.LATE, "d"),
    ]


def test_what_an_earlier_run_told_as_missing_is_recovered_too() -> None:
    timeline = Timeline(20)
    timeline.was_lost([Span(5, 8)])
    hear(timeline, ("a", 7), ("b", 8))
    assert said(timeline.settle(100)) == [(Kind.RECOVERED, "a"), (Kind.LATE, "b")]


def test_what_is_heard_of_a_stretch_that_is_given_up_is_told_behind_its_gap() -> None:
    timeline = Timeline(0)
    hear(timeline, ("a", 3), ("b", 12))
    timeline.give_up(0, 10, reason="lost", evidence={})
    timeline.cover(10, 13)
    assert timeline.reached_us == 13
    assert said(timeline.settle(100)) == [(0, 10), *events("a", "b")]


def test_only_what_is_not_proven_is_missing_each_stretch_in_its_place() -> None:
    timeline = Timeline(0)
    hear(timeline, ("a", 1), ("b", 4), ("c", 11))
    timeline.cover(0, 2)
    timeline.cover(4, 5)
    timeline.cover(10, 12)
    timeline.give_up(6, 9, reason="later", evidence={})
    timeline.give_up(0, 6, reason="lost", evidence={})
    assert said(timeline.settle(100)) == [*events("a"), (2, 4), *events("b"), (5, 6), (6, 9)]
    assert timeline.frontier_us == timeline.reached_us == 9
    timeline.cover(9, 10)
    assert said(timeline.settle(100)) == events("c")


def test_what_is_proven_after_it_was_given_up_and_before_it_was_told_is_not_missing() -> None:
    timeline = Timeline(0)
    timeline.give_up(2, 9, reason="lost", evidence={})
    assert timeline.settle(100) == []
    timeline.cover(4, 6)
    timeline.cover(0, 2)
    assert said(timeline.settle(100)) == [(2, 4), (6, 9)]


def test_giving_up_twice_is_told_once() -> None:
    timeline = Timeline(0)
    timeline.give_up(0, 9, reason="lost", evidence={})
    timeline.give_up(0, 9, reason="lost", evidence={})
    assert said(timeline.settle(100)) == [(0, 9)]


def test_a_limit_cuts_what_is_told_and_nothing_is_skipped_or_repeated() -> None:
    timeline = Timeline(0)
    hear(timeline, ("a", 3), ("b", 3), ("c", 5))
    timeline.cover(0, 10)
    assert said(timeline.settle(1)) == events("a")
    assert timeline.frontier_us == 3
    assert said(timeline.settle(1)) == events("b")
    assert timeline.frontier_us == 5
    assert said(timeline.settle(1)) == events("c")
    assert timeline.settle(1) == []
    assert timeline.frontier_us == 10


def test_what_came_too_late_is_told_whatever_the_limit() -> None:
    timeline = Timeline(5)
    hear(timeline, ("a", 1), ("b", 2), ("c", 3), ("d", 6))
    timeline.cover(5, 9)
    assert said(timeline.settle(2)) == [(Kind.LATE, "a"), (Kind.LATE, "b"), (Kind.LATE, "c")]
    assert said(timeline.settle(2)) == events("d")


def test_of_one_moment_what_comes_before_the_last_one_told_is_late() -> None:
    timeline = Timeline(0)
    hear(timeline, ("b", 3), ("d", 3))
    timeline.cover(0, 10)
    assert said(timeline.settle(1)) == events("b")
    hear(timeline, ("a", 3), ("c", 3))
    assert said(timeline.settle(100)) == [(Kind.LATE, "a"), *events("c", "d")]


def test_what_is_older_than_the_stream_is_not_told() -> None:
    timeline = Timeline(10)
    timeline.forget_before(8)
    timeline.forget_before(5)  # it never becomes younger
    assert hear(timeline, ("a", 7), ("b", 8)) == [False, True]
    assert said(timeline.settle(100)) == [(Kind.LATE, "b")]
    assert timeline.remembers_from_us == 8


def test_what_an_earlier_run_told_is_known_again() -> None:
    timeline = Timeline(10)
    timeline.remember([("a", 3), ("c", 10)], all_of_it=True)
    assert hear(timeline, ("a", 3), ("c", 10), ("older", 1), ("b", 10), ("d", 10)) == [False, False, True, True, True]
    timeline.cover(10, 11)
    assert said(timeline.settle(100)) == [(Kind.LATE, "older"), (Kind.LATE, "b"), *events("d")]


def test_where_an_earlier_run_told_more_than_is_remembered_the_older_is_not_told_again() -> None:
    timeline = Timeline(10)
    timeline.remember([("a", 3), ("b", 5)], all_of_it=False)
    assert hear(timeline, ("x", 3), ("y", 4)) == [False, True]
    assert timeline.remembers_from_us == 4


def test_a_new_stream_remembers_nothing() -> None:
    timeline = Timeline(10)
    timeline.remember([], all_of_it=False)
    assert timeline.remembers_from_us == 0


def test_where_too_much_waits_the_next_event_has_no_room_until_some_are_told() -> None:
    timeline = Timeline(5, events_max=2)
    hear(timeline, ("a", 6), ("b", 7))
    assert timeline.full
    assert hear(timeline, ("a", 6)) == [False]
    with pytest.raises(OverflowError):
        hear(timeline, ("c", 8))
    timeline.cover(5, 7)
    assert said(timeline.settle(100)) == events("a")
    assert hear(timeline, ("c", 8)) == [True]  # having had no room is not having been heard


def test_a_retreat_lets_go_of_the_newer_half_and_of_its_proof() -> None:
    timeline = Timeline(0)
    hear(timeline, ("a", 1), ("d", 7), ("b", 3), ("c", 5), ("cc", 5))
    timeline.cover(0, 4)
    timeline.cover(4, 9)
    timeline.give_up(9, 12, reason="lost", evidence={})
    assert timeline.retreat() == 5
    assert (timeline.waiting, timeline.reached_us) == (2, 5)
    assert said(timeline.settle(100)) == events("a", "b")
    assert hear(timeline, ("c", 5), ("d", 7)) == [True, True]
    assert timeline.settle(100) == []
    timeline.cover(5, 9)
    assert said(timeline.settle(100)) == events("c", "d")


def test_a_retreat_keeps_what_is_given_up_before_it() -> None:
    timeline = Timeline(0)
    hear(timeline, ("a", 1), ("b", 9))
    timeline.give_up(0, 12, reason="lost", evidence={})
    assert timeline.retreat() == 9
    assert said(timeline.settle(100)) == [(0, 9), *events("a")]


def test_where_nothing_waits_a_retreat_changes_nothing() -> None:
    timeline = Timeline(4)
    timeline.cover(4, 9)
    assert timeline.retreat() == 4
    assert timeline.reached_us == 9


def test_what_comes_too_late_has_no_room_without_end_either() -> None:
    timeline = Timeline(100, events_max=3)
    assert hear(timeline, ("x", 200), ("a", 1), ("b", 2)) == [True, True, True]
    with pytest.raises(OverflowError):
        hear(timeline, ("c", 3))
    assert timeline.waiting == 3
    assert said(timeline.settle(100)) == [(Kind.LATE, "a"), (Kind.LATE, "b")]
    assert hear(timeline, ("c", 3)) == [True]


def test_of_what_came_too_late_no_more_is_remembered_than_of_all_else() -> None:
    timeline = Timeline(100, remembered_max=2)
    hear(timeline, ("a", 1), ("b", 2), ("c", 3))
    assert timeline.remembers_from_us == 2
    assert hear(timeline, ("a", 1), ("b", 2), ("c", 3)) == [False, False, False]


def test_proofs_of_what_is_told_are_let_go() -> None:
    timeline = Timeline(0)
    timeline.cover(0, 5)
    timeline.cover(7, 9)
    timeline.settle(100)
    assert timeline.covered_from_us(-1) == 7


@given(st.integers(1, 5), st.lists(st.integers(0, END), min_size=6, max_size=30))
def test_so_many_are_remembered_and_what_is_forgotten_is_never_told_again(remembered: int, times: list[int]) -> None:
    timeline = Timeline(0, remembered_max=remembered)
    given_events = [(f"e{n}", at) for n, at in enumerate(times)]
    steps: list[object] = []
    for until in range(0, END + 10, 7):
        hear(timeline, *[event for event in given_events if until - 7 <= event[1] < until])
        timeline.cover(until - 7, until)
        steps += said(timeline.settle(100))
        hear(timeline, *[event for event in given_events if event[1] < until])
        steps += said(timeline.settle(100))
        assert timeline.remembers_from_us <= until
    assert steps == events(*[event_id for event_id, _ in sorted(given_events, key=lambda e: (e[1], e[0]))])
    told_last = sorted(times)[-remembered:]
    assert timeline.remembers_from_us <= told_last[0] + 1
    assert timeline.remembers_from_us == sorted(times)[-remembered - 1] + 1


some_events = st.lists(st.integers(0, END - 1), max_size=20).map(
    lambda times: [(f"e{n:02}", at) for n, at in enumerate(times)]
)
cuts = st.lists(st.integers(1, END - 1), max_size=5, unique=True).map(lambda at: [0, *sorted(at), END])


@given(some_events, cuts, st.integers(0, 2**32), st.integers(1, 6))
def test_every_order_of_arrival_gives_the_same_log(
    happened: list[tuple[str, int]], borders: list[int], seed: int, limit: int
) -> None:
    """Whatever is proven was heard before; all else may come in any order, and twice."""
    dice = Random(seed)
    timeline = Timeline(0)
    spans = list(pairwise(borders))
    dice.shuffle(spans)
    ahead = [event for event in happened for _ in range(dice.choice((1, 2)))]
    dice.shuffle(ahead)
    steps: list[object] = []
    for start, stop in spans:
        now = [event for event in ahead if start <= event[1] < stop or dice.random() < 0.3]
        hear(timeline, *now)
        timeline.cover(start, stop)
        steps += said(timeline.settle(limit))
    while more := timeline.settle(limit):
        assert len(more) <= limit
        steps += said(more)
    assert steps == events(*[event_id for event_id, _ in sorted(happened, key=lambda e: (e[1], e[0]))])
    assert timeline.frontier_us == END
    assert timeline.waiting == 0


actions = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), st.integers(0, 25), st.just(0)),
        st.tuples(st.just("cover"), st.integers(0, END - 1), st.integers(1, 20)),
        st.tuples(st.just("give_up"), st.integers(0, END - 1), st.integers(1, 20)),
        st.tuples(st.just("settle"), st.integers(1, 4), st.just(0)),
    ),
    max_size=60,
)


@given(actions)
def test_whatever_comes_nothing_is_told_unproven_or_twice_and_missing_is_what_was_given_up(
    script: list[tuple[str, int, int]],
) -> None:
    timeline = Timeline(0)
    world = _Model()
    for word, first, second in [*script, ("settle", 10_000, 0), ("settle", 10_000, 0)]:
        match word:
            case "hear":
                at = first * 13 % END
                assert timeline.hear(told(f"e{first:02}"), LIVE, at_us=at) == world.hear(f"e{first:02}", at)
            case "cover":
                timeline.cover(first, first + second)
                world.proven |= set(range(max(first, timeline.frontier_us), first + second))
            case "give_up":
                timeline.give_up(first, first + second, reason="lost", evidence={})
                world.given_up |= set(range(max(first, timeline.frontier_us), first + second)) - world.proven
            case _:
                world.check(timeline.settle(first))
        assert timeline.waiting == len(world.owed)
    assert timeline.frontier_us == timeline.reached_us == world.frontier
    assert not [event for event in world.owed.values() if event[0] < world.frontier]


class _Model:
    """The same by brute force over single microseconds."""

    def __init__(self) -> None:
        self.proven: set[int] = set()
        self.given_up: set[int] = set()
        self.missing: set[int] = set()
        self.owed: dict[str, tuple[int, bool]] = {}
        self.known: set[str] = set()
        self.last = (-1, "")

    @property
    def frontier(self) -> int:
        return next(at for at in range(10**6) if at not in self.proven | self.given_up)

    def hear(self, event_id: str, at: int) -> bool:
        if event_id in self.known:
            return False
        self.known.add(event_id)
        self.owed[event_id] = at, at in self.missing
        return True

    def check(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, Missing):
                passed = set(range(step.span.start, step.span.stop))
                assert passed <= self.given_up - self.proven - self.missing
                assert all(at in self.proven | self.missing for at in range(step.span.start))
                self.missing |= passed
                continue
            at, was_missing = self.owed.pop(step.told.event.event_id)  # nothing twice, nothing that was not heard
            assert at < self.frontier
            turn = at, step.told.event.event_id
            if step.kind is Kind.EVENT:
                assert turn > self.last
                self.last = turn
            else:
                assert step.kind is (Kind.RECOVERED if was_missing else Kind.LATE)
