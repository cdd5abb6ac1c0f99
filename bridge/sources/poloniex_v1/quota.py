"""So many in so many seconds, and not one more: a window that slides. Time is an argument.

A token bucket lets a burst and its refill into the same window; a venue that bans for one too many needs this.
"""

from collections import deque


class Quota:
    """At most ``count_max`` takings in any ``period_s``."""

    def __init__(self, count_max: int, period_s: float) -> None:
        if count_max < 1 or period_s <= 0:
            raise ValueError("a quota allows something")
        self._period_s = period_s
        self._taken: deque[float] = deque(maxlen=count_max)

    def take(self, now: float) -> float:
        """0.0 and one is taken; or the seconds after which to ask again, and nothing is taken."""
        if len(self._taken) == self._taken.maxlen and now < self._taken[0] + self._period_s:
            return max(_HAIR_S, self._taken[0] + self._period_s - now)
        self._taken.append(now)
        return 0.0


_HAIR_S = 1e-3
"""A wait computed in floats may end a hair too early; asking again for less would spin."""
