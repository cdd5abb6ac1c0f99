"""The rules: each fires when it should, and not a moment before."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest

from bridge.alert.rules import RULES, findings
from bridge.alert.values import Condition, Severity, Tally, Thresholds
from bridge.config.alerts import RuleName
from bridge.store.connections import Connection
from bridge.store.watched import Audited, Behind, Doubt, Gaps, Remarked, Taker, Telling, Watched
from tests.events import START as NOW

HOUR = NOW.replace(minute=0, second=0, microsecond=0)
LIMITS = Thresholds(
    sources={"pb": 900.0, "pay": 86_400.0},
    takers={"ledger": ("pb.*",)},
    keep_s=30 * 86_400.0,
    database_bytes_max=1_000_000,
)
DAY_S = 86_400


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def gaps(age_s: float, *, spent: float | None = None) -> Watched:
    deadline = None if spent is None else NOW + timedelta(hours=5)
    return Watched(gaps=(Gaps("pb.events", 3, ago(age_s), deadline, spent),))


def doubts(**given: Any) -> Watched:
    return Watched(
        doubts=(Doubt("pb.events", **{"unmatched": 0, "unmatched_since": None, "suspect_at": None, **given}),)
    )


def remarks(*, repair: str | None = None, **given: int) -> Watched:
    return Watched(remarks=(Remarked("pb.events", repair, HOUR, **{"gaps": 0, "late": 0, "conflicts": 0, **given}),))


def audited(**given: int) -> Watched:
    return Watched(audits=(Audited("pb.events", NOW, **{"fresh": 0, "conflicts": 0, "unlisted": 0, **given}),))


def telling(
    age_s: float | None,
    *,
    source: str = "pb",
    state: str | None = None,
    changed_s: float = 5000,
    attended: bool = True,
) -> Watched:
    until = NOW + timedelta(seconds=10 if attended else -10)
    connection = None if state is None else Connection(source, state, "", ago(changed_s), until)
    return Watched(tellings=(Telling(source, None if age_s is None else ago(age_s), connection),))


def behind(
    age_s: float, *, destination: str = "ledger", state: str = "active", stream: str = "pb.events", **given: Any
) -> Watched:
    return Watched(behind=(Behind(destination, state, stream, 7, ago(age_s), given.get("globs")),))


FIRING: dict[str, tuple[Watched, dict[str, str]]] = {
    "a gap that is open for too long": (gaps(300), {"gap_open": "warning"}),
    "a gap at half of its time": (gaps(10, spent=0.5), {"gap_deadline": "warning"}),
    "a gap at four fifths of its time": (gaps(10, spent=0.8), {"gap_deadline": "critical"}),
    "a gap that is past its time and old": (
        gaps(3000, spent=1.7),
        {"gap_open": "warning", "gap_deadline": "critical"},
    ),
    "a loss": (remarks(gaps=1), {"loss": "critical"}),
    "a loss that a snapshot mended": (remarks(gaps=1, repair="snapshot"), {"loss": "warning"}),
    "a late event": (remarks(late=4), {"late": "warning"}),
    "a conflict": (remarks(conflicts=1), {"conflict": "warning"}),
    "an audit that brought what was missing": (audited(fresh=2), {"audit": "warning"}),
    "an audit that found other content": (audited(conflicts=1), {"audit": "warning"}),
    "an audit that missed what is held": (audited(fresh=1, unlisted=1), {"audit": "critical"}),
    "deliveries that match nothing": (
        doubts(unmatched=2, unmatched_since=ago(1800)),
        {"unmatched": "warning"},
    ),
    "a frozen stream": (doubts(suspect_at=NOW), {"frozen": "critical"}),
    "a source that tells nothing": (telling(900), {"silent": "warning"}),
    "a source that tells nothing although it is connected": (telling(900, state="connected"), {"silent": "warning"}),
    "a source that never told anything and has no socket": (
        telling(None, state="disconnected", changed_s=900),
        {"silent": "warning"},
    ),
    "a source that nobody attends to": (telling(None, state="connected", attended=False), {"silent": "warning"}),
    "a destination that is stopped": (
        Watched(takers=(Taker("ledger", "stopped", "answered 410", NOW, True),)),
        {"stopped": "critical"},
    ),
    "a destination of the API that is stopped": (
        Watched(takers=(Taker("books", "stopped", "answered 410", NOW, False),)),
        {"stopped": "critical"},
    ),
    "a destination that lags": (behind(300), {"lagging": "warning"}),
    "a destination of the API that lags": (
        behind(300, destination="books", globs=("pb.*",)),
        {"lagging": "warning"},
    ),
    "a destination that retention comes near": (
        behind(24 * DAY_S),
        {"lagging": "warning", "expiring": "critical"},
    ),
    "a paused destination that retention comes near": (
        behind(24 * DAY_S, state="paused"),
        {"expiring": "critical"},
    ),
    "a database that is nearly full": (Watched(database_bytes=800_000), {"database": "warning"}),
    "a database that is full": (Watched(database_bytes=950_000), {"database": "critical"}),
}

FINE: dict[str, Watched] = {
    "nothing at all": Watched(),
    "a gap that is young": gaps(299, spent=0.49),
    "a gap without a deadline": gaps(10),
    "an hour without remarks": remarks(),
    "deliveries that wait for their number": doubts(unmatched=2, unmatched_since=ago(1799)),
    "deliveries that were matched": doubts(unmatched=0, unmatched_since=ago(9999)),
    "a source that told just now": telling(899, state="disconnected"),
    "a source that may be silent for longer": telling(5000, source="pay"),
    "a source that is new and connected": telling(None, state="connected"),
    "a source that is new and without a socket": telling(None),
    "a source that is no longer configured": telling(99_999, source="old"),
    "a destination that somebody paused": Watched(takers=(Taker("ledger", "paused", None, ago(99), True),)),
    "a stopped destination that left the file": Watched(
        takers=(Taker("gone", "stopped", "answered 410", NOW, True),)
    ),
    "a paused destination that is behind": behind(9999, state="paused"),
    "a destination that is hardly behind": behind(299),
    "a destination that left the file": behind(9999, destination="gone"),
    "a stream that the destination no longer wants": behind(9999, stream="by.trades"),
    "a stream that a destination of the API does not want": behind(9999, destination="books", globs=("by.*",)),
    "a database with room": Watched(database_bytes=799_999),
}


def found(watched: Watched, limits: Thresholds = LIMITS) -> dict[str, str]:
    """Severities by rule."""
    told = findings(watched, limits, NOW)
    severities = {one.rule: one.severity.value for one in told.conditions}
    return severities | {one.rule: one.severity.value for one in told.tallies}


@pytest.mark.parametrize("name", FIRING)
def test_a_rule_fires(name: str) -> None:
    watched, expected = FIRING[name]
    assert found(watched) == expected


@pytest.mark.parametrize("name", FINE)
def test_nothing_fires_for(name: str) -> None:
    assert found(FINE[name]) == {}


def test_every_rule_fires_somewhere_and_is_known_to_the_configuration() -> None:
    assert {rule for _, expected in FIRING.values() for rule in expected} == set(RULES)
    assert set(get_args(RuleName)) == set(RULES)


@pytest.mark.parametrize("name", FIRING)
def test_a_rule_that_is_off_finds_nothing(name: str) -> None:
    watched, expected = FIRING[name]
    assert found(watched, replace(LIMITS, off=frozenset(expected))) == {}


def test_where_nothing_is_ever_deleted_nothing_expires_and_without_a_limit_no_database_is_full() -> None:
    limits = replace(LIMITS, keep_s=None, database_bytes_max=None)
    assert found(behind(400 * DAY_S), limits) == {"lagging": "warning"}
    assert found(Watched(database_bytes=2**50), limits) == {}


def test_what_is_found_is_told_in_a_sentence_with_figures() -> None:
    told = findings(gaps(4000, spent=0.814), LIMITS, NOW)
    is_open, is_near = (one.sentence for one in told.conditions)
    assert is_open == "pb.events has 3 open gaps, the oldest for 1 h 06 min."
    assert is_near == (
        "A gap of pb.events has used 81 % of its time: the venue may begin to forget it in 5 h 00 min"
        " (2026-02-19 04:00:00 UTC)."
    )
    assert told.conditions[0].figures == {"gaps": 3, "oldest_s": 4000}
    assert told.conditions[1].severity is Severity.CRITICAL


def test_a_destination_is_one_condition_however_many_streams_it_is_behind_on() -> None:
    rows = tuple(Behind("ledger", "active", f"pb.{n}", 2, ago(300 + n), None) for n in range(50))
    [one] = findings(Watched(behind=rows), LIMITS, NOW).conditions
    assert (one.subject, one.figures) == ("ledger", {"entries": 100, "streams": 50, "oldest_s": 349})


def test_the_hours_of_a_stream_are_one_tally_in_order() -> None:
    later = HOUR + timedelta(hours=1)
    rows = (Remarked("pb.events", None, later, 0, 2, 0), Remarked("pb.events", None, HOUR, 0, 5, 0))
    [tally] = findings(Watched(remarks=rows), LIMITS, NOW).tallies
    expected = Tally("late", "pb.events", Severity.WARNING, ("late event", "late events"), ((HOUR, 5), (later, 2)))
    assert tally == expected


def test_text_of_others_is_kept_to_one_harmless_line() -> None:
    taker = Taker("ledger", "stopped", "answered 410:\r\nBcc: x@y\0\x1b[2J" + "z" * 900, NOW, True)
    [one] = findings(Watched(takers=(taker,)), LIMITS, NOW).conditions
    assert one.sentence.isprintable()
    assert len(one.sentence) < 400


def test_a_rule_is_unsure_where_not_everything_was_read() -> None:
    told = findings(Watched(cut=frozenset({"gaps"})), LIMITS, NOW)
    assert told.unsure == {"gap_open", "gap_deadline"}
    assert findings(Watched(), LIMITS, NOW).unsure == frozenset()
    assert isinstance(findings(gaps(999), LIMITS, NOW).conditions[0], Condition)
