"""How far a frontier stood behind: from when a hole showed to when it was passed, whatever the clock shows."""

from datetime import UTC, datetime, timedelta

import pytest

from bridge.core.lag import Lag

NOON = datetime(2026, 2, 18, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    "before, after, most_ms",
    [
        (None, None, 0),
        (None, at(0), 0),
        (at(0), at(0), 0),
        (at(0), None, 300_000),
        (at(0), at(3), 300_000),
        (at(9), None, 0),
    ],
    ids=["well", "begins", "goes on", "is passed", "is passed and the next one stands", "a clock that went back"],
)
def test_a_hole_counts_when_it_is_passed(before: datetime | None, after: datetime | None, most_ms: int) -> None:
    assert Lag.between(before, after, at(5)) == Lag(most_ms, after)


@pytest.mark.parametrize("shift", [timedelta(0), timedelta(hours=-7)])
def test_what_stands_grows_until_it_is_asked_for_and_a_wrong_clock_does_not_show(shift: timedelta) -> None:
    lag = Lag(1_000, at(0) + shift)
    assert [lag.most_at(at(minutes) + shift) for minutes in (-1, 0, 1)] == [1_000, 1_000, 60_000]
    assert Lag(1_000, None).most_at(at(600)) == 1_000
