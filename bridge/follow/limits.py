"""How long a follower waits, how much it keeps, and how often it asks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowLimits:
    """Bounds of one source's follower.

    ``pad_s`` is how long after an acknowledged subscription its connection counts as proof. ``overlap_s`` is what
    a list is asked for beyond both ends of a hole. ``poll_every_s`` is the cadence of asking the lists while no
    connection hears the channel. ``prove_every_s`` is how often a quiet connection is pinged for what waits.
    """

    pad_s: float = 1.0
    overlap_s: float = 2.0
    commit_every_s: float = 0.02
    commit_events_max: int = 4_000
    events_waiting_max: int = 50_000
    remembered_max: int = 20_000
    poll_every_s: float = 5.0
    look_every_s: float = 0.25
    prove_every_s: float = 1.0
    stand_every_s: float = 5.0
    snapshot_wait_s: float = 5.0
    retry_first_s: float = 1.0
    retry_max_s: float = 60.0
    repairs_side_by_side_max: int = 4
    audit_every_s: float = 300.0
    audit_window_s: float = 900.0
    values_max: int = 100_000
