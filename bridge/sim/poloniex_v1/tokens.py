"""Tokens that open a connection: some of them once, all of them for a while."""

from dataclasses import dataclass
from datetime import datetime
from random import Random

TOKENS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Token:
    private: bool
    given_at: datetime


class Tokens:
    """Every token that was given. Their text holds signs that mean something else in a URL."""

    def __init__(self, rng: Random, *, ttl_s: float, single_use: bool) -> None:
        self._rng = rng
        self._ttl_s = ttl_s
        self._single_use = single_use
        self._given: dict[str, Token] = {}

    def give(self, now: datetime, *, private: bool) -> str:
        text = (
            f"{self._rng.getrandbits(128):032x}--_{self._rng.getrandbits(64):016x}==.{self._rng.getrandbits(32):x}=="
        )
        self._given[text] = Token(private, now)
        if len(self._given) > TOKENS_MAX:
            del self._given[next(iter(self._given))]
        return text

    def take(self, text: str, now: datetime) -> Token | None:
        """The token, if it is one and is still good."""
        token = self._given.get(text)
        if token is None or (now - token.given_at).total_seconds() > self._ttl_s:
            return None
        if self._single_use:
            del self._given[text]
        return token
