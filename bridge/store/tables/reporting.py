"""The tables of what is reported: what each hour of a destination came to, and the reports that are kept and sent."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from bridge.store.tables.base import metadata, time

DELIVERIES = ("delivered", "first_try", "attempts", "failed", "parked", "expired")

# Counts of the hour, and how far the cursor was when it was counted last. It hangs on the cursor, which whoever
# counts has locked, and not on the destination, which whoever deletes it locks first.
delivery_hours = Table(
    "delivery_hours",
    metadata,
    Column("destination_id", Integer, primary_key=True, autoincrement=False),
    Column("stream_id", Integer, primary_key=True, autoincrement=False),
    Column("hour", DateTime(timezone=True), primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in DELIVERIES),
    Column("latency", ARRAY(BigInteger), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("chain", LargeBinary),
    ForeignKeyConstraint(
        ["destination_id", "stream_id"], ["cursors.destination_id", "cursors.stream_id"], ondelete="CASCADE"
    ),
    postgresql_with={"fillfactor": "50"},
)

# ``body`` is the report's JSON, compressed. What was made is kept as it was: it is what somebody signed.
reports = Table(
    "reports",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    time("since"),
    time("until"),
    time("made_at"),
    Column("digest", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("since", "until"),
)

# Who is to be told of a report. Claimed by moving ``due_at``; without one it is told, or was given up.
report_notices = Table(
    "report_notices",
    metadata,
    Column("report_id", BigInteger, ForeignKey("reports.id", ondelete="CASCADE"), primary_key=True),
    Column("destination_id", Integer, ForeignKey("destinations.id", ondelete="CASCADE"), primary_key=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    time("due_at", nullable=True),
    time("told_at", nullable=True),
    Column("error", Text),
    Index("report_notices_due_idx", "due_at", postgresql_where=text("due_at IS NOT NULL")),
)
