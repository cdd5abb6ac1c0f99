"""What a venue has forgotten: decided by its own clock and its own oldest row, never by an empty answer alone."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bridge.core.span import Span
from bridge.reconcile.limits import ReplayLimits
from bridge.store.streams import Stream


def forgotten(at: datetime | None, venue_now: datetime, limits: ReplayLimits) -> bool:
    """Whether what happened at ``at`` is past the venue's retention. What has no time counts as not."""
    return at is not None and venue_now >= at + timedelta(seconds=limits.retention_s)


def remembered(at: datetime | None, venue_now: datetime, limits: ReplayLimits) -> bool:
    """Whether what happened at ``at`` is surely retained still. Between this and forgotten nothing is said."""
    return at is not None and venue_now < at + timedelta(seconds=limits.retention_s - limits.margin_s)


def find_loss(stream: Stream, oldest: int | None, listed: Sequence[int], expired_to: int) -> Span | None:
    """The numbers from the frontier up to what the venue still has; they can no longer be asked for.

    ``oldest`` is what it says is its oldest row, None where it lists none. What a read has just ``listed`` it has,
    whatever another answer says. Where there is no row at all, only what is below a number that we hold, and that is
    past the retention by its own time, is surely forgotten: ``expired_to`` is the highest of those.
    """
    assert stream.frontier is not None
    had = [number for number in listed if number >= stream.frontier]
    if oldest is not None:
        had.append(oldest)
    stop = min(had, default=expired_to)
    return Span(stream.frontier, stop) if stop > stream.frontier else None
