"""A limit on calls per second, with time as an argument."""

from datetime import datetime


class TokenBucket:
    """``rate_per_s`` tokens a second, at most one second's worth saved up; 0 means no limit."""

    def __init__(self) -> None:
        self._tokens: float | None = None
        self._at: datetime | None = None

    def wait_s(self, now: datetime, rate_per_s: float) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        if not rate_per_s:
            return 0.0
        burst = max(1.0, rate_per_s)
        if self._tokens is None or self._at is None:
            tokens = burst
        else:
            tokens = min(burst, self._tokens + (now - self._at).total_seconds() * rate_per_s)
        self._at = now
        self._tokens = tokens - 1 if tokens >= 1 else tokens
        return 0.0 if tokens >= 1 else (1 - tokens) / rate_per_s
