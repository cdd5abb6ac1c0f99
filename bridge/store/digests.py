"""What a stretch of a log comes to: its ends, its chain values, and a digest that two sides can compare.

The chain value at a position is a digest of everything up to it, and costs one look. A side that keeps other
positions, or none, compares contents: the numbers and digests of events, in an order that does not matter.
"""

from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

ENTRIES_MAX = 50_000
"""Entries that one content digest goes over: a longer stretch takes several, which add up."""


class Bounds(NamedTuple):
    """What is left of a log: the positions above ``forgotten`` up to ``position``, with the chain at both ends."""

    id: int
    name: str
    position: int
    chain: bytes
    forgotten: int
    forgotten_chain: bytes


class Content(NamedTuple):
    """The numbered entries from ``first`` to ``last``: how many there are, and all their hashes as one, 32 bytes.

    Each hash is SHA-256 of ``epoch:sequence:`` and the 32 bytes of the content's digest; they are put together by
    exclusive or. So the order does not matter, and two stretches side by side add up in the same way.
    """

    first: int
    last: int
    numbered: int
    digest: bytes


_BOUNDS = text("SELECT id, name, position, chain, forgotten, forgotten_chain FROM streams WHERE name = :name")

_CHAIN = text("SELECT chain FROM log WHERE stream_id = :stream_id AND position = :position")

_HASHES = """
SELECT count(*), coalesce(bit_xor(CAST('x' || encode(
           sha256(convert_to(epoch || ':' || sequence || ':', 'UTF8') || digest), 'hex') AS bit(256))),
           CAST(0 AS bit(256)))::text, max(at)
FROM ({entries}) AS entry
"""

_BY_POSITION = text(
    _HASHES.format(
        entries="""
    SELECT l.position AS at, l.epoch, l.sequence, e.digest
    FROM log l JOIN events e ON e.stream_id = l.stream_id AND e.epoch = l.epoch AND e.sequence = l.sequence
    WHERE l.stream_id = :stream_id AND l.position BETWEEN :first AND :last"""
    )
)

_BY_SEQUENCE = text(
    _HASHES.format(
        entries="""
    SELECT told.sequence AS at, told.epoch, told.sequence, e.digest
    FROM (SELECT stream_id, epoch, sequence FROM log
          WHERE stream_id = :stream_id AND epoch = :epoch AND sequence IS NOT NULL
            AND sequence BETWEEN :first AND :last
          ORDER BY sequence LIMIT :limit) AS told
    JOIN events e ON e.stream_id = told.stream_id AND e.epoch = told.epoch AND e.sequence = told.sequence"""
    )
)


async def bounds(conn: AsyncConnection, name: str) -> Bounds | None:
    """What is left of the stream's log; None if there is no such stream."""
    row = (await conn.execute(_BOUNDS, {"name": name})).one_or_none()
    return None if row is None else Bounds(*row)


async def chain_at(conn: AsyncConnection, log: Bounds, position: int) -> bytes | None:
    """The chain value at ``position``; None where nothing is, or nothing is left."""
    if position in (log.forgotten, log.position):
        return log.forgotten_chain if position == log.forgotten else log.chain
    values = {"stream_id": log.id, "position": position}
    return (await conn.execute(_CHAIN, values)).scalar_one_or_none()


async def by_position(
    conn: AsyncConnection, *, stream_id: int, first: int, last: int, limit: int = ENTRIES_MAX
) -> Content:
    """The content of the positions from ``first`` to ``last``, or of the first ``limit`` of them."""
    last = min(last, first + limit - 1)
    values = {"stream_id": stream_id, "first": first, "last": last}
    count, bits, _ = (await conn.execute(_BY_POSITION, values)).one()
    return Content(first, last, count, _bytes(bits))


async def by_sequence(
    conn: AsyncConnection, *, stream_id: int, epoch: int, first: int, last: int, limit: int = ENTRIES_MAX
) -> Content:
    """The content of the numbers from ``first`` to ``last``, or up to the first ``limit`` of them that are told."""
    values = {"stream_id": stream_id, "epoch": epoch, "first": first, "last": last, "limit": limit}
    count, bits, highest = (await conn.execute(_BY_SEQUENCE, values)).one()
    return Content(first, highest if count == limit else last, count, _bytes(bits))


def _bytes(bits: str) -> bytes:
    return int(bits, 2).to_bytes(32, "big")
