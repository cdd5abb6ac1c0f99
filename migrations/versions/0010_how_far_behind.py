"""How far a frontier stood behind in an hour, what a snapshot stands for, and where the log tells of a loss."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The log is large and never rests: its index is built beside the writers. A build that was cut off leaves one that
    # Postgres does not use.
    with op.get_context().autocommit_block():
        op.drop_index("log_gaps_idx", "log", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            "log_gaps_idx",
            "log",
            ["stream_id", "position"],
            postgresql_where=sa.text("kind = 'gap'"),
            postgresql_concurrently=True,
        )
    op.add_column("hours", sa.Column("superseded", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("hours", sa.Column("lag_ms", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("hours", sa.Column("behind_since", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_index("log_gaps_idx", "log")
    op.drop_column("hours", "behind_since")
    op.drop_column("hours", "lag_ms")
    op.drop_column("hours", "superseded")
