"""Watching: one look at everything, one decision, one transaction. Whoever looks at the same time waits.

What is to be said is written down beside what it is about, so that nothing is lost or said twice whatever process
ends, and when.
"""

from collections.abc import Sequence
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.alert.channel import Channel
from bridge.alert.deciding import MINUTE, Decision, Known, Saying, decide, severities
from bridge.alert.notice import stored
from bridge.alert.rules import findings
from bridge.alert.values import LOG, Findings, Pace, Thresholds
from bridge.clock import Clock
from bridge.store import alerts, notices, silences
from bridge.store.alerts import Key
from bridge.store.engine import store_errors
from bridge.store.notices import Draft
from bridge.store.watched import ROWS_MAX, Reach, look

log = structlog.get_logger()

REMARKS_REACH = timedelta(days=1)
"""How long the watch may have been down without a loss, a late event or a conflict going unseen."""


class Watch:
    """Looks, and decides what people are to be told. Any number of them may be at work on one database."""

    def __init__(
        self, engine: AsyncEngine, clock: Clock, thresholds: Thresholds, pace: Pace, channels: Sequence[Channel]
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._thresholds = thresholds
        self._pace = pace
        self._wants = {channel.name: severities(channel.severity) for channel in channels}

    async def tick(self) -> int:
        """Look once; returns how many things there are to say.

        Raises:
            StoreUnavailable: the database is away.
        """
        # The lock comes before the first look, so that what is seen is never older than what was decided.
        frozen = self._engine.execution_options(isolation_level="REPEATABLE READ")
        with store_errors():
            async with frozen.begin() as conn:
                await alerts.lock(conn)
                decision = await self._decide(conn)
                ids = await alerts.save(conn, decision.changed)
                drafts = [self._draft(saying, ids) for saying in decision.sayings]
                if drafts:
                    await notices.add(conn, drafts, now=self._clock.now())
        return len(drafts)

    async def _decide(self, conn: AsyncConnection) -> Decision:
        now = self._clock.now()
        watched = await look(conn, self._reach(), now=now)
        if watched.cut:
            log.warning("alerts.cut", kinds=sorted(watched.cut), rows_max=ROWS_MAX)
        found = findings(watched, self._thresholds, now)
        known = Known(
            open=await alerts.open_now(conn, limit=ROWS_MAX),
            before={alert.key: alert for alert in await alerts.before(conn, _keys(found))},
            silences=await silences.holding(conn, now=now),
            recent=await notices.recent(conn, channel=LOG, since=now - MINUTE),
        )
        return decide(found, known, self._pace, now)

    def _reach(self) -> Reach:
        now, limits = self._clock.now(), self._thresholds
        waiting_s = limits.lagging_s
        if limits.keep_s is not None:
            waiting_s = min(waiting_s, limits.keep_s * limits.expiring_share)
        hour = (now - REMARKS_REACH).replace(minute=0, second=0, microsecond=0)
        return Reach(hour, now - timedelta(seconds=waiting_s), limits.database_bytes_max is not None)

    def _draft(self, saying: Saying, ids: dict[Key, int]) -> Draft:
        channels = [name for name, wants in self._wants.items() if saying.severity in wants]
        alert_id = None if saying.alert is None else ids[saying.alert.key]
        return Draft(alert_id, saying.kind.value, stored(saying), channels)


def _keys(found: Findings) -> list[Key]:
    keys = [(one.rule, one.subject) for one in found.conditions]
    return sorted({*keys, *((one.rule, one.subject) for one in found.tallies)})
