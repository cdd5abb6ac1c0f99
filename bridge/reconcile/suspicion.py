"""Asking the source whether it restarted its numbers, when what it tells does not fit what is stored."""

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.numbering import Numbering, judge_numbering
from bridge.ingest import Base, Door, Finding, NewEpoch
from bridge.reconcile.limits import ReplayLimits
from bridge.reconcile.watch import Watch
from bridge.sources.base import Page, Replay
from bridge.store import entries, events
from bridge.store.engine import store_errors
from bridge.store.streams import Stream

log = structlog.get_logger()

LOOKS = 2
"""Looks in a row that must find another numbering before the old one is sealed."""


async def resolve(
    stream: Stream, replay: Replay, door: Door, engine: AsyncEngine, watch: Watch, limits: ReplayLimits
) -> Numbering:
    """Look at what the venue still has, and lift the suspicion or, after a second look, open a new epoch."""
    page = await replay.page(since=None, limit=limits.page_max)
    verdict = await _look(stream, page, engine, limits)
    log.warning("numbering.asked", stream=stream.name, epoch=stream.epoch, verdict=verdict.value)
    if verdict is not Numbering.RESTARTED:
        watch.strangers = 0
    if verdict is Numbering.SAME and stream.suspect_at is not None:
        await door.record(stream.name, Finding(stream.epoch, same_epoch=True))
    if verdict is Numbering.RESTARTED:
        watch.strangers += 1
        if watch.strangers >= LOOKS:
            first = page.events[0]
            assert first.sequence is not None
            base = Base(first.sequence, first.occurred_at or page.venue_now)
            await door.open_epoch(stream.name, NewEpoch(stream.epoch, base))
            log.error("epoch.opened", stream=stream.name, sealed=stream.epoch, base=first.sequence)
            watch.forget()
    return verdict


async def _look(stream: Stream, page: Page, engine: AsyncEngine, limits: ReplayLimits) -> Numbering:
    listed = {event.sequence: event for event in page.events if event.sequence is not None}
    if not listed or stream.frontier is None:
        return Numbering.UNCLEAR
    with store_errors():
        async with engine.connect() as connection:
            stored = await events.stored(
                connection, stream_id=stream.id, epoch=stream.epoch, sequences=sorted(listed)
            )
            # What came late may be the first of the new numbering: only what was told in its turn counts.
            in_turn = await entries.events_told(
                connection, stream_id=stream.id, epoch=stream.epoch, sequences=sorted(stored)
            )
    same = sum(1 for n in in_turn if stored[n].event_id == listed[n].event_id)
    complete = page.more is False or page.rows < limits.page_max
    return judge_numbering(
        same=same,
        other=len(in_turn) - same,
        head_below_frontier=complete and max(listed) < stream.frontier - 1,
        suspect_after=limits.suspect_after,
    )
