"""What a strip of coverage is drawn from: events by cell, losses, and gaps in time, for some streams at once.

Every window is bounded by whoever asks, and so is what is read for it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.core.coverage import Coverage
from bridge.core.span import Span
from bridge.core.strip import Held

GAPS_MAX = 1_000
"""Gaps in time of a stream that are looked at: the newest, and of those that are open. More begin in no hour."""


class Window(NamedTuple):
    """A window of a stream's numbers, in cells of ``cell``."""

    stream_id: int
    epoch: int
    first: int
    last: int
    frontier: int
    cell: int


_WINDOWS = """
unnest(CAST(:ids AS int[]), CAST(:epochs AS int[]), CAST(:firsts AS bigint[]), CAST(:lasts AS bigint[]),
       CAST(:frontiers AS bigint[]), CAST(:cells AS bigint[])) AS w (stream_id, epoch, first, last, frontier, cell)
"""

_HELD = text(f"""
SELECT w.stream_id, (e.sequence - w.first) / w.cell AS place,
       count(*) FILTER (WHERE e.sequence < w.frontier), count(*) FILTER (WHERE e.sequence >= w.frontier)
FROM {_WINDOWS}
CROSS JOIN LATERAL (SELECT sequence FROM events
                    WHERE stream_id = w.stream_id AND epoch = w.epoch AND sequence BETWEEN w.first AND w.last
                    ORDER BY sequence OFFSET 0) e
GROUP BY 1, 2
""")

# No more losses than numbers: each is lost once. What turned up later is stored, and lost no more.
_LOST = text(f"""
SELECT w.stream_id, l.first, l.last,
       ARRAY(SELECT sequence FROM events
             WHERE stream_id = w.stream_id AND epoch = w.epoch
               AND sequence BETWEEN greatest(l.first, w.first) AND least(l.last, w.last) ORDER BY sequence)
FROM {_WINDOWS}
CROSS JOIN LATERAL (SELECT first, last FROM evidence
                    WHERE stream_id = w.stream_id AND epoch = w.epoch AND verdict = 'loss'
                      AND last >= w.first AND first <= w.last
                    ORDER BY last DESC LIMIT w.last - w.first + 1) l
""")

_IN_TIME = text("""
SELECT wanted.stream_id, g.first, g.last, g.state
FROM unnest(CAST(:ids AS int[])) AS wanted (stream_id)
CROSS JOIN LATERAL (
    SELECT first, last, state, axis FROM (SELECT first, last, state, axis FROM gaps
                                          WHERE stream_id = wanted.stream_id ORDER BY id DESC LIMIT :limit) AS newest
    WHERE state IN ('lost', 'superseded')
    UNION ALL
    (SELECT first, last, state, axis FROM gaps
     WHERE stream_id = wanted.stream_id AND state = 'open' ORDER BY first DESC LIMIT :limit)) g
WHERE g.axis = 'time' AND g.last >= :since
""")


def _values(windows: Sequence[Window]) -> dict[str, object]:
    names = ("ids", "epochs", "firsts", "lasts", "frontiers", "cells")
    return {name: [one[nth] for one in windows] for nth, name in enumerate(names)}


async def held(conn: AsyncConnection, windows: Sequence[Window]) -> dict[int, dict[int, Held]]:
    """How many events are stored of each cell, by stream and by the cell's place; empty cells are left out."""
    found: dict[int, dict[int, Held]] = {}
    for stream_id, place, told, waiting in await conn.execute(_HELD, _values(windows)):
        found.setdefault(stream_id, {})[place] = Held(told, waiting)
    return found


async def lost(conn: AsyncConnection, windows: Sequence[Window]) -> dict[int, list[Span]]:
    """What was lost of each window and is not stored all the same, by stream."""
    found: dict[int, list[Span]] = {}
    for stream_id, first, last, stored in await conn.execute(_LOST, _values(windows)):
        missing = Coverage.of_numbers(stored).missing(Span.inclusive(first, last))
        found.setdefault(stream_id, []).extend(missing)
    return found


async def in_time(
    conn: AsyncConnection, stream_ids: Sequence[int], *, since_ms: int
) -> Mapping[int, list[tuple[Span, str]]]:
    """The gaps in time that reach beyond ``since_ms`` and left something untold, or still do, by stream."""
    found: dict[int, list[tuple[Span, str]]] = {}
    values = {"ids": list(stream_ids), "since": since_ms, "limit": GAPS_MAX}
    for stream_id, first, last, state in await conn.execute(_IN_TIME, values):
        found.setdefault(stream_id, []).append((Span(first, max(first + 1, last)), state))
    return found
