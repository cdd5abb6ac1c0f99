"""Notices: what is to be said of an alert on one channel, kept until the channel has taken it.

A notice is claimed by moving ``due_at`` to the end of a lease; the attempt number is the fence, as with cursors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

ERROR_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice as it was taken up. ``alert_id`` is None where it sums several up."""

    id: int
    alert_id: int | None
    kind: str
    message: Mapping[str, Any]
    decided_at: datetime
    attempts: int


class Draft(NamedTuple):
    """A notice to be, with the channels that it is for."""

    alert_id: int | None
    kind: str
    message: Mapping[str, Any]
    channels: Sequence[str]


class Recent(NamedTuple):
    """How many notices were decided on of late, and how many of them summed others up."""

    notices: int
    summaries: int


class Told(NamedTuple):
    """What became of the notices of an alert on one channel."""

    channel: str
    kind: str
    told_at: datetime | None
    given_up_at: datetime | None
    attempts: int
    error: str | None


_ADD = text("""
INSERT INTO notices (alert_id, channel, kind, message, decided_at, due_at)
SELECT alert_id, channel, kind, message, :now, :now
FROM unnest(CAST(:alert_ids AS bigint[]), CAST(:channels AS text[]), CAST(:kinds AS text[]),
            CAST(CAST(:messages AS text[]) AS jsonb[])) AS given (alert_id, channel, kind, message)
""")

_RECENT = text("""
SELECT count(*) FILTER (WHERE kind <> 'summary'), count(*) FILTER (WHERE kind = 'summary')
FROM notices WHERE decided_at > :since AND channel = :channel
""")

# Of one alert the earlier notice goes first. What was refused before goes after what was not tried yet.
_CLAIM = text("""
WITH next AS (
    SELECT n.id FROM notices n
    WHERE n.channel = :channel AND n.due_at <= :now AND n.told_at IS NULL AND n.given_up_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM notices earlier
                      WHERE earlier.alert_id = n.alert_id AND earlier.channel = n.channel AND earlier.id < n.id
                        AND earlier.told_at IS NULL AND earlier.given_up_at IS NULL)
    ORDER BY n.attempts, n.id LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE notices n SET due_at = :until, attempts = n.attempts + 1 FROM next WHERE n.id = next.id
RETURNING n.id, n.alert_id, n.kind, n.message, n.decided_at, n.attempts
""")

_TELL = text("""
UPDATE notices SET told_at = :now, error = NULL
WHERE id = :id AND attempts = :attempts AND told_at IS NULL AND given_up_at IS NULL
""")

_FAIL = text("""
UPDATE notices SET due_at = :due_at, error = :error
WHERE id = :id AND attempts = :attempts AND told_at IS NULL AND given_up_at IS NULL
""")

_GIVE_UP = text("""
UPDATE notices SET given_up_at = :now, error = :error
WHERE id = :id AND attempts = :attempts AND told_at IS NULL AND given_up_at IS NULL
""")

_WAITING = text("""
SELECT channel, count(*) FROM notices WHERE told_at IS NULL AND given_up_at IS NULL GROUP BY channel ORDER BY channel
""")

_OF_ALERTS = text("""
SELECT DISTINCT ON (alert_id, channel) alert_id, channel, kind, told_at, given_up_at, attempts, error
FROM notices WHERE alert_id = ANY(CAST(:ids AS bigint[])) ORDER BY alert_id, channel, id DESC
""")


async def add(conn: AsyncConnection, drafts: Sequence[Draft], *, now: datetime) -> None:
    """Write down what is to be said, on every channel that it is for."""
    rows = [(draft, channel) for draft in drafts for channel in draft.channels]
    values = {
        "alert_ids": [draft.alert_id for draft, _ in rows],
        "channels": [channel for _, channel in rows],
        "kinds": [draft.kind for draft, _ in rows],
        "messages": [msgspec.json.encode(draft.message).decode() for draft, _ in rows],
    }
    await conn.execute(_ADD, values | {"now": now})


async def recent(conn: AsyncConnection, *, channel: str, since: datetime) -> Recent:
    """What was decided on after ``since``, told or not, for a channel that gets every notice."""
    return Recent(*(await conn.execute(_RECENT, {"channel": channel, "since": since})).one())


async def claim(conn: AsyncConnection, *, channel: str, now: datetime, until: datetime) -> Notice | None:
    """Take up the next notice that is due on the channel, for nobody else ``until`` then; None if there is none."""
    row = (await conn.execute(_CLAIM, {"channel": channel, "now": now, "until": until})).one_or_none()
    return None if row is None else Notice(*row)


async def tell(conn: AsyncConnection, notice: Notice, *, now: datetime) -> bool:
    """The channel has taken it. False: somebody else has taken the notice up since."""
    return (await conn.execute(_TELL, {"id": notice.id, "attempts": notice.attempts, "now": now})).rowcount > 0


async def fail(conn: AsyncConnection, notice: Notice, *, due_at: datetime, error: str) -> None:
    """The channel has not; try again at ``due_at``."""
    values = {"id": notice.id, "attempts": notice.attempts, "due_at": due_at, "error": error[:ERROR_CHARS_MAX]}
    await conn.execute(_FAIL, values)


async def give_up(conn: AsyncConnection, notice: Notice, *, error: str, now: datetime) -> None:
    """The channel has not, for too long."""
    values = {"id": notice.id, "attempts": notice.attempts, "error": error[:ERROR_CHARS_MAX], "now": now}
    await conn.execute(_GIVE_UP, values)


async def waiting(conn: AsyncConnection) -> dict[str, int]:
    """How many wait to be told, by channel."""
    return {row[0]: row[1] for row in (await conn.execute(_WAITING)).all()}


async def of_alerts(conn: AsyncConnection, ids: Sequence[int]) -> dict[int, list[Told]]:
    """The newest notice on each channel, by alert."""
    told: dict[int, list[Told]] = {}
    for row in (await conn.execute(_OF_ALERTS, {"ids": list(ids)})).all():
        told.setdefault(row[0], []).append(Told(*row[1:]))
    return told
