"""Connections: what a source's listener last said of its socket, for people."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

DETAIL_CHARS_MAX = 500
UNATTENDED = "unattended"
STATES = ("connecting", "connected", "disconnected", "misconfigured", UNATTENDED)
"""What ``state_at`` answers: the listener's own words, and the one for a source that nobody attends to."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A socket's last word. ``attended_until`` is the end of the listener's lease, None if there never was one."""

    source: str
    state: str
    detail: str
    changed_at: datetime
    attended_until: datetime | None

    def state_at(self, now: datetime) -> str:
        """The state, unless whoever told of it is gone: a dead listener's last word is no news."""
        attended = self.attended_until is not None and self.attended_until > now
        return self.state if attended else UNATTENDED


_PUT = text("""
INSERT INTO connections (source, state, detail, changed_at) VALUES (:source, :state, :detail, :now)
ON CONFLICT (source) DO UPDATE
SET state = excluded.state, detail = excluded.detail, changed_at = excluded.changed_at
WHERE (connections.state, connections.detail) IS DISTINCT FROM (excluded.state, excluded.detail)
""")

_LIST = text("""
SELECT c.source, c.state, c.detail, c.changed_at, l.until
FROM connections c LEFT JOIN leases l ON l.name = 'source:' || c.source
ORDER BY c.source LIMIT :limit
""")


async def put(conn: AsyncConnection, *, source: str, state: str, detail: str, now: datetime) -> None:
    """Write down the source's state; ``changed_at`` stays where it is the one that stands there already."""
    # The detail may be the other side's word: Postgres takes no NUL in a text.
    kept = detail.replace("\0", " ")[:DETAIL_CHARS_MAX]
    await conn.execute(_PUT, {"source": source, "state": state, "detail": kept, "now": now})


async def listing(conn: AsyncConnection, *, limit: int = 1000) -> list[Connection]:
    """What is known of every source's socket, by source."""
    return [Connection(*row) for row in (await conn.execute(_LIST, {"limit": limit})).all()]
