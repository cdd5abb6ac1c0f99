"""What each hour of a stream came to, so that a report reads hours and no events."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COUNTS = (
    *("webhook", "websocket", "replay", "first_webhook", "first_websocket", "first_replay"),
    *("events", "gaps", "late", "recovered", "conflicts"),
)


def upgrade() -> None:
    op.add_column("streams", sa.Column("void", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("streams", sa.Column("lost", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "hours",
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTS),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("frontier", sa.BigInteger(), nullable=True),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("chain", sa.LargeBinary(), nullable=False),
        sa.Column("void", sa.BigInteger(), nullable=False),
        sa.Column("lost", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name=op.f("hours_stream_id_fkey")),
        sa.PrimaryKeyConstraint("stream_id", "hour", name=op.f("hours_pkey")),
        postgresql_with={"fillfactor": "50"},
    )


def downgrade() -> None:
    op.drop_table("hours")
    op.drop_column("streams", "lost")
    op.drop_column("streams", "void")
