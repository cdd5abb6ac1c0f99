"""The tables of the main job: streams, events, the log, evidence and gaps, cursors and leases."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = """
CREATE FUNCTION log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only';
END $$;
"""
APPEND_ONLY_TRIGGER = """
CREATE TRIGGER log_is_append_only BEFORE UPDATE ON log
FOR EACH STATEMENT EXECUTE FUNCTION log_is_append_only();
"""
EVENTS_AS_JSON = """
CREATE VIEW events_json AS
SELECT streams.name AS stream, events.epoch, sequence, event_id, type, key, transport, occurred_at, received_at,
       encode(digest, 'hex') AS digest, convert_from(payload, 'UTF8')::json AS payload
FROM events JOIN streams ON streams.id = events.stream_id;
"""


def upgrade() -> None:
    op.create_table(
        "connections",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", name="connections_pkey"),
    )
    op.create_table(
        "destinations",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="active", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('active', 'stopped')", name=op.f("destinations_state_check")),
        sa.PrimaryKeyConstraint("id", name="destinations_pkey"),
        sa.UniqueConstraint("name", name="destinations_name_key"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="leases_pkey"),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "streams",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("numbering", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), server_default="1", nullable=False),
        sa.Column("base", sa.BigInteger(), nullable=True),
        sa.Column("frontier", sa.BigInteger(), nullable=True),
        sa.Column("head", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "chain", sa.LargeBinary(), server_default=sa.text("decode(repeat('00', 32), 'hex')"), nullable=False
        ),
        sa.Column("epoch_began_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("anchored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stalled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gaps_open", sa.Integer(), server_default="0", nullable=False),
        sa.Column("unmatched", sa.Integer(), server_default="0", nullable=False),
        sa.Column("settle_s", sa.Double(), nullable=False),
        sa.Column("mismatches", sa.Integer(), server_default="0", nullable=False),
        sa.Column("suspect_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("numbering IN ('venue', 'bridge')", name=op.f("streams_numbering_check")),
        sa.CheckConstraint(
            "frontier >= base AND (frontier IS NULL) = (base IS NULL)", name=op.f("streams_frontier_check")
        ),
        sa.CheckConstraint("octet_length(chain) = 32", name=op.f("streams_chain_check")),
        sa.CheckConstraint("position >= 0 AND epoch >= 1", name=op.f("streams_position_check")),
        sa.PrimaryKeyConstraint("id", name="streams_pkey"),
        sa.UniqueConstraint("name", name="streams_name_key"),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("destination_id", sa.Integer(), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("latency_max_ms", sa.Double(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("outcome IN ('accepted', 'refused', 'unknown')", name=op.f("attempts_outcome_check")),
        sa.CheckConstraint("first <= last AND entries > 0", name=op.f("attempts_run_check")),
        sa.ForeignKeyConstraint(["destination_id"], ["destinations.id"], name="attempts_destination_id_fkey"),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name="attempts_stream_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="attempts_pkey"),
    )
    op.create_index("attempts_destination_idx", "attempts", ["destination_id", "id"], unique=False)
    op.create_table(
        "cursors",
        sa.Column("destination_id", sa.Integer(), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("attempt", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint("position >= 0 AND failures >= 0", name=op.f("cursors_position_check")),
        sa.ForeignKeyConstraint(["destination_id"], ["destinations.id"], name="cursors_destination_id_fkey"),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name="cursors_stream_id_fkey"),
        sa.PrimaryKeyConstraint("destination_id", "stream_id", name="cursors_pkey"),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "events",
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("transport IN ('webhook', 'websocket', 'replay')", name=op.f("events_transport_check")),
        sa.CheckConstraint("sequence > 0", name=op.f("events_sequence_check")),
        sa.PrimaryKeyConstraint("stream_id", "epoch", "sequence", name="events_pkey"),
    )
    op.create_index("events_received_idx", "events", ["received_at"], unique=False, postgresql_using="brin")
    op.create_index(
        "events_replayed_id_idx",
        "events",
        ["stream_id", "event_id"],
        unique=False,
        postgresql_where=sa.text("transport = 'replay'"),
    )
    op.create_table(
        "evidence",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refuted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("verdict IN ('proof', 'loss')", name=op.f("evidence_verdict_check")),
        sa.CheckConstraint("first <= last", name=op.f("evidence_span_check")),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name="evidence_stream_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="evidence_pkey"),
    )
    op.create_index("evidence_span_idx", "evidence", ["stream_id", "epoch", "last"], unique=False)
    op.create_table(
        "gaps",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reads", sa.Integer(), server_default="0", nullable=False),
        sa.Column("withheld", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("found", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lost", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("healed_by", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name=op.f("gaps_closed_check")),
        sa.CheckConstraint(
            "state IN ('open', 'recovered', 'void', 'superseded', 'lost')", name=op.f("gaps_state_check")
        ),
        sa.CheckConstraint("first <= last", name=op.f("gaps_span_check")),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name="gaps_stream_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="gaps_pkey"),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("gaps_history_idx", "gaps", ["stream_id", "id"], unique=False)
    op.create_index(
        "gaps_open_idx",
        "gaps",
        ["stream_id", "epoch", "first"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "heard",
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name="heard_stream_id_fkey"),
        sa.PrimaryKeyConstraint("stream_id", "transport", name="heard_pkey"),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "log",
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("appended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("chain", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('event', 'gap', 'late', 'recovered', 'conflict', 'epoch') AND (kind IN ('event', 'late', 'recovered')) = (sequence IS NOT NULL) AND (sequence IS NULL) = (data IS NOT NULL)",
            name=op.f("log_kind_check"),
        ),
        sa.CheckConstraint("position > 0 AND octet_length(chain) = 32", name=op.f("log_position_check")),
        sa.PrimaryKeyConstraint("stream_id", "position", name="log_pkey"),
    )
    op.create_index(
        "log_once_idx",
        "log",
        ["stream_id", "epoch", "sequence"],
        unique=True,
        postgresql_where=sa.text("sequence IS NOT NULL"),
    )
    op.create_table(
        "sightings",
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name="sightings_stream_id_fkey"),
        sa.PrimaryKeyConstraint("stream_id", "event_id", name="sightings_pkey"),
    )
    op.create_index(
        "sightings_unmatched_idx",
        "sightings",
        ["stream_id", "received_at"],
        unique=False,
        postgresql_where=sa.text("sequence IS NULL"),
    )
    op.create_table(
        "sweeps",
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rung", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("kind IN ('tail', 'audit')", name=op.f("sweeps_kind_check")),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name="sweeps_stream_id_fkey"),
        sa.PrimaryKeyConstraint("stream_id", "kind", name="sweeps_pkey"),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "variants",
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("held", sa.Boolean(), server_default="false", nullable=False),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name="variants_stream_id_fkey"),
        sa.PrimaryKeyConstraint("stream_id", "epoch", "sequence", "content", name="variants_pkey"),
    )
    op.execute(APPEND_ONLY)
    op.execute(APPEND_ONLY_TRIGGER)
    op.execute(EVENTS_AS_JSON)


def downgrade() -> None:
    op.execute("DROP VIEW events_json")
    op.execute("DROP TRIGGER log_is_append_only ON log")
    op.execute("DROP FUNCTION log_is_append_only()")
    op.drop_table("variants")
    op.drop_table("sweeps")
    op.drop_index("sightings_unmatched_idx", table_name="sightings", postgresql_where=sa.text("sequence IS NULL"))
    op.drop_table("sightings")
    op.drop_index("log_once_idx", table_name="log", postgresql_where=sa.text("sequence IS NOT NULL"))
    op.drop_table("log")
    op.drop_table("heard")
    op.drop_index("gaps_open_idx", table_name="gaps", postgresql_where=sa.text("state = 'open'"))
    op.drop_index("gaps_history_idx", table_name="gaps")
    op.drop_table("gaps")
    op.drop_index("evidence_span_idx", table_name="evidence")
    op.drop_table("evidence")
    op.drop_index("events_replayed_id_idx", table_name="events", postgresql_where=sa.text("transport = 'replay'"))
    op.drop_index("events_received_idx", table_name="events", postgresql_using="brin")
    op.drop_table("events")
    op.drop_table("cursors")
    op.drop_index("attempts_destination_idx", table_name="attempts")
    op.drop_table("attempts")
    op.drop_table("streams")
    op.drop_table("leases")
    op.drop_table("destinations")
    op.drop_table("connections")
