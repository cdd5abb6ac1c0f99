"""Whether ids of trades that are missing mean trades that were missed. Nobody promises that the ids are dense.

What the venue's own list shows decides: where it has the same holes, they are the venue's way to count.
"""

from collections.abc import Iterable
from itertools import pairwise

SUSPECT_EVERY_MS = 5_000


class Jumps:
    """What is known of the ids of each series, across connections. Times are the venue's."""

    def __init__(self, *, every_ms: int = SUSPECT_EVERY_MS) -> None:
        self._every_ms = every_ms
        self._suspected_ms: dict[str, int] = {}
        self._owed: set[str] = set()
        self._sparse: set[str] = set()

    def suspicious(self, series: str, last: int, said: Iterable[int], sent_ms: int) -> bool:
        """Whether ``said``, heard behind ``last``, leaves something out that may have been swallowed.

        Not more often than once in a while: one look at the list answers for all jumps before it, and a jump that
        comes too soon after the last look is remembered until the next.
        """
        if series in self._sparse:
            return False
        if not dense([last, *(number for number in said if number > last)]):
            self._owed.add(series)
        if series not in self._owed or sent_ms - self._suspected_ms.get(series, -self._every_ms) < self._every_ms:
            return False
        self._owed.discard(series)
        self._suspected_ms[series] = sent_ms
        return True

    def listed(self, series: str, numbers: Iterable[int]) -> None:
        """The venue's list holds just these."""
        if not dense(numbers):
            self._sparse.add(series)


def dense(numbers: Iterable[int]) -> bool:
    """Whether nothing is left out between the smallest and the largest."""
    return all(later - earlier <= 1 for earlier, later in pairwise(sorted(numbers)))
