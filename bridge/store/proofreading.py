"""Reading a log against itself: does each chain value follow, is each content there, and has it its digest."""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.core.chain import link
from bridge.core.event import Kind, digest_of
from bridge.store import digests
from bridge.store.digests import Bounds

SLICE_MAX = 5_000


class Verdict(NamedTuple):
    """What was found of positions ``first`` to ``last``. ``wrong_at`` is the first bad one, if one is."""

    stream: str
    first: int
    last: int
    checked: int
    chain: bytes
    wrong_at: int | None = None
    wrong: str | None = None


class _Place(NamedTuple):
    position: int
    chain: bytes


class _Wrong(NamedTuple):
    position: int
    why: str


_SLICE = text("""
SELECT l.position, l.kind, l.epoch, l.sequence, l.chain, l.data, e.digest, sha256(e.payload) = e.digest
FROM (SELECT * FROM log
      WHERE stream_id = :stream_id AND position > :after AND position <= :upto ORDER BY position LIMIT :limit) AS l
LEFT JOIN events e ON e.stream_id = l.stream_id AND e.epoch = l.epoch AND e.sequence = l.sequence
ORDER BY l.position
""")


async def verify(conn: AsyncConnection, log: Bounds, *, told: Callable[[int], None] = lambda _: None) -> Verdict:
    """Recompute the chain of what is left of the log, up to where it stood in ``log``, slice by slice.

    ``told`` is called with every position that was reached. What retention takes away meanwhile is not missed.
    The connection is in no transaction of its own.
    """
    place, checked = _Place(log.forgotten, log.forgotten_chain), 0
    while place.position < log.position:
        values = {"stream_id": log.id, "after": place.position, "upto": log.position, "limit": SLICE_MAX}
        rows = (await conn.execute(_SLICE, values)).all()
        found = place
        wrong = None if rows else _Wrong(place.position + 1, "it is missing")
        for row in rows:
            step = _step(found, *row)
            if isinstance(step, _Wrong):
                wrong = step
                break
            found, checked = step, checked + 1
        if wrong is not None:
            later = await digests.bounds(conn, log.name)
            if later is None or later.forgotten < wrong.position:
                first = log.forgotten + 1
                return Verdict(log.name, first, log.position, checked, found.chain, wrong.position, wrong.why)
            found = _Place(later.forgotten, later.forgotten_chain)
        place = found
        told(place.position)
    if place.position == log.position and place.chain != log.chain:
        why = "the stream's own row has another chain value"
        return Verdict(log.name, log.forgotten + 1, log.position, checked, place.chain, log.position, why)
    return Verdict(log.name, log.forgotten + 1, log.position, checked, place.chain)


def _step(
    place: _Place,
    position: int,
    kind: str,
    epoch: int,
    sequence: int | None,
    chain: bytes,
    data: bytes | None,
    digest: bytes | None,
    has_its_digest: bool | None,
) -> _Place | _Wrong:
    """The place after the entry, or what is wrong with it."""
    if position != place.position + 1:
        return _Wrong(place.position + 1, "it is missing")
    if data is None and digest is None:
        return _Wrong(position, f"it tells of event {sequence}, which is not stored")
    if data is None and not has_its_digest:
        return _Wrong(position, f"the content of event {sequence} does not have its digest")
    content = digest_of(data) if data is not None else digest
    assert content is not None
    if link(place.chain, position, Kind(kind), epoch, sequence, content) != chain:
        return _Wrong(position, "its chain value does not follow from those before it")
    return _Place(position, chain)
