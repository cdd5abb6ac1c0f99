"""Which streams are chosen by destinations that do not take all of them."""

from collections.abc import Mapping, Sequence

from anyio.to_thread import run_sync
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.core.destination import matcher

CHOICES_MAX = 200_000
"""Streams looked at for who chooses among them, and pairs of both. Whoever is beyond that counts as taking all."""

_GLOBS = text("""
SELECT id, policy -> 'streams' FROM destinations
WHERE jsonb_typeof(policy -> 'streams') = 'array' AND NOT policy -> 'streams' @> '["*"]' ORDER BY name LIMIT :limit
""")

_NAMES = text("SELECT id, name FROM streams ORDER BY id")


async def read(conn: AsyncConnection, *, limit: int) -> dict[str, list[int]]:
    """Of the first ``limit`` destinations, for as many as there is room: ids of those that are ``choosing``, and in
    pairs who chooses (``choosers``) and which stream (``chosen``)."""
    globs = {row[0]: tuple(row[1]) for row in (await conn.execute(_GLOBS, {"limit": limit})).all()}
    names = [(row[0], row[1]) for row in (await conn.execute(_NAMES)).all()] if globs else []
    # In a thread: it may be 200,000 comparisons, and whoever is asked for a scrape takes webhooks meanwhile.
    return await run_sync(_pairs, globs, names)


def _pairs(globs: Mapping[int, tuple[str, ...]], names: Sequence[tuple[int, str]]) -> dict[str, list[int]]:
    by_globs: dict[tuple[str, ...], list[int]] = {}
    found: dict[str, list[int]] = {"choosing": [], "choosers": [], "chosen": []}
    for destination_id, wanted in globs.items():
        if wanted not in by_globs:
            if (len(by_globs) + 1) * len(names) > CHOICES_MAX:
                break
            fits = matcher(wanted)
            by_globs[wanted] = [stream_id for stream_id, name in names if fits(name)]
        chosen = by_globs[wanted]
        if len(found["chosen"]) + len(chosen) > CHOICES_MAX:
            break
        found["choosing"].append(destination_id)
        found["choosers"] += [destination_id] * len(chosen)
        found["chosen"] += chosen
    return found
