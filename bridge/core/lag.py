"""How far a frontier stood behind, in the time of whoever counts it."""

from datetime import datetime, timedelta
from typing import NamedTuple

_MILLISECOND = timedelta(milliseconds=1)


class Lag(NamedTuple):
    """``most_ms``: how far behind it was at most until now. ``since``: what it has stood before, if it still does.

    Both are by the bridge's own clock, so that a clock which is off by a constant changes neither.
    """

    most_ms: int = 0
    since: datetime | None = None

    @classmethod
    def between(cls, before: datetime | None, after: datetime | None, now: datetime) -> "Lag":
        """``before`` and ``after`` a change at ``now``: since when it had stood behind, and since when it does."""
        passed = before is not None and before != after
        return cls(ms_between(before, now) if before is not None and passed else 0, after)

    def most_at(self, moment: datetime) -> int:
        """How far behind it was at most, in milliseconds, if until ``moment`` nothing has changed."""
        return self.most_ms if self.since is None else max(self.most_ms, ms_between(self.since, moment))


def ms_between(since: datetime, until: datetime) -> int:
    """Milliseconds, cut off; 0 where a clock went back."""
    return max(0, (until - since) // _MILLISECOND)
