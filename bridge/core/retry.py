"""When to try again: backoff with full jitter, and what a ``Retry-After`` asks for."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RETRY_AFTER_MAX_S = 3600.0
"""A ``Retry-After`` beyond this is cut to it: another party's word may slow us, not stop us."""

_DOUBLINGS_MAX = 62


def backoff_s(failures: int, *, first_s: float, max_s: float, jitter: float) -> float:
    """Seconds to wait after the ``failures``-th failure in a row (1 for the first).

    ``jitter`` in [0, 1) picks a point between 0 and the ceiling, which starts at ``first_s`` and doubles up to
    ``max_s``: those who failed together do not come back together.
    """
    doublings = min(max(failures, 1) - 1, _DOUBLINGS_MAX)
    return jitter * min(max_s, first_s * 2.0**doublings)


def parse_retry_after(value: str | None, *, now: datetime, max_s: float = RETRY_AFTER_MAX_S) -> float | None:
    """Seconds that a ``Retry-After`` header asks for, in 0..``max_s``; None where it is absent or unreadable.

    The header holds whole seconds or an HTTP date, which is measured against ``now`` (aware UTC).
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), max_s)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return min(max((aware - now).total_seconds(), 0.0), max_s)
