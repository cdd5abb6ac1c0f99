"""What each hour of a destination came to, and reports as they are kept and sent."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COUNTS = ("delivered", "first_try", "attempts", "failed", "parked", "expired")


def upgrade() -> None:
    op.create_table(
        "delivery_hours",
        sa.Column("destination_id", sa.Integer(), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTS),
        sa.Column("latency", ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("chain", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["destination_id", "stream_id"],
            ["cursors.destination_id", "cursors.stream_id"],
            name=op.f("delivery_hours_destination_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("destination_id", "stream_id", "hour", name=op.f("delivery_hours_pkey")),
        postgresql_with={"fillfactor": "50"},
    )
    op.execute("""
        INSERT INTO delivery_hours (destination_id, stream_id, hour, delivered, first_try, attempts, failed, parked,
            expired, latency, position, chain)
        SELECT c.destination_id, c.stream_id, date_trunc('hour', now(), 'UTC'), 0, 0, 0, 0, 0, 0, '{}', c.position, l.chain
        FROM cursors c LEFT JOIN log l ON l.stream_id = c.stream_id AND l.position = c.position
    """)
    op.create_table(
        "reports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("reports_pkey")),
        sa.UniqueConstraint("since", "until", name=op.f("reports_since_until_key")),
    )
    op.create_table(
        "report_notices",
        sa.Column("report_id", sa.BigInteger(), nullable=False),
        sa.Column("destination_id", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["report_id"], ["reports.id"], name=op.f("report_notices_report_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["destination_id"],
            ["destinations.id"],
            name=op.f("report_notices_destination_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("report_id", "destination_id", name=op.f("report_notices_pkey")),
    )
    op.create_index(
        "report_notices_due_idx", "report_notices", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_table("report_notices")
    op.drop_table("reports")
    op.drop_table("delivery_hours")
