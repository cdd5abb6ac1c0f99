"""Where a new stream begins: what the venue still has, its present, or a number that an operator chose."""

from datetime import datetime

from bridge.ingest import Base
from bridge.reconcile.limits import ReplayLimits
from bridge.reconcile.reading import find_head
from bridge.sources.base import Replay


async def find_base(replay: Replay, limits: ReplayLimits, now: datetime) -> Base:
    """The stream's first number, and the venue's time from which on nothing of it is forgotten.

    On a venue that has nothing yet it is 1: nothing lies before the first number it will assign. One empty
    answer is not believed.

    Raises:
        VenueError: the venue could not be asked.
    """
    oldest = await replay.page(since=None, limit=1)
    if not oldest.events:
        oldest = await replay.page(since=None, limit=1)
    venue_now = oldest.venue_now or now
    first = oldest.events[0] if oldest.events else None
    if first is None or first.sequence is None:
        return Base(limits.start if isinstance(limits.start, int) else 1, venue_now)
    if isinstance(limits.start, int):
        return Base(max(limits.start, first.sequence), venue_now)
    if limits.start == "now":
        head = await find_head(replay)
        return Base((head.sequence if head and head.sequence else first.sequence) + 1, venue_now)
    return Base(first.sequence, first.occurred_at or venue_now)
