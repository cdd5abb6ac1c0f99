"""Leases: who may do what only one may do at a time, and the fence that tells former holders from the present."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_TAKE = text("""
INSERT INTO leases (name, holder, fence, until) VALUES (:name, :holder, 1, :until)
ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder, until = excluded.until,
    fence = leases.fence + (leases.holder <> excluded.holder)::int
WHERE leases.holder = excluded.holder OR leases.until <= :now
RETURNING fence
""")

_TAKE_OVER = text("UPDATE leases SET until = :now WHERE until > :now")

_RELEASE = text("UPDATE leases SET until = :now WHERE name = :name AND holder = :holder AND fence = :fence")

_HELD = text("""
SELECT 1 FROM leases WHERE name = :name AND holder = :holder AND fence = :fence AND until > :now FOR SHARE
""")


async def take(conn: AsyncConnection, *, name: str, holder: str, now: datetime, until: datetime) -> int | None:
    """Take or renew the lease; the fence, or None while another holder's lease lasts."""
    values = {"name": name, "holder": holder, "now": now, "until": until}
    return (await conn.execute(_TAKE, values)).scalar_one_or_none()


async def take_over(conn: AsyncConnection, *, now: datetime) -> None:
    """Let every lease end: for a start at which it is known that nobody else works on this database."""
    await conn.execute(_TAKE_OVER, {"now": now})


async def release(conn: AsyncConnection, *, name: str, holder: str, fence: int, now: datetime) -> bool:
    """Give the lease back; False if it was no longer this holder's."""
    values = {"name": name, "holder": holder, "fence": fence, "now": now}
    return (await conn.execute(_RELEASE, values)).rowcount == 1


async def held(conn: AsyncConnection, *, name: str, holder: str, fence: int, now: datetime) -> bool:
    """Whether the lease is still this holder's; if so it stays so until the transaction ends."""
    values = {"name": name, "holder": holder, "fence": fence, "now": now}
    return (await conn.execute(_HELD, values)).first() is not None
