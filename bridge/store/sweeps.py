"""Sweeps: when a stream's tail and its whole window are to be read next. What is due is a row with a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from bridge.store.direct import Executes


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep that is due. ``rung`` is how often its bell had been rung when this was read."""

    stream: str
    kind: str
    rung: int


_ENSURE = text("""
INSERT INTO sweeps (stream_id, kind, due_at)
SELECT :stream_id, kind, :now FROM unnest(CAST(:kinds AS text[])) AS sweep (kind)
ON CONFLICT DO NOTHING
""")

_RING = text("""
UPDATE sweeps SET due_at = least(due_at, :now), rung = rung + 1
WHERE kind = 'tail' AND stream_id = (SELECT id FROM streams WHERE name = :stream)
""")

_DUE = text("""
SELECT streams.name, kind, rung FROM sweeps JOIN streams ON streams.id = stream_id
WHERE due_at <= :now AND source = ANY(CAST(:sources AS text[])) ORDER BY due_at, name, kind
""")

_DONE = text("""
UPDATE sweeps SET due_at = :next_at
WHERE kind = :kind AND rung = :rung AND stream_id = (SELECT id FROM streams WHERE name = :stream)
""")


async def ensure(conn: Executes, *, stream_id: int, kinds: Sequence[str], now: datetime) -> None:
    """Give the stream its sweeps, due at once."""
    await conn.execute(_ENSURE, {"stream_id": stream_id, "kinds": list(kinds), "now": now})


async def ring(conn: Executes, *, stream: str, now: datetime) -> None:
    """The stream's tail is to be read at once."""
    await conn.execute(_RING, {"stream": stream, "now": now})


async def due(conn: Executes, *, sources: Sequence[str], now: datetime) -> list[Sweep]:
    """The sweeps of ``sources`` that are due, oldest first."""
    rows = await conn.execute(_DUE, {"sources": list(sources), "now": now})
    return [Sweep(*row) for row in rows]


async def done(conn: Executes, sweep: Sweep, *, next_at: datetime) -> bool:
    """Due again at ``next_at``; False if the bell was rung meanwhile, and it stays due."""
    values = {"stream": sweep.stream, "kind": sweep.kind, "rung": sweep.rung, "next_at": next_at}
    return bool((await conn.execute(_DONE, values)).rowcount)
