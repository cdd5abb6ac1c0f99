"""Who did what, and when: written in the transaction that does it, and never changed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class Deed(NamedTuple):
    """One act of an operator. ``detail`` holds no secret."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


_NOTE = text("""
INSERT INTO audit (at, actor, action, subject, detail)
VALUES (:now, :actor, :action, :subject, CAST(CAST(:detail AS text) AS jsonb))
""")

_LISTING = text("""
SELECT id, at, actor, action, subject, detail FROM audit
WHERE (CAST(:before AS bigint) IS NULL OR id < :before)
  AND (CAST(:subject AS text) IS NULL OR subject = :subject)
ORDER BY id DESC LIMIT :limit
""")


async def note(
    conn: AsyncConnection, *, actor: str, action: str, subject: str, detail: Mapping[str, object], now: datetime
) -> None:
    """Write down that ``actor`` did ``action`` to ``subject``. ``detail`` is JSON and must hold no secret."""
    values = {"actor": actor, "action": action, "subject": subject, "now": now}
    await conn.execute(_NOTE, values | {"detail": msgspec.json.encode(detail).decode()})


async def listing(
    conn: AsyncConnection, *, before: int | None = None, subject: str | None = None, limit: int
) -> list[Deed]:
    """The newest first; those older than the one of id ``before``."""
    values = {"before": before, "subject": subject, "limit": limit}
    return [Deed(*row) for row in (await conn.execute(_LISTING, values)).all()]
