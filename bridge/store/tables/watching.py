"""The tables of what people are told of unasked: alerts, the notices of them, and who wants none for a while."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from bridge.store.tables.base import metadata, time

SEVERITY = "severity IN ('warning', 'critical')"

# A condition from when it began until it was over. One that counts entries of the log has counted the hours up to
# ``seen_hour``, and ``seen`` of that hour. ``noticed_*`` is what the last notice of it said,
# and before ``hold_until`` there is none.
alerts = Table(
    "alerts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("rule", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("figures", JSONB, nullable=False),
    Column("count", BigInteger, nullable=False, server_default="0"),
    time("seen_hour", nullable=True),
    Column("seen", BigInteger, nullable=False, server_default="0"),
    time("first_at"),
    time("last_at"),
    time("noticed_at", nullable=True),
    Column("noticed_severity", Text),
    Column("noticed_count", BigInteger, nullable=False, server_default="0"),
    time("hold_until", nullable=True),
    time("resolved_at", nullable=True),
    CheckConstraint(SEVERITY, name="severity"),
    CheckConstraint("(noticed_at IS NULL) = (noticed_severity IS NULL)", name="noticed"),
    Index("alerts_open_idx", "rule", "subject", unique=True, postgresql_where=text("resolved_at IS NULL")),
    Index("alerts_history_idx", "rule", "subject", "id"),
    postgresql_with={"fillfactor": "70"},
)

# What is to be said on one channel, once: it waits until it was told, or given up. ``attempts`` is the fence.
notices = Table(
    "notices",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("alert_id", BigInteger, ForeignKey("alerts.id", ondelete="CASCADE")),
    Column("channel", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("message", JSONB, nullable=False),
    time("decided_at"),
    time("due_at"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    time("told_at", nullable=True),
    time("given_up_at", nullable=True),
    Column("error", Text),
    CheckConstraint("kind IN ('firing', 'worse', 'again', 'resolved', 'summary')", name="kind"),
    CheckConstraint("(alert_id IS NULL) = (kind = 'summary')", name="alert"),
    CheckConstraint("told_at IS NULL OR given_up_at IS NULL", name="end"),
    Index(
        "notices_waiting_idx",
        "channel",
        "due_at",
        postgresql_where=text("told_at IS NULL AND given_up_at IS NULL"),
    ),
    Index("notices_alert_idx", "alert_id", "channel", "id"),
    Index("notices_decided_idx", "decided_at"),
    postgresql_with={"fillfactor": "70"},
)

# Until ``until``, or until somebody ended it, nothing that fits both globs is told of.
silences = Table(
    "silences",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("rule", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("reason", Text, nullable=False),
    time("made_at"),
    Column("made_by", Text, nullable=False),
    time("until"),
    time("ended_at", nullable=True),
    Column("ended_by", Text),
    CheckConstraint("until > made_at", name="until"),
    CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="ended"),
    Index("silences_until_idx", "until", postgresql_where=text("ended_at IS NULL")),
)
