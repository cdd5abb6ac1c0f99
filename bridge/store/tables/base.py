"""What every table is made of: one naming of constraints, times with a zone, and whose row is locked."""

from datetime import datetime

from sqlalchemy import Column, DateTime, ForeignKey, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)


def time(name: str, *, nullable: bool = False) -> Column[datetime]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def stream(*, primary_key: bool = False) -> Column[int]:
    return Column("stream_id", Integer, ForeignKey("streams.id"), primary_key=primary_key, nullable=False)


def locked_stream() -> Column[int]:
    """A stream whose row the writer holds locked: a foreign key would ask for it again, row by row."""
    return Column("stream_id", Integer, primary_key=True, nullable=False, autoincrement=False)
