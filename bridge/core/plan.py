"""What to ask a replay next: the cheapest read that can move a stream on, or none."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a stream stands when the next read is planned.

    ``hole_age_s`` is how long the hole at the frontier has shown, None where there is none. ``looked_to`` is
    the highest number that an earlier read looked up to, ``settled_to`` the highest that has settled.
    """

    frontier: int
    hole_age_s: float | None
    grace_s: float
    looked_to: int
    settled_to: int
    tail_due: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """Read from the frontier on: ``upto`` a number that must be passed, or None for all there is."""

    why: str
    upto: int | None


def next_ask(standing: Standing) -> Ask | None:
    """The next read, if one is worth its call.

    A hole is looked into once as soon as its grace is over: most are filled by that. What is left waits until
    something behind it has settled, and is then read for proof.
    """
    if standing.tail_due:
        return Ask("tail", None)
    if standing.hole_age_s is None or standing.hole_age_s < standing.grace_s:
        return None
    if standing.frontier > standing.looked_to:
        return Ask("hole", None)
    if standing.settled_to >= standing.frontier:
        return Ask("proof", standing.settled_to)
    return None
