"""The tables of who may do what, and of who did."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from bridge.store.tables.base import metadata, time

# The token itself is kept nowhere: ``digest`` is its SHA-256.
api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("scope", Text, nullable=False),
    time("created_at"),
    time("expires_at", nullable=True),
    time("revoked_at", nullable=True),
    time("used_at", nullable=True),
    CheckConstraint("scope IN ('read', 'operate', 'admin')", name="scope"),
    CheckConstraint("octet_length(digest) = 32", name="digest"),
)

# Nobody changes or deletes a row of it: Postgres refuses.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    time("at"),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
)

# What was answered to a request that named an idempotency key, for whom repeats it.
idempotency = Table(
    "idempotency",
    metadata,
    Column("actor", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request", LargeBinary, nullable=False),
    Column("status", Integer),
    Column("answer", LargeBinary),
    time("created_at"),
    Index("idempotency_created_at_idx", "created_at"),
)
