"""The tables of what a venue was asked: the reads that concern gaps, and the passes of the audit."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from bridge.store.tables.base import metadata, stream, time

# One read of the venue that concerned an open gap, or that proved nothing. ``since`` and ``upto`` are what was asked
# for, ``reached`` the highest that was answered, all in the unit of the stream's gaps; None where there was no end,
# or no answer. A read that was never answered says why in ``error``.
reads = Table(
    "reads",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    stream(),
    Column("epoch", Integer, nullable=False),
    time("at"),
    Column("why", Text, nullable=False),
    Column("since", BigInteger),
    Column("upto", BigInteger),
    Column("reached", BigInteger),
    Column("pages", Integer, nullable=False, server_default="0"),
    Column("rows", BigInteger, nullable=False, server_default="0"),
    Column("fresh", BigInteger, nullable=False, server_default="0"),
    Column("proven_first", BigInteger),
    Column("proven_last", BigInteger),
    Column("withheld", Text),
    Column("error", Text),
    CheckConstraint("(proven_first IS NULL) = (proven_last IS NULL) AND proven_first <= proven_last", name="proven"),
    Index("reads_history_idx", "stream_id", "at", "id"),
)

DIFFERS = "fresh > 0 OR conflicts > 0 OR unlisted > 0"

# One pass of the audit over what the venue retains. ``fresh`` counts events that were missing with us and believed
# absent, ``conflicts`` other content, ``unlisted`` what we hold and the venue does not list; ``named`` has the first
# of each by number. The pass has got to ``last``; it is under way until it has ended.
audits = Table(
    "audits",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    stream(),
    Column("epoch", Integer, nullable=False),
    Column("why", Text, nullable=False),
    time("began_at"),
    time("ended_at", nullable=True),
    Column("first", BigInteger),
    Column("last", BigInteger),
    Column("pages", Integer, nullable=False, server_default="0"),
    Column("rows", BigInteger, nullable=False, server_default="0"),
    Column("fresh", BigInteger, nullable=False, server_default="0"),
    Column("conflicts", BigInteger, nullable=False, server_default="0"),
    Column("unlisted", BigInteger, nullable=False, server_default="0"),
    Column("named", JSONB, nullable=False, server_default="{}"),
    Column("error", Text),
    CheckConstraint("why IN ('sweep', 'asked')", name="why"),
    CheckConstraint("first <= last", name="span"),
    Index("audits_open_idx", "stream_id", "why", unique=True, postgresql_where=text("ended_at IS NULL")),
    Index("audits_history_idx", "stream_id", "id"),
    Index("audits_ended_idx", "stream_id", "ended_at"),
    Index("audits_differing_idx", "ended_at", postgresql_where=text(DIFFERS)),
    postgresql_with={"fillfactor": "70"},
)
