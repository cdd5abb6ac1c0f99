"""What a checkpoint says of a stream: its chain at a position, and how the venue's numbers stand."""

from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

GAPS_MAX = 20
"""Open gaps that one checkpoint names, the oldest first."""


class Checkpoint(NamedTuple):
    """``chain`` at the position; ``frontier`` and ``head`` of the stream; ``gaps`` as first and last number."""

    chain: bytes
    frontier: int | None
    head: int
    gaps: list[tuple[int, int]]


_STREAM = text("""
SELECT coalesce((SELECT log.chain FROM log WHERE log.stream_id = s.id AND log.position = :position),
                CASE WHEN s.forgotten = :position THEN s.forgotten_chain ELSE s.chain END) AS chain,
       s.frontier, s.head
FROM streams s WHERE s.id = :stream_id
""")

_GAPS = text("""
SELECT first, last FROM gaps WHERE stream_id = :stream_id AND state = 'open' ORDER BY id LIMIT :limit
""")


async def read(conn: AsyncConnection, *, stream_id: int, position: int) -> Checkpoint:
    """The checkpoint at ``position``, which is in the log, or 0."""
    row = (await conn.execute(_STREAM, {"stream_id": stream_id, "position": position})).one()
    gaps = (await conn.execute(_GAPS, {"stream_id": stream_id, "limit": GAPS_MAX})).all()
    return Checkpoint(row.chain, row.frontier, row.head, [(gap.first, gap.last) for gap in gaps])
