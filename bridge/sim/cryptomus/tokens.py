"""One-time tokens: each opens one connection, and not for long."""

from datetime import datetime, timedelta
from random import Random

TOKENS_MAX = 10_000


class Tokens:
    """Gives tokens out and takes each of them once."""

    def __init__(self, *, seed: int, lasts_s: float) -> None:
        self._dice = Random(f"{seed}:tokens")
        self._lasts = timedelta(seconds=lasts_s)
        self._given: dict[str, datetime] = {}

    def give(self, now: datetime) -> str:
        token = f"{self._dice.getrandbits(256):064x}"
        if len(self._given) >= TOKENS_MAX:
            del self._given[next(iter(self._given))]
        self._given[token] = now
        return token

    def take(self, token: str, now: datetime) -> bool:
        """Whether ``token`` was good until now; it is not any more."""
        given_at = self._given.pop(token, None)
        return given_at is not None and now - given_at < self._lasts
