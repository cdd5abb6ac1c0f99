"""How far the local clock is from the venue's: learnt from every answer, used for everything that is signed."""

from datetime import datetime, timedelta


class VenueTime:
    """The venue's clock, as far as it was told; the local one before that."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        self._known = False

    @property
    def known(self) -> bool:
        """Whether the venue has told its time, and nothing has spoken against it since."""
        return self._known

    def note(self, said: datetime, now: datetime) -> None:
        """The venue said that it is ``said``, and that was heard at ``now``, both aware UTC."""
        self._ahead = said - now
        self._known = True

    def doubt(self) -> None:
        """The venue finds our times wrong: ask it before the next signature."""
        self._known = False

    def at(self, now: datetime) -> datetime:
        """The venue's time at the local time ``now``, never too late by more than the clocks drift apart."""
        return now + self._ahead
