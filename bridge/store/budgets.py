"""Budgets: what was left of the quotas of a source's venue when the holder of the source's lease looked last."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.core.budget import Left

LISTED_MAX = 1000
LOOKED_WITHIN = timedelta(minutes=1)
"""Holders look every few seconds. A quota that a source had with other settings is never looked at again."""


@dataclass(frozen=True, slots=True)
class UpstreamBudget:
    """One quota: ``tokens`` calls were left of ``burst``, and ``per_s`` come back each second.

    None at all is made before ``paused_until``, where the venue asked for that. ``attended_until`` is the end of the
    holder's lease, None if there never was one.
    """

    source: str
    name: str
    per_s: float
    burst: float
    tokens: float
    paused_until: datetime | None
    as_of: datetime
    attended_until: datetime | None

    def attended(self, now: datetime) -> bool:
        """Whether somebody holds the source and looks at the quota: what was left to one who is gone is no news."""
        is_held = self.attended_until is not None and self.attended_until > now
        return is_held and now - self.as_of < LOOKED_WITHIN

    def paused_s(self, now: datetime) -> float:
        """How long from ``now`` on nothing is asked, because the venue wanted it so."""
        return 0.0 if self.paused_until is None else max(0.0, (self.paused_until - now).total_seconds())


_PUT = text("""
INSERT INTO budgets (source, name, per_s, burst, tokens, paused_until, as_of)
SELECT :source, name, per_s, burst, tokens, paused_until, :now
FROM unnest(CAST(:names AS text[]), CAST(:per_s AS float8[]), CAST(:bursts AS float8[]), CAST(:tokens AS float8[]),
            CAST(:paused_until AS timestamptz[])) AS told (name, per_s, burst, tokens, paused_until)
ON CONFLICT (source, name) DO UPDATE
SET per_s = excluded.per_s, burst = excluded.burst, tokens = excluded.tokens, paused_until = excluded.paused_until,
    as_of = excluded.as_of
""")

_LIST = text("""
SELECT b.source, b.name, b.per_s, b.burst, b.tokens, b.paused_until, b.as_of, l.until
FROM budgets b LEFT JOIN leases l ON l.name = 'source:' || b.source
ORDER BY b.source, b.name LIMIT :limit
""")


async def put(conn: AsyncConnection, *, source: str, left: Mapping[str, Left], now: datetime) -> None:
    """Write down what is ``left`` of each of the source's quotas, in one statement."""
    told = sorted(left.items())
    paused_until = [now + timedelta(seconds=one.paused_s) if one.paused_s > 0 else None for _, one in told]
    values = {"source": source, "now": now, "names": [name for name, _ in told], "paused_until": paused_until}
    values |= {"per_s": [one.per_s for _, one in told], "bursts": [one.burst for _, one in told]}
    values |= {"tokens": [one.tokens for _, one in told]}
    await conn.execute(_PUT, values)


async def listing(conn: AsyncConnection, *, limit: int = LISTED_MAX) -> list[UpstreamBudget]:
    """What is known of every quota, by source and name; at most ``limit``."""
    return [UpstreamBudget(*row) for row in (await conn.execute(_LIST, {"limit": limit})).all()]
