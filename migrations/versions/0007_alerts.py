"""What people are told of unasked: alerts, notices of them, and silences."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("figures", JSONB(), nullable=False),
        sa.Column("count", sa.BigInteger(), server_default="0", nullable=False),
        _time("seen_hour", nullable=True),
        sa.Column("seen", sa.BigInteger(), server_default="0", nullable=False),
        _time("first_at"),
        _time("last_at"),
        _time("noticed_at", nullable=True),
        sa.Column("noticed_severity", sa.Text(), nullable=True),
        sa.Column("noticed_count", sa.BigInteger(), server_default="0", nullable=False),
        _time("hold_until", nullable=True),
        _time("resolved_at", nullable=True),
        sa.CheckConstraint("severity IN ('warning', 'critical')", name=op.f("alerts_severity_check")),
        sa.CheckConstraint("(noticed_at IS NULL) = (noticed_severity IS NULL)", name=op.f("alerts_noticed_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("alerts_pkey")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(
        "alerts_open_idx", "alerts", ["rule", "subject"], unique=True, postgresql_where=sa.text("resolved_at IS NULL")
    )
    op.create_index("alerts_history_idx", "alerts", ["rule", "subject", "id"])
    _notices()
    _silences()
    op.create_index(
        "hours_remarks_idx", "hours", ["hour"], postgresql_where=sa.text("gaps > 0 OR late > 0 OR conflicts > 0")
    )


def _notices() -> None:
    op.create_table(
        "notices",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("alert_id", sa.BigInteger(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("message", JSONB(), nullable=False),
        _time("decided_at"),
        _time("due_at"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _time("told_at", nullable=True),
        _time("given_up_at", nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('firing', 'worse', 'again', 'resolved', 'summary')", name=op.f("notices_kind_check")
        ),
        sa.CheckConstraint("(alert_id IS NULL) = (kind = 'summary')", name=op.f("notices_alert_check")),
        sa.CheckConstraint("told_at IS NULL OR given_up_at IS NULL", name=op.f("notices_end_check")),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("notices_alert_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("notices_pkey")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(
        "notices_waiting_idx",
        "notices",
        ["channel", "due_at"],
        postgresql_where=sa.text("told_at IS NULL AND given_up_at IS NULL"),
    )
    op.create_index("notices_alert_idx", "notices", ["alert_id", "channel", "id"])
    op.create_index("notices_decided_idx", "notices", ["decided_at"])


def _silences() -> None:
    op.create_table(
        "silences",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        _time("made_at"),
        sa.Column("made_by", sa.Text(), nullable=False),
        _time("until"),
        _time("ended_at", nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.CheckConstraint("until > made_at", name=op.f("silences_until_check")),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name=op.f("silences_ended_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("silences_pkey")),
    )
    op.create_index("silences_until_idx", "silences", ["until"], postgresql_where=sa.text("ended_at IS NULL"))


def downgrade() -> None:
    op.drop_index("hours_remarks_idx", "hours")
    op.drop_table("silences")
    op.drop_table("notices")
    op.drop_table("alerts")
