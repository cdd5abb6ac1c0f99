"""Destinations that the API makes, what they parked and what was kept from them; tokens, and who did what."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ZEROS = sa.text(r"decode(repeat('00', 32), 'hex')")

APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$
"""


def upgrade() -> None:
    _destinations()
    _cursors()
    _parked()
    op.add_column("streams", sa.Column("forgotten", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("streams", sa.Column("forgotten_chain", sa.LargeBinary(), server_default=ZEROS, nullable=False))
    _access()


def _destinations() -> None:
    op.add_column("destinations", sa.Column("origin", sa.Text(), server_default="file", nullable=False))
    op.add_column(
        "destinations",
        sa.Column("policy", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
    )
    op.add_column("destinations", sa.Column("sealed", sa.LargeBinary(), nullable=True))
    op.add_column("destinations", sa.Column("version", sa.BigInteger(), server_default="0", nullable=False))
    op.drop_constraint("destinations_state_check", "destinations")
    op.create_check_constraint(
        op.f("destinations_state_check"), "destinations", "state IN ('active', 'paused', 'stopped')"
    )
    op.create_check_constraint(op.f("destinations_origin_check"), "destinations", "origin IN ('file', 'api')")
    op.create_check_constraint(
        op.f("destinations_sealed_check"), "destinations", "origin = 'file' OR sealed IS NOT NULL"
    )
    for table in ("cursors", "attempts"):
        op.drop_constraint(f"{table}_destination_id_fkey", table)
        op.create_foreign_key(
            f"{table}_destination_id_fkey", table, "destinations", ["destination_id"], ["id"], ondelete="CASCADE"
        )


def _cursors() -> None:
    op.add_column("cursors", sa.Column("sent", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column(
        "cursors",
        sa.Column(
            "ahead", postgresql.INT8MULTIRANGE(), server_default=sa.text("'{}'::int8multirange"), nullable=False
        ),
    )
    op.add_column("cursors", sa.Column("expired_first", sa.BigInteger(), nullable=True))
    op.add_column("cursors", sa.Column("expired_last", sa.BigInteger(), nullable=True))
    op.add_column("cursors", sa.Column("checkpoint_position", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("cursors", sa.Column("checkpoint_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("cursors_expired_check"), "cursors", "(expired_first IS NULL) = (expired_last IS NULL)"
    )
    op.execute("""
        UPDATE cursors c SET sent = coalesce((
            SELECT a.last FROM attempts a
            WHERE a.destination_id = c.destination_id AND a.stream_id = c.stream_id AND a.outcome = 'accepted'
            ORDER BY a.id DESC LIMIT 1), 0)
    """)


def _parked() -> None:
    op.create_table(
        "parked",
        sa.Column("destination_id", sa.Integer(), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), server_default="parked", nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('parked', 'due', 'redelivered', 'discarded')", name=op.f("parked_state_check")),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["destinations.id"], name="parked_destination_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name="parked_stream_id_fkey"),
        sa.PrimaryKeyConstraint("destination_id", "stream_id", "position", name="parked_pkey"),
    )
    op.create_index("parked_due_idx", "parked", ["destination_id"], postgresql_where=sa.text("state = 'due'"))


def _access() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("scope IN ('read', 'operate', 'admin')", name=op.f("api_tokens_scope_check")),
        sa.CheckConstraint("octet_length(digest) = 32", name=op.f("api_tokens_digest_check")),
        sa.PrimaryKeyConstraint("id", name="api_tokens_pkey"),
        sa.UniqueConstraint("name", name="api_tokens_name_key"),
        sa.UniqueConstraint("digest", name="api_tokens_digest_key"),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="audit_pkey"),
    )
    op.execute(APPEND_ONLY)
    op.execute(
        "CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.create_table(
        "idempotency",
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("actor", "key", name="idempotency_pkey"),
    )
    op.create_index("idempotency_created_at_idx", "idempotency", ["created_at"])


def downgrade() -> None:
    for table in ("idempotency", "audit", "api_tokens", "parked"):
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_change()")
    op.drop_column("streams", "forgotten_chain")
    op.drop_column("streams", "forgotten")
    op.drop_constraint("cursors_expired_check", "cursors")
    for column in ("checkpoint_at", "checkpoint_position", "expired_last", "expired_first", "ahead", "sent"):
        op.drop_column("cursors", column)
    for table in ("cursors", "attempts"):
        op.drop_constraint(f"{table}_destination_id_fkey", table)
        op.create_foreign_key(f"{table}_destination_id_fkey", table, "destinations", ["destination_id"], ["id"])
    op.execute("DELETE FROM cursors c USING destinations d WHERE d.id = c.destination_id AND d.origin = 'api'")
    op.execute("DELETE FROM attempts a USING destinations d WHERE d.id = a.destination_id AND d.origin = 'api'")
    op.execute("DELETE FROM destinations WHERE origin = 'api'")
    op.execute("UPDATE destinations SET state = 'stopped' WHERE state = 'paused'")
    for check in ("sealed", "origin", "state"):
        op.drop_constraint(f"destinations_{check}_check", "destinations")
    op.create_check_constraint(op.f("destinations_state_check"), "destinations", "state IN ('active', 'stopped')")
    for column in ("version", "sealed", "policy", "origin"):
        op.drop_column("destinations", column)
