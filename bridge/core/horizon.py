"""The horizon: since when which numbers are known to exist, by a clock that only grows.

Venues hand out numbers before they commit them. A number that has been known for the settling time has no
lower neighbour left that is still on its way; that is what makes it a right anchor.
"""

from collections import deque


class Horizon:
    """Sightings of a stream's head over time. Kept in memory: a new process simply waits the settling time once."""

    def __init__(self, *, sightings_max: int = 4096) -> None:
        self._sightings: deque[tuple[float, int]] = deque(maxlen=sightings_max)

    def saw(self, head: int, at: float) -> None:
        """Note that ``head`` was known to exist at the monotonic time ``at``."""
        if not self._sightings or head > self._sightings[-1][1]:
            self._sightings.append((at, head))

    def settled_to(self, *, at: float, settle_s: float) -> int:
        """The highest number known for at least ``settle_s`` at the time ``at``; 0 where there is none."""
        settled = 0
        for seen_at, head in self._sightings:
            if seen_at > at - settle_s:
                break
            settled = head
        return settled

    def known_since(self, number: int) -> float | None:
        """The earliest time at which a number at or above ``number`` was known to exist."""
        return next((seen_at for seen_at, head in self._sightings if head >= number), None)

    def forget(self) -> None:
        """Begin anew: the numbering restarted."""
        self._sightings.clear()
