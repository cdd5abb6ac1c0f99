"""API tokens: who may do how much, until when. The token itself is kept nowhere, only its SHA-256."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

PREFIX = "bridge_"
TOKEN_BYTES = 32
TOKENS_MAX = 1_000
USED_EVERY_S = 60


class Scope(StrEnum):
    """How much a caller may do; each includes those before it."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"

    def covers(self, needed: "Scope") -> bool:
        order = list(Scope)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token."""

    id: int
    name: str
    scope: Scope
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None
    digest: bytes = field(repr=False)

    def is_good(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


_COLUMNS = "id, name, scope, created_at, expires_at, revoked_at, used_at, digest"

_CREATE = text("""
INSERT INTO api_tokens (name, digest, scope, created_at, expires_at)
SELECT :name, :digest, :scope, :now, :expires_at WHERE (SELECT count(*) FROM api_tokens) < :tokens_max
ON CONFLICT (name) DO NOTHING RETURNING id
""")

_LISTING = text(f"SELECT {_COLUMNS} FROM api_tokens ORDER BY name LIMIT :limit")

_REVOKE = text("UPDATE api_tokens SET revoked_at = :now WHERE name = :name AND revoked_at IS NULL")

_USED = text("UPDATE api_tokens SET used_at = :now WHERE id = :id AND (used_at IS NULL OR used_at <= :before)")


def new_token() -> str:
    """A token that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def digest_of(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


async def create(
    conn: AsyncConnection, *, name: str, token: str, scope: Scope, expires_at: datetime | None, now: datetime
) -> bool:
    """Let the bearer of ``token`` in. False: there is one of this name, or there are ``TOKENS_MAX`` already."""
    values = {"name": name, "digest": digest_of(token.encode()), "scope": scope.value, "now": now}
    made = await conn.execute(_CREATE, values | {"expires_at": expires_at, "tokens_max": TOKENS_MAX})
    return made.scalar_one_or_none() is not None


async def listing(conn: AsyncConnection) -> list[Token]:
    """All of them by name, also those that are over."""
    rows = (await conn.execute(_LISTING, {"limit": TOKENS_MAX})).mappings().all()
    return [Token(**{**row, "scope": Scope(row["scope"])}) for row in rows]


async def revoke(conn: AsyncConnection, name: str, *, now: datetime) -> bool:
    """Let its bearer in no more. False: there is none of this name, or it was revoked before."""
    return (await conn.execute(_REVOKE, {"name": name, "now": now})).rowcount > 0


async def used(conn: AsyncConnection, token_id: int, *, now: datetime) -> None:
    """Note that the token was used; once in ``USED_EVERY_S``, however often it is."""
    await conn.execute(_USED, {"id": token_id, "now": now, "before": now - timedelta(seconds=USED_EVERY_S)})
