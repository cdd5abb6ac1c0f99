"""The rows of destinations as operators see and change them: what may be shown, what is sealed, and the state.

Nothing here knows what a policy says or what is in the sealed part. ``version`` grows with every change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store.destinations import REASON_CHARS_MAX

FILE = "file"
API = "api"
ROWS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Managed:
    """One destination. ``sealed`` is None where the file speaks for it."""

    id: int
    name: str
    state: str
    reason: str | None
    origin: str
    policy: Mapping[str, Any]
    sealed: bytes | None = field(repr=False)
    version: int
    changed_at: datetime


_COLUMNS = "id, name, state, reason, origin, policy, sealed, version, changed_at"

_CREATE = text("""
INSERT INTO destinations (name, origin, policy, sealed, version, changed_at)
SELECT :name, 'api', CAST(CAST(:policy AS text) AS jsonb), :sealed, 1, :now
WHERE (SELECT count(*) FROM destinations) < :rows_max
ON CONFLICT (name) DO NOTHING RETURNING id
""")

_READ = text(f"SELECT {_COLUMNS} FROM destinations WHERE name = :name")

# Cursors come first, as they do in delivery: two that take the same locks in two orders wait for each other.
_LOCK_CURSORS = text("""
SELECT c.stream_id FROM cursors c JOIN destinations d ON d.id = c.destination_id AND d.name = :name
ORDER BY c.stream_id FOR NO KEY UPDATE OF c
""")

_LOCK = text(f"SELECT {_COLUMNS} FROM destinations WHERE name = :name FOR NO KEY UPDATE")

_LISTING = text(f"SELECT {_COLUMNS} FROM destinations WHERE name > :after ORDER BY name LIMIT :limit")

_SEALED = text(f"SELECT {_COLUMNS} FROM destinations WHERE sealed IS NOT NULL ORDER BY id LIMIT :limit")

_SEALED_LOCKED = text(f"SELECT {_COLUMNS} FROM destinations WHERE sealed IS NOT NULL ORDER BY id FOR NO KEY UPDATE")

_MARK = text("""
SELECT count(*), coalesce(sum(version), 0), coalesce(sum(id), 0), max(changed_at) FROM destinations
WHERE sealed IS NOT NULL
""")

_UPDATE = text("""
UPDATE destinations SET policy = CAST(CAST(:policy AS text) AS jsonb), sealed = :sealed, version = version + 1,
    changed_at = :now
WHERE id = :id
""")

_RESEAL = text("UPDATE destinations SET sealed = :sealed WHERE id = :id")

_SET_STATE = text("""
UPDATE destinations SET state = :state, reason = :reason, version = version + 1, changed_at = :now WHERE id = :id
""")

_DUE_NOW = text("UPDATE cursors SET due_at = :now, failing_since = NULL WHERE destination_id = :id")

_DELETE = text("DELETE FROM destinations WHERE id = :id")

# What stands already is left alone, so that a start costs nothing where nothing has changed.
_PROVISION = text("""
INSERT INTO destinations (name, origin, policy, version, changed_at)
SELECT name, 'file', CAST(policy AS jsonb), 1, :now
FROM unnest(CAST(:names AS text[]), CAST(:policies AS text[])) AS wanted (name, policy) ORDER BY name
ON CONFLICT (name) DO UPDATE
SET policy = excluded.policy, version = destinations.version + 1, changed_at = excluded.changed_at
WHERE destinations.origin = 'file' AND destinations.policy <> excluded.policy
""")

_MADE_BY_API = text("""
SELECT name FROM destinations WHERE origin = 'api' AND name = ANY (CAST(:names AS text[])) ORDER BY name
""")


async def create(
    conn: AsyncConnection, name: str, *, policy: Mapping[str, object], sealed: bytes, now: datetime
) -> bool:
    """Make it, active. False: there is one of this name, or there are ``ROWS_MAX`` already."""
    values = {"name": name, "policy": _json(policy), "sealed": sealed, "now": now, "rows_max": ROWS_MAX}
    return (await conn.execute(_CREATE, values)).scalar_one_or_none() is not None


async def read(conn: AsyncConnection, name: str, *, lock: bool = False) -> Managed | None:
    """The destination of this name; with ``lock``, nobody else changes it until the transaction's end."""
    if lock:
        await conn.execute(_LOCK_CURSORS, {"name": name})
    row = (await conn.execute(_LOCK if lock else _READ, {"name": name})).one_or_none()
    return None if row is None else Managed(*row)


async def listing(conn: AsyncConnection, *, after: str = "", limit: int = ROWS_MAX) -> list[Managed]:
    """In the order of their names, those behind ``after``."""
    return [Managed(*row) for row in (await conn.execute(_LISTING, {"after": after, "limit": limit})).all()]


async def made_by_api(conn: AsyncConnection, *, lock: bool = False) -> list[Managed]:
    """All that have a sealed part."""
    rows = await (conn.execute(_SEALED_LOCKED) if lock else conn.execute(_SEALED, {"limit": ROWS_MAX}))
    return [Managed(*row) for row in rows.all()]


async def mark(conn: AsyncConnection) -> tuple[object, ...]:
    """Something that is another after every change in those that the API made."""
    return tuple((await conn.execute(_MARK)).one())


async def update(
    conn: AsyncConnection, found: Managed, *, policy: Mapping[str, object], sealed: bytes | None, now: datetime
) -> None:
    await conn.execute(_UPDATE, {"id": found.id, "policy": _json(policy), "sealed": sealed, "now": now})


async def reseal(conn: AsyncConnection, found: Managed, sealed: bytes) -> None:
    """Keep the same under another key of the vault."""
    await conn.execute(_RESEAL, {"id": found.id, "sealed": sealed})


async def set_state(conn: AsyncConnection, found: Managed, state: str, *, reason: str | None, now: datetime) -> None:
    """Let it be delivered to or not. One that is active again is due at once, and not held to what failed before."""
    cut = None if reason is None else reason[:REASON_CHARS_MAX]
    await conn.execute(_SET_STATE, {"id": found.id, "state": state, "reason": cut, "now": now})
    if state == "active":
        await conn.execute(_DUE_NOW, {"id": found.id, "now": now})


async def delete(conn: AsyncConnection, found: Managed) -> None:
    """Forget it, how far it was, and what was tried."""
    await conn.execute(_DELETE, {"id": found.id})


async def provision(conn: AsyncConnection, wanted: Mapping[str, Mapping[str, object]], *, now: datetime) -> list[str]:
    """A row for each destination of the file, with its policy of today. Returns the names that the API has taken."""
    names = sorted(wanted)
    policies = [_json(wanted[name]) for name in names]
    await conn.execute(_PROVISION, {"names": names, "policies": policies, "now": now})
    return [row.name for row in (await conn.execute(_MADE_BY_API, {"names": names})).all()]


def _json(policy: Mapping[str, object]) -> str:
    return msgspec.json.encode(policy).decode()
