"""How the consumer answers: rightly, or wrongly in a way and for as long as it is told, or now and then by seed."""

from enum import StrEnum
from random import Random

import msgspec


class Mode(StrEnum):
    """An answer. ``fail`` and the numbers refuse what they are sent; ``lose`` keeps it, and then answers 500, as
    one does whose answer gets lost; ``hang`` keeps nothing and never answers."""

    OK = "ok"
    FAIL = "fail"
    LOSE = "lose"
    HANG = "hang"
    UNAVAILABLE = "503"
    GONE = "410"
    TOO_MANY = "429"


STATUS = {
    Mode.OK: 204,
    Mode.FAIL: 500,
    Mode.LOSE: 500,
    Mode.UNAVAILABLE: 503,
    Mode.GONE: 410,
    Mode.TOO_MANY: 429,
}

BY_CHANCE = (Mode.FAIL, Mode.LOSE, Mode.UNAVAILABLE)


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to do from now on: for so many requests, or seconds, or until told otherwise.

    ``rate`` is the share of requests that meet it. ``retry_after_s`` goes into the answer.
    """

    mode: Mode
    for_requests: int | None = None
    for_seconds: float | None = None
    rate: float = 1.0
    retry_after_s: int | None = None


class Moods:
    """Decides the mode of each request. ``fail_rate`` of those that nothing else is said about go wrong."""

    def __init__(self, *, seed: int, fail_rate: float) -> None:
        self._dice = Random(seed)
        self._fail_rate = fail_rate
        self._told = Behaviour(Mode.OK)
        self._left: int | None = None
        self._until: float | None = None

    def tell(self, behaviour: Behaviour, *, monotonic: float) -> None:
        self._told = behaviour
        self._left = behaviour.for_requests
        self._until = None if behaviour.for_seconds is None else monotonic + behaviour.for_seconds

    def next(self, *, monotonic: float) -> Behaviour:
        """How to meet the request that has come."""
        if self._told.mode is not Mode.OK and self._is_over(monotonic):
            self._told = Behaviour(Mode.OK)
        if self._told.mode is not Mode.OK:
            if self._told.rate < 1 and self._dice.random() >= self._told.rate:
                return Behaviour(Mode.OK)
            if self._left is not None:
                self._left -= 1
            return self._told
        if self._fail_rate and self._dice.random() < self._fail_rate:
            return Behaviour(self._dice.choice(BY_CHANCE))
        return self._told

    def _is_over(self, monotonic: float) -> bool:
        if self._left is not None and self._left <= 0:
            return True
        return self._until is not None and monotonic >= self._until
