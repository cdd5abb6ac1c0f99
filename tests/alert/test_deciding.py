"""What is said, and when: once, again only where there is more, and that it is over. No database, no clock."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from bridge.alert.deciding import Decision, Known, decide
from bridge.alert.values import Condition, Findings, Kind, Pace, Severity, Tally
from bridge.store.alerts import Alert, Key
from bridge.store.notices import Recent
from bridge.store.silences import Silence
from tests.events import START

HOUR = START.replace(minute=0)
PACE = Pace(resolve_s=60, quiet_s=900, repeat_s=300, notices_per_minute_max=20)
Said = list[tuple[str, str]]


def condition(subject: str = "pb.events", rule: str = "gap_open", severity: Severity = Severity.WARNING) -> Condition:
    return Condition(rule, subject, severity, f"{subject} is in need.", {"gaps": 1})


def tally(*counts: int, subject: str = "pb.events", hour: datetime = HOUR) -> Tally:
    hours = tuple((hour + timedelta(hours=n), count) for n, count in enumerate(counts))
    return Tally("late", subject, Severity.WARNING, ("late event", "late events"), hours)


@dataclass
class Board:
    """What a store would hold, and a time that moves by hand. ``told`` is everything that was said."""

    pace: Pace = PACE
    now: datetime = START
    rows: list[Alert] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    told: list[tuple[datetime, bool]] = field(default_factory=list)

    def look(self, *found: Condition | Tally, after_s: float = 15, unsure: Iterable[str] = ()) -> Said:
        """Kinds and sentences of what is said when the rules find this, ``after_s`` after the last look."""
        self.now += timedelta(seconds=after_s)
        decision = decide(
            Findings(
                tuple(one for one in found if isinstance(one, Condition)),
                tuple(one for one in found if isinstance(one, Tally)),
                frozenset(unsure),
            ),
            self.known(),
            self.pace,
            self.now,
        )
        self.keep(decision)
        return [(saying.kind.value, saying.sentence) for saying in decision.sayings]

    def known(self) -> Known:
        newest: dict[Key, Alert] = {row.key: row for row in self.rows}
        minute = [summary for at, summary in self.told if at > self.now - timedelta(minutes=1)]
        recent = Recent(minute.count(False), minute.count(True))
        silences = [one for one in self.silences if one.holds(self.now)]
        return Known([row for row in self.rows if row.resolved_at is None], newest, silences, recent)

    def keep(self, decision: Decision) -> None:
        changed = {alert.id: alert for alert in decision.changed if alert.id}
        self.rows = [changed.get(row.id, row) for row in self.rows]
        new = [alert for alert in decision.changed if not alert.id]
        self.rows += [replace(alert, id=len(self.rows) + nth) for nth, alert in enumerate(new, 1)]
        self.told += [(self.now, saying.kind is Kind.SUMMARY) for saying in decision.sayings]
        open_keys = [row.key for row in self.rows if row.resolved_at is None]
        assert len(open_keys) == len(set(open_keys)), "two open alerts of one key"

    def silence(self, rule: str, subject: str, *, for_s: float) -> None:
        until = self.now + timedelta(seconds=for_s)
        self.silences.append(Silence(1, rule, subject, "a move", self.now, "cli:x", until, None, None))


def kinds(said: Said) -> list[str]:
    return [kind for kind, _ in said]


def test_what_holds_is_told_once_and_that_it_is_over_once() -> None:
    board = Board()
    assert board.look(condition()) == [("firing", "pb.events is in need.")]
    assert [board.look(condition()) for _ in range(100)] == [[]] * 100
    assert [board.look() for _ in range(3)] == [[]] * 3
    assert board.look() == [("resolved", "pb.events is in need. It is over.")]
    assert [board.look() for _ in range(10)] == [[]] * 10


def test_without_any_patience_it_is_over_at_the_first_look_that_misses_it() -> None:
    board = Board(pace=replace(PACE, resolve_s=0))
    assert [kinds(board.look(*found)) for found in ([condition()], [condition()], [])] == [
        ["firing"],
        [],
        ["resolved"],
    ]


def test_rules_and_subjects_are_told_apart() -> None:
    board = Board()
    both = (condition("a"), condition("b"), condition("a", "lagging"))
    assert kinds(board.look(*both)) == ["firing"] * 3
    assert board.look(condition("b"), condition("a", "lagging"), after_s=60) == [
        ("resolved", "a is in need. It is over.")
    ]


def test_what_comes_and_goes_within_the_patience_is_one_alert() -> None:
    board = Board()
    said = [board.look(*([condition()] if nth % 3 == 0 else [])) for nth in range(60)]
    assert [kinds(one) for one in said if one] == [["firing"]]


def test_what_flaps_more_slowly_is_told_at_most_once_in_the_time_between_notices() -> None:
    board = Board()
    said: Said = []
    for nth in range(240):
        said += board.look(*([condition()] if nth % 10 == 0 else []), after_s=10)
    assert len(board.rows) > 20
    assert kinds(said).count("firing") <= 240 * 10 / 300 + 1
    assert kinds(said).count("firing") - kinds(said).count("resolved") in (0, 1)


def test_what_was_held_back_is_told_when_it_still_holds_afterwards() -> None:
    board = Board()
    board.look(condition())
    assert kinds(board.look(after_s=60)) == ["resolved"]
    assert board.look(condition()) == []
    assert board.look(condition(), after_s=270) == []
    assert kinds(board.look(condition())) == ["firing"]


def test_what_gets_worse_is_told_at_once_and_never_gets_better_before_it_is_over() -> None:
    board = Board()
    board.look(condition())
    assert kinds(board.look(condition(severity=Severity.CRITICAL), after_s=1)) == ["worse"]
    assert board.look(condition()) == []
    assert board.rows[0].severity == "critical"


def test_counts_are_told_once_then_what_came_on_top_then_that_it_is_quiet() -> None:
    board = Board()
    assert board.look(tally(3)) == [
        ("firing", "3 late events in the log of pb.events since 2026-02-18 23:00:15 UTC.")
    ]
    assert board.look(tally(3)) == []
    assert board.look(tally(10)) == []
    at = "2026-02-18 23:00:15 UTC"
    again = f"12 more since {at}: 15 late events in the log of pb.events since {at}."
    assert board.look(tally(15), after_s=270) == [("again", again)]
    assert board.look(tally(15), after_s=899) == []
    assert kinds(board.look(tally(15), after_s=1)) == ["resolved"]
    assert [board.look(tally(15)) for _ in range(5)] == [[]] * 5


def test_counts_go_on_over_the_hour_and_begin_anew_after_the_end() -> None:
    board = Board()
    board.look(tally(3))
    board.look(tally(3, 2), after_s=3600)
    assert board.rows[0].count == 5
    assert kinds(board.look(tally(3, 2), after_s=900)) == ["resolved"]
    [(kind, sentence)] = board.look(tally(3, 6), after_s=900)
    assert (kind, sentence[:6]) == ("firing", "4 late")


def test_one_that_happened_is_told_however_short_the_quiet() -> None:
    board = Board(pace=replace(PACE, quiet_s=10))
    board.look(tally(1))
    assert kinds(board.look(tally(1), after_s=20)) == ["resolved"]
    assert board.look(tally(2), after_s=20) == []
    assert board.look(tally(2), after_s=200) == []
    assert kinds(board.look(tally(2), after_s=100)) == ["firing"]
    assert kinds(board.look(tally(2), after_s=20)) == ["resolved"]


def test_a_silence_keeps_quiet_until_it_ends_and_then_what_still_holds_is_told() -> None:
    board = Board()
    board.silence("gap_*", "pb.*", for_s=100)
    assert kinds(board.look(condition(), condition("by.trades"), condition(rule="lagging"))) == ["firing"] * 2
    assert len(board.rows) == 3
    assert board.look(condition(), condition("by.trades"), condition(rule="lagging"), after_s=84) == []
    told = board.look(condition(), condition("by.trades"), condition(rule="lagging"), after_s=2)
    assert told == [("firing", "pb.events is in need.")]


def test_what_ends_in_silence_was_never_told_and_what_was_told_before_is_told_to_be_over() -> None:
    board = Board()
    board.look(condition("a"))
    board.silence("*", "*", for_s=10_000)
    assert board.look(condition("a"), condition("b")) == []
    assert board.look(after_s=60) == [("resolved", "a is in need. It is over.")]
    assert [row.resolved_at is not None for row in board.rows] == [True, True]


def test_a_storm_is_so_many_notices_a_minute_and_one_line() -> None:
    board = Board(pace=replace(PACE, notices_per_minute_max=5))
    storm = [condition(f"pb.{n:03}") for n in range(100)] + [condition("ledger", "stopped", Severity.CRITICAL)]
    said = board.look(*storm)
    assert kinds(said) == ["firing"] * 5 + ["summary"]
    assert said[0][1] == "ledger is in need."
    assert said[-1][1] == "96 more alerts: 96 gap_open. See 'bridge alerts list'."
    assert board.look(*storm) == []
    more = [*storm, condition("late.comer")]
    assert board.look(*more) == []
    assert kinds(board.look(*more, after_s=60)) == ["firing"]
    over = board.look(after_s=61)
    assert kinds(over) == ["resolved"] * 5 + ["summary"]
    assert over[-1][1] == "97 more are over: 97 gap_open. See 'bridge alerts list'."
    assert all(row.resolved_at for row in board.rows)


def test_what_finds_no_room_beside_a_line_waits_and_is_not_over_unheard() -> None:
    board = Board(pace=replace(PACE, notices_per_minute_max=1))
    board.look(condition("a"), condition("b"), condition("c"))
    assert board.look(condition("a"), condition("b"), condition("c"), condition("d")) == []
    assert board.look(condition("a"), after_s=44) == []
    assert kinds(board.look(condition("a"), after_s=20)) == ["resolved", "summary"]


@pytest.mark.parametrize("unsure", [True, False])
def test_nothing_is_over_because_it_was_not_read(unsure: bool) -> None:
    board = Board()
    board.look(condition())
    assert kinds(board.look(after_s=600, unsure=["gap_open"] if unsure else [])) == ([] if unsure else ["resolved"])
