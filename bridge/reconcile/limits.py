"""What is configured of a source's replay."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReplayLimits:
    """Limits and waits of one source's replay.

    ``start`` is ``oldest``, ``now`` or a number: where a new stream begins. ``overlap`` counts numbers that
    every read looks at again below the frontier. ``margin_s`` is what a deadline keeps off the retention.
    """

    every_s: float = 60.0
    audit_every_s: float = 3600.0
    page_max: int = 1000
    overlap: int = 200
    start: str | int = "oldest"
    retention_s: float = 86_400.0
    margin_s: float = 600.0
    grace_s: float = 0.5
    settle_s: float = 2.0
    settle_max_s: float = 60.0
    pages_per_read_max: int = 10_000
    side_by_side_max: int = 4
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    gaps_open_max: int = 1000
    suspect_after: int = 5
    unmatched_after_s: float = 900.0
