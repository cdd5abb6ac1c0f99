"""Up to which number everything was told and is forgotten: a later telling of one below it is no news."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("streams", sa.Column("forgotten_epoch", sa.Integer(), server_default="1", nullable=False))
    op.add_column("streams", sa.Column("forgotten_below", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("streams", "forgotten_below")
    op.drop_column("streams", "forgotten_epoch")
