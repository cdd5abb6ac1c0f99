"""Telling of gaps: the holes that outlived their grace get a row that lives until the frontier passes them."""

from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.coverage import Coverage
from bridge.reconcile.limits import ReplayLimits
from bridge.store import evidence, gaps, streams
from bridge.store.engine import store_errors
from bridge.store.streams import Stream

log = structlog.get_logger()


async def open_gaps(engine: AsyncEngine, stream: Stream, limits: ReplayLimits, now: datetime) -> int:
    """Open a gap for every hole that has shown for longer than the grace; returns how many are new.

    At most ``gaps_open_max`` are open at a time; what lies behind them gets its row once some have closed.
    """
    appeared_before = now - timedelta(seconds=limits.grace_s)
    if stream.stalled_at is None or stream.stalled_at > appeared_before:
        return 0
    if stream.gaps_open >= limits.gaps_open_max:
        return 0
    with store_errors():
        async with engine.begin() as connection:
            locked = await streams.lock(connection, stream.id)
            if locked.frontier is None:
                return 0
            holes = await gaps.holes(
                connection,
                stream_id=locked.id,
                epoch=locked.epoch,
                frontier=locked.frontier,
                appeared_before=appeared_before,
                limit=limits.gaps_open_max - locked.gaps_open,
            )
            told = Coverage.of(await gaps.open_spans(connection, stream_id=locked.id, epoch=locked.epoch))
            known = await evidence.above(
                connection, stream_id=locked.id, epoch=locked.epoch, frontier=locked.frontier
            )
            told |= Coverage.of(item.span for item in known)
            fresh = [(span, showed_at) for span, showed_at in holes if not told.within(span).spans]
            if not fresh:
                return 0
            opened = await gaps.open_all(
                connection,
                stream_id=locked.id,
                epoch=locked.epoch,
                found=fresh,
                deadline_at=_deadline(locked, limits),
                now=now,
            )
            await streams.save(connection, replace(locked, gaps_open=locked.gaps_open + opened))
    log.warning("gap.opened", stream=stream.name, gaps=opened, first=fresh[0][0].first, last=fresh[-1][0].last)
    return opened


def _deadline(stream: Stream, limits: ReplayLimits) -> datetime | None:
    """From when on the venue may have forgotten what fills the hole at the frontier."""
    if stream.anchored_at is None:
        return None
    return stream.anchored_at + timedelta(seconds=limits.retention_s - limits.margin_s)
