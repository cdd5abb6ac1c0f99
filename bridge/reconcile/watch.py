"""What the reconciler remembers of one stream between reads. Losing it costs time, never an event."""

from dataclasses import dataclass, field

from bridge.core.horizon import Horizon
from bridge.core.proof import Candidate
from bridge.core.span import Span


@dataclass(slots=True)
class Watch:
    """One stream's memory.

    ``looked_to`` is the highest number that a read to the end has seen and ``looked_at`` when it began;
    ``not_before`` is the monotonic time until which a failed read keeps the next one off, ``loss`` a loss seen
    once that awaits a second look, ``match_at`` when what has no number is looked for again, ``strangers`` how
    many looks in a row found another numbering.
    """

    horizon: Horizon = field(default_factory=Horizon)
    candidate: Candidate | None = None
    looked_to: int = 0
    looked_at: float = 0.0
    failures: int = 0
    not_before: float = 0.0
    loss: Span | None = None
    match_at: float = 0.0
    strangers: int = 0

    def forget(self) -> None:
        """The numbering restarted: nothing remembered holds any more."""
        self.horizon.forget()
        self.candidate = None
        self.looked_to = 0
        self.loss = None
        self.strangers = 0
