"""Follows: what the channel of a stream is declared to be, and how far in venue time the stream is complete.

A stream that the door numbers or proves is declared here too, and knows nothing of venue time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from bridge.core.channel import Channel
from bridge.store.direct import Executes


@dataclass(frozen=True, slots=True)
class Follow:
    """How a followed stream stands.

    Everything before ``settled_until`` (venue time) is in the log; None before the first proof. ``last_number`` is
    the newest number told of a channel that has them. ``unnoticed`` names the losses nobody can notice: where it is
    not None, completeness is unknown to that extent. ``dropped`` counts what found no room, and was asked for again.
    """

    stream_id: int
    model: str
    repair: str
    reach: str
    unnoticed: str | None
    settled_until: datetime | None
    last_number: int | None
    state: str
    detail: str
    dropped: int


_COLUMNS = "stream_id, model, repair, reach, unnoticed, settled_until, last_number, state, detail, dropped"

_ENSURE = text("""
INSERT INTO follows (stream_id, model, repair, reach, unnoticed, state)
VALUES (:stream_id, :model, :repair, :reach, :unnoticed, :state)
ON CONFLICT (stream_id) DO UPDATE
SET model = excluded.model, repair = excluded.repair, reach = excluded.reach, unnoticed = excluded.unnoticed
""")

_READ = text(f"SELECT {_COLUMNS} FROM follows WHERE stream_id = :stream_id")

_SOME = text(f"SELECT {_COLUMNS} FROM follows WHERE stream_id = ANY (CAST(:ids AS int[]))")

_SAVE = text("""
UPDATE follows SET settled_until = greatest(settled_until, :settled_until),
    last_number = :last_number, dropped = dropped + :dropped
WHERE stream_id = :stream_id
""")

# Many streams at once, most of them quiet. Whoever was overtaken by another follower moves nothing.
_ADVANCE = text("""
UPDATE follows SET settled_until = told.settled_until
FROM unnest(CAST(:ids AS int[]), CAST(:positions AS bigint[]), CAST(:settled AS timestamptz[]))
     AS told (id, position, settled_until)
JOIN streams ON streams.id = told.id AND streams.position = told.position
WHERE follows.stream_id = told.id AND coalesce(follows.settled_until < told.settled_until, true)
""")

_SET_STATES = text("""
UPDATE follows SET state = told.state, detail = told.detail
FROM unnest(CAST(:ids AS int[]), CAST(:states AS text[]), CAST(:details AS text[])) AS told (id, state, detail)
WHERE follows.stream_id = told.id AND (follows.state, follows.detail) IS DISTINCT FROM (told.state, told.detail)
""")

_REMEMBERED = text("""
SELECT event_id, occurred_at FROM events
WHERE stream_id = :stream_id AND epoch = 1 ORDER BY sequence DESC LIMIT :limit
""")


async def ensure(conn: Executes, *, stream_id: int, channel: Channel, state: str = "connecting") -> Follow:
    """Declare the stream's channel; how the stream stands. ``state`` is what a new one begins with."""
    values = {
        "stream_id": stream_id,
        "model": channel.model.value,
        "repair": channel.repair.value,
        "reach": channel.reach,
        "unnoticed": channel.unnoticed,
        "state": state,
    }
    await conn.execute(_ENSURE, values)
    return Follow(*(await conn.execute(_READ, {"stream_id": stream_id})).one())


async def read(conn: Executes, stream_id: int) -> Follow | None:
    """How the stream stands; None if no channel was declared for it."""
    row = (await conn.execute(_READ, {"stream_id": stream_id})).one_or_none()
    return None if row is None else Follow(*row)


async def some(conn: Executes, ids: Sequence[int]) -> list[Follow]:
    """What is declared of these streams, in no order."""
    return [Follow(*row) for row in (await conn.execute(_SOME, {"ids": list(ids)})).all()]


async def save(
    conn: Executes, *, stream_id: int, settled_until: datetime | None, last_number: int | None, dropped: int
) -> None:
    """Write down how far the stream is; the caller holds its lock. ``dropped`` is added to what was before."""
    values = {
        "stream_id": stream_id,
        "settled_until": settled_until,
        "last_number": last_number,
        "dropped": dropped,
    }
    await conn.execute(_SAVE, values)


async def advance(conn: Executes, standing: Sequence[tuple[int, int, datetime]]) -> None:
    """Quiet time is complete time: move each (stream id, position, settled until) whose log still ends there."""
    ordered = sorted(standing)
    values = {
        "ids": [stream_id for stream_id, _, _ in ordered],
        "positions": [position for _, position, _ in ordered],
        "settled": [settled for _, _, settled in ordered],
    }
    await conn.execute(_ADVANCE, values)


async def set_states(conn: Executes, states: Sequence[tuple[int, str, str]]) -> None:
    """Write down what each (stream id, state, detail) is heard by at present."""
    ordered = sorted(states)
    values = {
        "ids": [stream_id for stream_id, _, _ in ordered],
        "states": [state for _, state, _ in ordered],
        "details": [detail for _, _, detail in ordered],
    }
    await conn.execute(_SET_STATES, values)


async def remembered(conn: Executes, *, stream_id: int, limit: int) -> list[tuple[str, datetime | None]]:
    """Id and venue time of the last ``limit`` events that were told, oldest first."""
    rows = (await conn.execute(_REMEMBERED, {"stream_id": stream_id, "limit": limit})).all()
    return [(row[0], row[1]) for row in reversed(rows)]
