from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.retry import RETRY_AFTER_MAX_S, backoff_s, parse_retry_after

NOW = datetime(2026, 2, 18, 23, 0, 0, tzinfo=UTC)


def test_the_ceiling_doubles_from_the_first_wait_up_to_the_longest() -> None:
    almost_one = 1 - 1e-12
    waits = [backoff_s(failures, first_s=1, max_s=10, jitter=almost_one) for failures in range(1, 7)]
    assert waits == pytest.approx([1, 2, 4, 8, 10, 10])


@given(st.integers(0, 10**9), st.floats(0, 1, exclude_max=True))
def test_a_wait_lies_between_nothing_and_the_longest_however_many_failures(failures: int, jitter: float) -> None:
    assert 0 <= backoff_s(failures, first_s=0.5, max_s=300, jitter=jitter) <= 300


@pytest.mark.parametrize(
    "value,seconds",
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("99999999999999999999", RETRY_AFTER_MAX_S),
        ("Wed, 18 Feb 2026 23:01:30 GMT", 90.0),
        ("Wed, 18 Feb 2026 22:00:00 GMT", 0.0),
        ("Wed, 18 Feb 2099 22:00:00 GMT", RETRY_AFTER_MAX_S),
        ("Wed, 18 Feb 2026 23:00:30 -0000", 30.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date_and_bounded(value: str, seconds: float) -> None:
    assert parse_retry_after(value, now=NOW) == seconds


@pytest.mark.parametrize("value", [None, "", "soon", "-5", "1.5", "٣", "Wed, 99 Feb 2026 23:00:00 GMT"])
def test_what_cannot_be_read_asks_for_nothing(value: str | None) -> None:
    assert parse_retry_after(value, now=NOW) is None
