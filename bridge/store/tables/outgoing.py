"""The tables of what goes out: destinations, how far each has acknowledged, and what was tried."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Double, ForeignKey, Identity, Index, Integer, Table, Text

from bridge.store.tables.base import metadata, stream, time

destinations = Table(
    "destinations",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False, server_default="active"),
    Column("reason", Text),
    time("changed_at"),
    CheckConstraint("state IN ('active', 'stopped')", name="state"),
)

# How far a destination has acknowledged a stream. Claimed by moving ``due_at`` to the end of a lease;
# ``attempt`` is the fence.
cursors = Table(
    "cursors",
    metadata,
    Column("destination_id", Integer, ForeignKey("destinations.id"), primary_key=True),
    stream(primary_key=True),
    Column("position", BigInteger, nullable=False, server_default="0"),
    Column("attempt", BigInteger, nullable=False, server_default="0"),
    time("due_at"),
    Column("failures", Integer, nullable=False, server_default="0"),
    time("failing_since", nullable=True),
    Column("last_error", Text),
    CheckConstraint("position >= 0 AND failures >= 0", name="position"),
    postgresql_with={"fillfactor": "50"},
)

# The history of deliveries: one row per failed attempt, one per run of successes.
attempts = Table(
    "attempts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("destination_id", Integer, ForeignKey("destinations.id"), nullable=False),
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
