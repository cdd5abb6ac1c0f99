"""How far one stream is behind the venue's time, as far as that is known. In microseconds since 1970."""

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """Keeps the largest distance of a frontier to the venue's clock until it is taken."""

    _shown_us: int = 0
    _most_us: int = 0

    def shows(self, at_us: int) -> None:
        """The venue's clock shows at least this."""
        self._shown_us = max(self._shown_us, at_us)

    def moves(self, frontier_us: int) -> None:
        """The frontier moves on from here."""
        self._most_us = max(self._most_us, self.behind_us(frontier_us))

    def behind_us(self, frontier_us: int) -> int:
        return max(0, self._shown_us - frontier_us)

    def take(self) -> int:
        """The largest distance since it was taken last."""
        most_us, self._most_us = self._most_us, 0
        return most_us
