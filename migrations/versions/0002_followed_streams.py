"""Streams that the bridge numbers itself: what is declared of their channels, and how far in time they are complete."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "follows",
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("repair", sa.Text(), nullable=False),
        sa.Column("reach", sa.Text(), server_default="", nullable=False),
        sa.Column("unnoticed", sa.Text(), nullable=True),
        sa.Column("settled_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_number", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), server_default="connecting", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("dropped", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "state IN ('connecting', 'subscribed', 'unsubscribed', 'refused')", name=op.f("follows_state_check")
        ),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name="follows_stream_id_fkey"),
        sa.PrimaryKeyConstraint("stream_id", name="follows_pkey"),
        postgresql_with={"fillfactor": "50"},
    )
    op.add_column("gaps", sa.Column("axis", sa.Text(), server_default="sequence", nullable=False))
    op.create_check_constraint(op.f("gaps_axis_check"), "gaps", "axis IN ('sequence', 'time')")


def downgrade() -> None:
    op.drop_constraint("gaps_axis_check", "gaps")
    op.drop_column("gaps", "axis")
    op.drop_table("follows")
