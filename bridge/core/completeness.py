"""How complete a stream is: the share that is told event by event, or why nobody can say."""

from typing import NamedTuple

PROVEN_NOTHING = "nothing is proven yet"
IN_DOUBT = "the venue's numbering is in doubt"


class Completeness(NamedTuple):
    """``share`` is between 0 and 1; None where it cannot be verified, and then ``reason`` says why."""

    share: float | None
    reason: str | None


def completeness(
    *, unnoticed: str | None, in_doubt: bool, begin: int | None, end: int | None, missing: int
) -> Completeness:
    """How much of what lies from ``begin`` to the frontier ``end`` (exclusive) is told event by event.

    All three are counted in what the stream is proven in: numbers, or milliseconds of venue time. ``missing`` is
    what was told as lost, or as superseded by a snapshot. Where a loss can go unnoticed, there is no share.
    """
    if unnoticed is not None:
        return Completeness(None, unnoticed)
    if in_doubt:
        return Completeness(None, IN_DOUBT)
    if begin is None or end is None or end <= begin:
        return Completeness(None, PROVEN_NOTHING)
    return Completeness(max(0.0, 1 - missing / (end - begin)), None)
