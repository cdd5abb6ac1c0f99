"""The venue's time where it says none: changes of balances are stamped when they are heard, and kept in their order.

Knows no clock of its own: the local monotonic time comes in with each question.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.core.channel import Step
from bridge.core.venue_clock import VenueClock

KEYS_MAX = 20_000
RECENT_MAX = 64
_TICK = timedelta(milliseconds=1)


class VenueTime:
    """What the venue's clock shows at least. ``local`` is asked where the venue never said a time."""

    def __init__(self, monotonic: Callable[[], float], local: Callable[[], datetime]) -> None:
        self._clock = VenueClock()
        self._monotonic = monotonic
        self._local = local

    def note(self, said: datetime) -> None:
        """The venue's stamp ``said`` is heard now."""
        self._clock.note(said, self._monotonic())

    def now(self) -> datetime:
        """In whole milliseconds, rounded down."""
        now = self._clock.at(self._monotonic()) or self._local()
        return now.replace(microsecond=now.microsecond // 1_000 * 1_000)


@dataclass(frozen=True, slots=True)
class _Placed:
    step: Step
    at: datetime
    heard_at: datetime


class Wallets:
    """Gives changes of balances a time. ``hold_s``: within it the venue may tell them twice, or out of order."""

    def __init__(self, hold_s: float) -> None:
        self._hold = timedelta(seconds=hold_s)
        self._recent: dict[str, deque[_Placed]] = {}

    def place(self, step: Step, now: datetime) -> datetime:
        """The time of ``step``, heard at ``now``: that of its hearing.

        Told again, it has the time it had. Told after the change that follows it, it stands right before that one.
        """
        recent = self._of(step.key, now)
        newest = max(recent, key=lambda placed: placed.at, default=None)
        at = now if newest is None else max(now, newest.at + _TICK)
        if newest is not None and newest.step.after != step.before:
            for placed in recent:
                if placed.step == step:
                    return placed.at
                if placed.step.before == step.after:
                    at = placed.at - _TICK
        recent.append(_Placed(step, at, now))
        return at

    def _of(self, wallet: str, now: datetime) -> deque[_Placed]:
        """What was heard of the wallet within the hold."""
        recent = self._recent.get(wallet)
        if recent is None:
            if len(self._recent) >= KEYS_MAX:
                self._recent.clear()
            recent = self._recent[wallet] = deque(maxlen=RECENT_MAX)
        while recent and now - recent[0].heard_at > self._hold:
            recent.popleft()
        return recent
