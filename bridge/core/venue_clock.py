"""What the venue's clock shows at least, from what it said and when that was heard. Knows nothing of the wall clock.

A stamp that was heard at the local moment ``r`` was written before it: the venue's clock shows no less than the
stamp plus whatever passed since. The largest such difference of the last minutes is a lower bound that is tight to
the quickest frame. It is forgotten in the end, because clocks drift apart.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

MEMORY_S = 300.0


@dataclass(slots=True)
class VenueClock:
    """A lower bound of the venue's clock. ``at_s`` is always the local monotonic clock, in seconds."""

    memory_s: float = MEMORY_S
    _newest: datetime | None = None
    _newest_at_s: float = 0.0
    _older: datetime | None = None
    _older_at_s: float = 0.0
    _turned_at_s: float = 0.0

    @property
    def known(self) -> bool:
        """Whether the venue has said any time yet."""
        return self._newest is not None

    def note(self, said: datetime, at_s: float) -> None:
        """The venue's stamp ``said`` (aware UTC) was heard at ``at_s``."""
        if self._newest is None or at_s - self._turned_at_s > self.memory_s:
            self._older, self._older_at_s = self._newest, self._newest_at_s
            self._newest, self._newest_at_s = said, at_s
            self._turned_at_s = at_s
        elif said >= self._newest + timedelta(seconds=at_s - self._newest_at_s):
            self._newest, self._newest_at_s = said, at_s

    def at(self, at_s: float) -> datetime | None:
        """What the venue's clock shows at least at ``at_s``, None where it never said a time."""
        if self._newest is None:
            return None
        newest = self._newest + timedelta(seconds=at_s - self._newest_at_s)
        if self._older is None:
            return newest
        return max(newest, self._older + timedelta(seconds=at_s - self._older_at_s))
