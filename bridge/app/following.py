"""What a worker does for a source whose events the bridge numbers: follow it while its lease is ours."""

from collections.abc import Callable

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.follow.follower import Follower
from bridge.follow.limits import FollowLimits
from bridge.ingest.followed import Appended, Chapter, Overtaken
from bridge.sources.market import MarketSource
from bridge.worker import SourceWork, Sweep

log = structlog.get_logger()


def following(
    source: MarketSource,
    engine: AsyncEngine,
    clock: Clock,
    limits: FollowLimits,
    on_append: Callable[[Appended, Chapter], None],
) -> SourceWork:
    """The source's work: its lines, its holes, and the audit at its cadence."""
    follower = Follower(source, engine, clock, limits=limits, on_append=on_append)

    async def follow() -> None:
        while True:
            try:
                await follower.run()
            except* Overtaken as group:
                # Another worker wrote meanwhile, or a commit whose answer was lost: begin with what is there.
                log.warning("follower.overtaken", source=source.name, reason=str(group.exceptions[0]))

    sweeps = (Sweep("audit", limits.audit_every_s),)
    return SourceWork(source.name, follow, follower.audit, sweeps, source.budgets)
