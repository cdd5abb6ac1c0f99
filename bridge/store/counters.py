"""Counters: what all processes together have counted, so that any of them can tell it.

A key is the series, its subject (a destination, a stream, a channel) and what kind of thing was counted. Subjects are
configured and kinds are words of the code, so the table is as small as the configuration.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

ATTEMPTS = "attempts"
LATENCY = "latency"
REMARKS = "remarks"
NOTICES = "notices"


class Key(NamedTuple):
    """What was counted."""

    series: str
    subject: str
    kind: str


_ADD = text("""
INSERT INTO counters (series, subject, kind, value)
SELECT series, subject, kind, value
FROM unnest(CAST(:series AS text[]), CAST(:subjects AS text[]), CAST(:kinds AS text[]), CAST(:counts AS float8[]))
     AS told (series, subject, kind, value)
ON CONFLICT (series, subject, kind) DO UPDATE SET value = counters.value + excluded.value
""")

_OF = text("""
SELECT series, subject, kind, value FROM counters
WHERE series = :series AND subject = ANY (CAST(:subjects AS text[])) ORDER BY subject, kind
""")

_SUMS = text("SELECT kind, sum(value) FROM counters WHERE series = :series GROUP BY kind ORDER BY kind")

_FORGET = text("DELETE FROM counters WHERE series = ANY (CAST(:series AS text[])) AND subject = :subject")


async def add(conn: AsyncConnection, counts: Mapping[Key, float]) -> None:
    """Add ``counts``, in one statement and in one order of the rows, so that two processes never wait in a circle."""
    told = sorted(counts.items())
    values = {"series": [key.series for key, _ in told], "subjects": [key.subject for key, _ in told]}
    await conn.execute(_ADD, {**values, "kinds": [key.kind for key, _ in told], "counts": [one for _, one in told]})


async def of(conn: AsyncConnection, series: str, subjects: Sequence[str]) -> dict[Key, float]:
    """What was counted of these subjects."""
    rows = (await conn.execute(_OF, {"series": series, "subjects": list(subjects)})).all()
    return {Key(*row[:3]): row[3] for row in rows}


async def sums(conn: AsyncConnection, series: str) -> dict[str, float]:
    """What was counted of all subjects, by kind."""
    return {row[0]: row[1] for row in (await conn.execute(_SUMS, {"series": series})).all()}


async def forget(conn: AsyncConnection, destination: str) -> None:
    """Forget what was counted of a destination that is deleted."""
    await conn.execute(_FORGET, {"series": [ATTEMPTS, LATENCY], "subject": destination})
