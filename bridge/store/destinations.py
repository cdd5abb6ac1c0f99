"""Destinations: who is to be delivered to, whether they want to be, and how far behind they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store.direct import Executes

REASON_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class Lag:
    """How far one destination is behind on one stream: ``head`` is the stream's last position.

    ``due_at`` is when the cursor may be taken up: the end of a lease, or of a wait after a failure.
    """

    destination: str
    state: str
    reason: str | None
    stream: str
    position: int
    head: int
    failures: int
    failing_since: datetime | None
    last_error: str | None
    due_at: datetime

    @property
    def behind(self) -> int:
        return self.head - self.position


_ENSURE = text("""
INSERT INTO destinations (name, changed_at)
SELECT name, :now FROM unnest(CAST(:names AS text[])) AS wanted (name) ORDER BY name
ON CONFLICT (name) DO NOTHING
""")

_IDS = text("SELECT name, id FROM destinations WHERE name = ANY (CAST(:names AS text[]))")

_NAMED = text("SELECT name, id FROM destinations")

_STOP = text("""
UPDATE destinations SET state = 'stopped', reason = :reason, changed_at = :now
WHERE name = :name AND state = 'active'
""")

_RESUME = text("""
UPDATE destinations SET state = 'active', reason = NULL, changed_at = :now
WHERE name = :name AND state = 'stopped' RETURNING id
""")

_RESUME_CURSORS = text("UPDATE cursors SET due_at = :now WHERE destination_id = :id AND due_at > :now")

_LAGS = text("""
SELECT d.name, d.state, d.reason, s.name, c.position, s.position, c.failures, c.failing_since, c.last_error, c.due_at
FROM cursors c JOIN destinations d ON d.id = c.destination_id JOIN streams s ON s.id = c.stream_id
ORDER BY d.name, s.name LIMIT :limit
""")


async def ensure(conn: AsyncConnection, names: Sequence[str], *, now: datetime) -> dict[str, int]:
    """The ids of the destinations of these names; those that are new are made, active."""
    wanted = list(names)
    known = await ids(conn, wanted)
    if len(known) == len(set(wanted)):
        return known
    await conn.execute(_ENSURE, {"names": wanted, "now": now})
    return await ids(conn, wanted)


async def stop(conn: AsyncConnection, name: str, *, reason: str, now: datetime) -> bool:
    """Deliver nothing more to the destination until it is resumed. False if it was stopped already or is unknown."""
    values = {"name": name, "reason": reason[:REASON_CHARS_MAX], "now": now}
    return (await conn.execute(_STOP, values)).rowcount > 0


async def resume(conn: AsyncConnection, name: str, *, now: datetime) -> bool:
    """Deliver again, at once, from where it stopped. False if it was not stopped or is unknown."""
    resumed = (await conn.execute(_RESUME, {"name": name, "now": now})).scalar_one_or_none()
    if resumed is None:
        return False
    await conn.execute(_RESUME_CURSORS, {"id": resumed, "now": now})
    return True


async def lags(conn: AsyncConnection, *, limit: int = 1000) -> list[Lag]:
    """Every destination's state on every stream that it takes."""
    return [Lag(*row) for row in (await conn.execute(_LAGS, {"limit": limit})).all()]


async def named(conn: Executes) -> dict[str, int]:
    """The ids of all destinations, by name, in no order."""
    return dict((await conn.execute(_NAMED)).all())


async def ids(conn: AsyncConnection, names: Sequence[str]) -> dict[str, int]:
    """The ids of those that there are."""
    rows = (await conn.execute(_IDS, {"names": list(names)})).all()
    return {row.name: row.id for row in rows}
