"""A token bucket: how many calls may be made, and when. Time is an argument."""

from typing import NamedTuple


class Left(NamedTuple):
    """What a budget allows: ``tokens`` calls at once, of at most ``burst``, and none at all for ``paused_s``."""

    per_s: float
    burst: float
    tokens: float
    paused_s: float


class Budget:
    """At most ``rate_per_s`` calls a second, after a pause at most ``burst`` at once.

    ``reserve`` tokens are kept back for urgent calls, so that ordinary ones cannot use up what an expiring
    stretch of events needs. ``now`` is in seconds of any clock that only grows.
    """

    def __init__(self, rate_per_s: float, *, burst: float | None = None, reserve: float = 0.0, now: float) -> None:
        if rate_per_s <= 0:
            raise ValueError("a budget allows something")
        self._rate_per_s = rate_per_s
        self._burst = max(1.0, min(rate_per_s, rate_per_s if burst is None else burst))
        self._reserve = max(0.0, min(reserve, self._burst - 1.0))
        self._tokens = self._burst
        self._as_of = now
        self._paused_until = now

    def take(self, now: float, *, urgent: bool = False) -> float:
        """0.0 and one token is taken; or the seconds after which to ask again, and nothing is taken."""
        self._refill(now)
        if now < self._paused_until:
            return self._paused_until - now
        needed = 1.0 if urgent else 1.0 + self._reserve
        if self._tokens + _ROUNDING >= needed:
            self._tokens -= 1.0
            return 0.0
        return (needed - self._tokens) / self._rate_per_s

    def pause(self, now: float, seconds: float) -> None:
        """Nothing more before ``seconds`` are over: the other side asked for it. Never shortens a pause."""
        self._paused_until = max(self._paused_until, now + seconds)

    def left(self, now: float) -> Left:
        """How it stands at ``now``. Looking takes nothing and changes nothing."""
        return Left(self._rate_per_s, self._burst, self._tokens_at(now), max(0.0, self._paused_until - now))

    def _tokens_at(self, now: float) -> float:
        # A clock that stepped back gives nothing and takes nothing.
        elapsed = max(0.0, now - self._as_of)
        return min(self._burst, self._tokens + elapsed * self._rate_per_s)

    def _refill(self, now: float) -> None:
        self._tokens = self._tokens_at(now)
        self._as_of = max(self._as_of, now)


_ROUNDING = 1e-9
"""A wait computed in floats may end a hair too early; asking again for a hair would never end."""
