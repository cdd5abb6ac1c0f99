"""What a venue was asked: the reads that concern gaps, and the passes of the audit."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _count(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def _number(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger(), nullable=True)


def upgrade() -> None:
    op.create_table(
        "reads",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        _time("at"),
        sa.Column("why", sa.Text(), nullable=False),
        *(_number(name) for name in ("since", "upto", "reached")),
        sa.Column("pages", sa.Integer(), server_default="0", nullable=False),
        *(_count(name) for name in ("rows", "fresh")),
        *(_number(name) for name in ("proven_first", "proven_last")),
        sa.Column("withheld", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(proven_first IS NULL) = (proven_last IS NULL) AND proven_first <= proven_last",
            name=op.f("reads_proven_check"),
        ),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name=op.f("reads_stream_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("reads_pkey")),
    )
    op.create_index("reads_history_idx", "reads", ["stream_id", "at", "id"])
    _audits()


def _audits() -> None:
    op.create_table(
        "audits",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        _time("began_at"),
        _time("ended_at", nullable=True),
        *(_number(name) for name in ("first", "last")),
        sa.Column("pages", sa.Integer(), server_default="0", nullable=False),
        *(_count(name) for name in ("rows", "fresh", "conflicts", "unlisted")),
        sa.Column("named", JSONB(), server_default="{}", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("why IN ('sweep', 'asked')", name=op.f("audits_why_check")),
        sa.CheckConstraint("first <= last", name=op.f("audits_span_check")),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name=op.f("audits_stream_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("audits_pkey")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(
        "audits_open_idx", "audits", ["stream_id", "why"], unique=True, postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_index("audits_history_idx", "audits", ["stream_id", "id"])
    op.create_index("audits_ended_idx", "audits", ["stream_id", "ended_at"])
    op.create_index(
        "audits_differing_idx",
        "audits",
        ["ended_at"],
        postgresql_where=sa.text("fresh > 0 OR conflicts > 0 OR unlisted > 0"),
    )


def downgrade() -> None:
    op.drop_table("audits")
    op.drop_table("reads")
