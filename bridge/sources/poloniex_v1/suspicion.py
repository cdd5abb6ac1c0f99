"""Whether numbers that are missing mean trades that were missed. The venue says that they are dense; we ask.

What its own list shows decides: a list with holes of its own means that holes are the venue's way to count.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

SUSPECT_EVERY_S = 5.0


class Suspicion:
    """What is known of the numbers of each series, across connections. Times are the venue's."""

    def __init__(self, *, every_s: float = SUSPECT_EVERY_S) -> None:
        self._every = timedelta(seconds=every_s)
        self._suspected_at: dict[str, datetime] = {}
        self._sparse: set[str] = set()

    def roused(self, series: str, newest: int, number: int, at: datetime) -> bool:
        """Whether ``number``, heard behind ``newest``, leaves something out that may have been swallowed.

        Not more often than once in a while: one look at the list answers for all jumps before it.
        """
        if number <= newest + 1 or series in self._sparse:
            return False
        last = self._suspected_at.get(series)
        if last is not None and at < last + self._every:
            return False
        self._suspected_at[series] = at
        return True

    def listed(self, series: str, numbers: Iterable[int]) -> None:
        """The venue's list holds just these, one after another."""
        if any(later - earlier > 1 for earlier, later in pairwise(sorted(numbers))):
            self._sparse.add(series)
