"""What a venue has forgotten: decided by its own clock and its own oldest row, never by an empty answer alone."""

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


def find_loss(stream: Stream, oldest: int | None) -> Span | None:
    """The numbers from the frontier up to what the venue still has; they can no longer be asked for."""
    assert stream.frontier is not None
    stop = stream.head + 1 if oldest is None else oldest
    return Span(stream.frontier, stop) if stop > stream.frontier else None
