"""The tables of what comes in: streams, events and their log, evidence and gaps, and who hears whom."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from bridge.store.tables.base import locked_stream, metadata, stream, time

HOURLY = (
    *("webhook", "websocket", "replay", "first_webhook", "first_websocket", "first_replay"),
    *("events", "gaps", "late", "recovered", "conflicts"),
)
"""What is counted by the hour: tellings by transport, those that were the first, and entries of the log by kind."""

# One row per stream: its lock is what orders the log. Updated with every batch, so it has no index but its keys.
# Retention has deleted the log up to ``forgotten``; all its numbers are below ``forgotten_below`` in
# ``forgotten_epoch``, or in an epoch before.
streams = Table(
    "streams",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("source", Text, nullable=False),
    Column("numbering", Text, nullable=False),
    Column("epoch", Integer, nullable=False, server_default="1"),
    Column("base", BigInteger),
    Column("frontier", BigInteger),
    Column("head", BigInteger, nullable=False, server_default="0"),
    Column("position", BigInteger, nullable=False, server_default="0"),
    Column("chain", LargeBinary, nullable=False, server_default=text(r"decode(repeat('00', 32), 'hex')")),
    Column("forgotten", BigInteger, nullable=False, server_default="0"),
    Column("forgotten_chain", LargeBinary, nullable=False, server_default=text(r"decode(repeat('00', 32), 'hex')")),
    Column("void", BigInteger, nullable=False, server_default="0"),
    Column("lost", BigInteger, nullable=False, server_default="0"),
    Column("forgotten_epoch", Integer, nullable=False, server_default="1"),
    Column("forgotten_below", BigInteger, nullable=False, server_default="0"),
    time("epoch_began_at", nullable=True),
    time("anchored_at", nullable=True),
    time("stalled_at", nullable=True),
    Column("gaps_open", Integer, nullable=False, server_default="0"),
    Column("unmatched", Integer, nullable=False, server_default="0"),
    Column("settle_s", Double, nullable=False),
    Column("mismatches", Integer, nullable=False, server_default="0"),
    time("suspect_at", nullable=True),
    CheckConstraint("numbering IN ('venue', 'bridge')", name="numbering"),
    CheckConstraint("octet_length(chain) = 32", name="chain"),
    CheckConstraint("frontier >= base AND (frontier IS NULL) = (base IS NULL)", name="frontier"),
    CheckConstraint("position >= 0 AND epoch >= 1", name="position"),
    postgresql_with={"fillfactor": "50"},
)

events = Table(
    "events",
    metadata,
    locked_stream(),
    Column("epoch", Integer, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("transport", Text, nullable=False),
    time("occurred_at", nullable=True),
    time("received_at"),
    Column("digest", LargeBinary, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    CheckConstraint("transport IN ('webhook', 'websocket', 'replay')", name="transport"),
    CheckConstraint("sequence > 0", name="sequence"),
    # A delivery without a number is matched by id, and only where its numbered twin was heard by replay first.
    # Next to free; for what is looked up by the time of hearing.
    Index("events_received_idx", "received_at", postgresql_using="brin"),
    Index("events_replayed_id_idx", "stream_id", "event_id", postgresql_where=text("transport = 'replay'")),
)

# Append-only: a trigger refuses UPDATE. The bridge's own entries carry their data here; a venue's is in events.
log = Table(
    "log",
    metadata,
    locked_stream(),
    Column("position", BigInteger, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("sequence", BigInteger),
    time("appended_at"),
    Column("chain", LargeBinary, nullable=False),
    Column("data", LargeBinary),
    CheckConstraint(
        "kind IN ('event', 'gap', 'late', 'recovered', 'conflict', 'epoch')"
        " AND (kind IN ('event', 'late', 'recovered')) = (sequence IS NOT NULL)"
        " AND (sequence IS NULL) = (data IS NOT NULL)",
        name="kind",
    ),
    CheckConstraint("position > 0 AND octet_length(chain) = 32", name="position"),
    Index(
        "log_once_idx",
        "stream_id",
        "epoch",
        "sequence",
        unique=True,
        postgresql_where=text("sequence IS NOT NULL"),
    ),
    # What is missing is looked for by whoever reports, among millions of entries that tell of nothing.
    Index("log_gaps_idx", "stream_id", "position", postgresql_where=text("kind = 'gap'")),
)

# What proves a stretch complete (proof) or gone for good (loss). ``last`` is inclusive.
evidence = Table(
    "evidence",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    stream(),
    Column("epoch", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    time("recorded_at"),
    time("refuted_at", nullable=True),
    CheckConstraint("verdict IN ('proof', 'loss')", name="verdict"),
    CheckConstraint("first <= last", name="span"),
    Index("evidence_span_idx", "stream_id", "epoch", "last"),
)

gaps = Table(
    "gaps",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    stream(),
    Column("epoch", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    time("opened_at"),
    time("due_at"),
    time("deadline_at", nullable=True),
    Column("reads", Integer, nullable=False, server_default="0"),
    Column("withheld", Text),
    time("closed_at", nullable=True),
    Column("found", BigInteger, nullable=False, server_default="0"),
    Column("lost", BigInteger, nullable=False, server_default="0"),
    Column("healed_by", Text),
    # What ``first`` and ``last`` count: the venue's numbers, or milliseconds since 1970.
    Column("axis", Text, nullable=False, server_default="sequence"),
    CheckConstraint("axis IN ('sequence', 'time')", name="axis"),
    CheckConstraint("state IN ('open', 'recovered', 'void', 'superseded', 'lost')", name="state"),
    CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed"),
    CheckConstraint("first <= last", name="span"),
    Index("gaps_open_idx", "stream_id", "epoch", "first", unique=True, postgresql_where=text("state = 'open'")),
    Index("gaps_history_idx", "stream_id", "id"),
    postgresql_with={"fillfactor": "70"},
)

# Other content for a number that is stored already: kept, told as a conflict, never mixed with the first.
variants = Table(
    "variants",
    metadata,
    stream(primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("content", LargeBinary, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("transport", Text, nullable=False),
    time("occurred_at", nullable=True),
    time("received_at"),
    Column("digest", LargeBinary, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("held", Boolean, nullable=False, server_default="false"),
)

# A delivery that carried no number: durable by its id until the numbered row turns up.
sightings = Table(
    "sightings",
    metadata,
    stream(primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("transport", Text, nullable=False),
    time("received_at"),
    Column("payload", LargeBinary, nullable=False),
    Column("epoch", Integer),
    Column("sequence", BigInteger),
    time("reported_at", nullable=True),
    Index("sightings_unmatched_idx", "stream_id", "received_at", postgresql_where=text("sequence IS NULL")),
)

# How often each transport told of an event of the stream, and how often it was the first to.
heard = Table(
    "heard",
    metadata,
    stream(primary_key=True),
    Column("transport", Text, primary_key=True),
    Column("events", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    time("last_at"),
    postgresql_with={"fillfactor": "50"},
)

# What an hour of a stream came to, by the bridge's clock: counts of that hour, and the stream as the hour left it.
# One row for each hour in which something was stored, so that a report reads hours and no events.
hours = Table(
    "hours",
    metadata,
    stream(primary_key=True),
    Column("hour", DateTime(timezone=True), primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in HOURLY),
    Column("epoch", Integer, nullable=False),
    Column("frontier", BigInteger),
    Column("head", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("chain", LargeBinary, nullable=False),
    Column("void", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),
    # Of the gaps, those that a snapshot stands for. How far the frontier stood behind, and since when it still does.
    Column("superseded", BigInteger, nullable=False, server_default="0"),
    Column("lag_ms", BigInteger, nullable=False, server_default="0"),
    time("behind_since", nullable=True),
    # Few hours hold anything that alerts: these are found without the others.
    Index("hours_remarks_idx", "hour", postgresql_where=text("gaps > 0 OR late > 0 OR conflicts > 0")),
    postgresql_with={"fillfactor": "50"},
)

# A stream that the bridge numbers: what its channel is declared to be, and how far in venue time it is complete.
follows = Table(
    "follows",
    metadata,
    stream(primary_key=True),
    Column("model", Text, nullable=False),
    Column("repair", Text, nullable=False),
    Column("reach", Text, nullable=False, server_default=""),
    Column("unnoticed", Text),
    time("settled_until", nullable=True),
    Column("last_number", BigInteger),
    Column("state", Text, nullable=False, server_default="connecting"),
    Column("detail", Text, nullable=False, server_default=""),
    Column("dropped", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("state IN ('connecting', 'subscribed', 'unsubscribed', 'refused')", name="state"),
    postgresql_with={"fillfactor": "50"},
)

# When the sweeps of a stream are due. Ringing the bell moves ``due_at`` to now and counts ``rung``.
sweeps = Table(
    "sweeps",
    metadata,
    stream(primary_key=True),
    Column("kind", Text, primary_key=True),
    time("due_at"),
    Column("rung", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("kind IN ('tail', 'audit')", name="kind"),
    postgresql_with={"fillfactor": "50"},
)

# Who may do what only one may do at a time. ``fence`` grows with every change of holder.
leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    time("until"),
    postgresql_with={"fillfactor": "50"},
)

# What a listener last said of its connection, for people.
connections = Table(
    "connections",
    metadata,
    Column("source", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("detail", Text, nullable=False, server_default=""),
    time("changed_at"),
)
