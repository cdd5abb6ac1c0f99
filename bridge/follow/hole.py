"""A gap in time while it is open: what was tried, what turned up in it, and how it ends."""

from collections import Counter
from dataclasses import dataclass, field

from bridge.ingest.followed import GapEnd, GapTurn

_MS = 1_000


@dataclass(slots=True)
class Hole:
    """One gap of one stream, in microseconds of venue time. ``found`` counts what each transport brought of it."""

    first_us: int
    last_us: int
    gap_id: int | None = None
    reads: int = 0
    withheld: str | None = None
    found: Counter[str] = field(default_factory=Counter)
    lost_us: int = 0
    superseded_us: int = 0
    _told: tuple[int, int, str | None] | None = None

    def widen(self, last_us: int) -> None:
        self.last_us = max(self.last_us, last_us)

    def lose(self, length_us: int, reason: str) -> None:
        """So much of it was given up."""
        if reason == "superseded":
            self.superseded_us += length_us
        else:
            self.lost_us += length_us

    @property
    def unsaid(self) -> bool:
        """Whether there is news of it that is not on record. Its end alone is news at most once a second."""
        return (
            self._told is None
            or self._told[1:] != (self.reads, self.withheld)
            or (self.last_us - self._told[0] > 1_000_000)
        )

    def turn(self) -> GapTurn:
        """It is still open."""
        reads = self.reads - (self._told[1] if self._told else 0)
        self._told = (self.last_us, self.reads, self.withheld)
        return GapTurn(
            gap_id=self.gap_id,
            first_ms=self.first_us // _MS,
            last_ms=self.last_us // _MS,
            reads=reads,
            withheld=self.withheld,
        )

    def end(self) -> GapTurn:
        """It is over: lost if any of it is, else superseded, else recovered by who brought events, else void."""
        reads = self.reads - (self._told[1] if self._told else 0)
        found = sum(self.found.values())
        if self.lost_us:
            state = "lost"
        elif self.superseded_us:
            state = "superseded"
        else:
            state = "recovered" if found else "void"
        return GapTurn(
            gap_id=self.gap_id,
            first_ms=self.first_us // _MS,
            last_ms=self.last_us // _MS,
            reads=reads,
            end=GapEnd(
                state=state,
                found=found,
                lost_ms=self.lost_us // _MS,
                healed_by="+".join(sorted(self.found)) or None,
            ),
        )


def confirmed(*, asked_before: bool, brought_nothing: bool) -> bool:
    """Whether an answer proves: lists lag, and pages come short, so a second one has to agree with the first."""
    return asked_before and brought_nothing
