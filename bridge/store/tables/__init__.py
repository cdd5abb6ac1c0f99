"""The tables, and the invariants that Postgres itself keeps. Statements stand beside their table, one file each."""

from bridge.store.tables import access, asking, incoming, measuring, outgoing, reporting, watching
from bridge.store.tables.base import metadata

__all__ = ["access", "asking", "incoming", "measuring", "metadata", "outgoing", "reporting", "watching"]
