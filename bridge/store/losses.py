"""Losses as the log tells of them: the entries that name what is missing, and is not superseded."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text

from bridge.store.direct import Executes


class Loss(NamedTuple):
    """An entry of the log that tells of a loss. ``data`` is its JSON."""

    epoch: int
    position: int
    appended_at: datetime
    data: bytes


# By an index that holds nothing but such entries. Not parsed here, because JSON may say what Postgres cannot hold:
# the bridge writes these itself, always alike, and within a string the quotes would be escaped.
_SUPERSEDED = b'"reason":"superseded","evidence":'
_READ = text("""
SELECT span.stream_id, told.epoch, told.position, told.appended_at, told.data
FROM unnest(CAST(:ids AS int[]), CAST(:afters AS bigint[]), CAST(:untils AS bigint[]))
     WITH ORDINALITY AS span (stream_id, after, until, nth)
CROSS JOIN LATERAL (
    SELECT epoch, position, appended_at, data FROM log
    WHERE log.stream_id = span.stream_id AND kind = 'gap' AND position > span.after AND position <= span.until
      AND position(CAST(:superseded AS bytea) IN data) = 0
    ORDER BY position LIMIT :each) AS told
ORDER BY span.nth, told.position LIMIT :in_all
""")


async def read(
    conn: Executes, between: Mapping[int, tuple[int, int]], *, each_max: int, in_all_max: int
) -> dict[int, list[Loss]]:
    """By stream: the losses that its log tells of after the one position and up to the other, the oldest first."""
    if not between:
        return {}
    values = {
        "ids": list(between),
        "afters": [after for after, _ in between.values()],
        "untils": [until for _, until in between.values()],
        "superseded": _SUPERSEDED,
        "each": each_max,
        "in_all": in_all_max,
    }
    found: dict[int, list[Loss]] = {}
    for row in await conn.execute(_READ, values):
        found.setdefault(row[0], []).append(Loss(*row[1:]))
    return found
