"""What the faults say of a moment: down, silent, how many cuts so far, and what the venue's clock shows."""

from datetime import datetime, timedelta

from bridge.sim.market.faults import Faults


class Weather:
    """The faults that are in force, and the spells that were ordered. Takes the true time, never the venue's."""

    def __init__(self, faults: Faults, *, start: datetime) -> None:
        self.faults = faults
        self._start = start
        self._down_until = self._silent_until = start

    def venue_time(self, now: datetime) -> datetime:
        """What the venue's clock shows at ``now``."""
        return now + timedelta(seconds=self.faults.skew_s)

    def go_down(self, now: datetime, seconds: float) -> None:
        self._down_until = now + timedelta(seconds=seconds)

    def go_silent(self, now: datetime, seconds: float) -> None:
        self._silent_until = now + timedelta(seconds=seconds)

    def is_down(self, now: datetime) -> bool:
        """REST and sockets refuse; things happen all the same."""
        return now < self._down_until or self._within(now, self.faults.down_every_s, self.faults.down_s)

    def is_silent(self, now: datetime) -> bool:
        """Sockets stay open and say nothing, not even an answer to a ping."""
        return now < self._silent_until or self._within(now, self.faults.silence_every_s, self.faults.silence_s)

    def cuts(self, now: datetime) -> int:
        """How many times the sockets have been cut by the clock until ``now``."""
        return self._periods(now, self.faults.cut_every_s)

    def closes(self, now: datetime) -> int:
        """How many times the sockets have been closed with a code by the clock until ``now``."""
        return self._periods(now, self.faults.close_every_s)

    def _periods(self, now: datetime, every_s: float) -> int:
        return int((now - self._start).total_seconds() // every_s) if every_s else 0

    def _within(self, now: datetime, every_s: float, seconds: float) -> bool:
        elapsed_s = (now - self._start).total_seconds()
        return bool(every_s) and elapsed_s >= every_s and elapsed_s % every_s < seconds
