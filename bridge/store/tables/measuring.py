"""The tables of what only a process knows and all of them are to tell: venues' quotas, and what was counted."""

from sqlalchemy import Column, Double, Table, Text

from bridge.store.tables.base import metadata, time

# What was left of a source's quota at its venue when the holder of the source's lease looked last, for people.
budgets = Table(
    "budgets",
    metadata,
    Column("source", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("per_s", Double, nullable=False),
    Column("burst", Double, nullable=False),
    Column("tokens", Double, nullable=False),
    time("paused_until", nullable=True),
    time("as_of"),
    postgresql_with={"fillfactor": "50"},
)

# What all processes together have counted since the table was made. ``subject`` and ``kind`` are labels of the
# series.
counters = Table(
    "counters",
    metadata,
    Column("series", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("value", Double, nullable=False),
    postgresql_with={"fillfactor": "50"},
)
