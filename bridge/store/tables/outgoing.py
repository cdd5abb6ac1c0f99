"""The tables of what goes out: destinations, how far each has acknowledged, and what was tried."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE, JSONB

from bridge.store.tables.base import metadata, stream, time

# ``origin`` says whether the file or the API speaks for it. ``policy`` holds what may be shown, ``sealed`` the URL
# and the secrets, encrypted; nothing is sealed for a destination of the file. ``version`` grows with every change.
destinations = Table(
    "destinations",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False, server_default="active"),
    Column("reason", Text),
    Column("origin", Text, nullable=False, server_default="file"),
    Column("policy", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("sealed", LargeBinary),
    Column("version", BigInteger, nullable=False, server_default="0"),
    time("changed_at"),
    CheckConstraint("state IN ('active', 'paused', 'stopped')", name="state"),
    CheckConstraint("origin IN ('file', 'api')", name="origin"),
    CheckConstraint("origin = 'file' OR sealed IS NOT NULL", name="sealed"),
)

# How far a destination has acknowledged a stream. Claimed by moving ``due_at`` to the end of a lease;
# ``attempt`` is the fence. ``sent`` is the last position that was accepted; ``ahead`` are the accepted positions
# above ``position``. What was deleted before it was delivered is told from ``expired_first`` on.
cursors = Table(
    "cursors",
    metadata,
    Column("destination_id", Integer, ForeignKey("destinations.id", ondelete="CASCADE"), primary_key=True),
    stream(primary_key=True),
    Column("position", BigInteger, nullable=False, server_default="0"),
    Column("sent", BigInteger, nullable=False, server_default="0"),
    Column("ahead", INT8MULTIRANGE, nullable=False, server_default=text("'{}'::int8multirange")),
    Column("expired_first", BigInteger),
    Column("expired_last", BigInteger),
    Column("checkpoint_position", BigInteger, nullable=False, server_default="0"),
    time("checkpoint_at", nullable=True),
    Column("attempt", BigInteger, nullable=False, server_default="0"),
    time("due_at"),
    Column("failures", Integer, nullable=False, server_default="0"),
    time("failing_since", nullable=True),
    Column("last_error", Text),
    CheckConstraint("position >= 0 AND failures >= 0", name="position"),
    CheckConstraint("(expired_first IS NULL) = (expired_last IS NULL)", name="expired"),
    postgresql_with={"fillfactor": "50"},
)

# The history of deliveries: one row per failed attempt, one per run of successes.
attempts = Table(
    "attempts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("destination_id", Integer, ForeignKey("destinations.id", ondelete="CASCADE"), nullable=False),
    stream(),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("latency_max_ms", Double, nullable=False),
    time("started_at"),
    time("ended_at"),
    CheckConstraint("outcome IN ('accepted', 'refused', 'unknown')", name="outcome"),
    CheckConstraint("first <= last AND entries > 0", name="run"),
    Index("attempts_destination_idx", "destination_id", "id"),
)

# Entries that a destination did not take and was not waited for: each until somebody redelivers or discards it.
parked = Table(
    "parked",
    metadata,
    Column("destination_id", Integer, ForeignKey("destinations.id", ondelete="CASCADE"), primary_key=True),
    stream(primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False, server_default="parked"),
    Column("attempts", Integer, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    time("parked_at"),
    time("ended_at", nullable=True),
    Column("ended_by", Text),
    Column("reason", Text),
    CheckConstraint("state IN ('parked', 'due', 'redelivered', 'discarded')", name="state"),
    Index("parked_due_idx", "destination_id", postgresql_where=text("state = 'due'")),
)
