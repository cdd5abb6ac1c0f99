"""Moving a cursor by hand: to which position that is, and the move, which fences whoever delivers at the moment."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store import delivery_hours
from bridge.store.delivery_hours import Tally


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor that is to be moved, and the stream as it stands: entries up to ``forgotten`` are no longer kept."""

    stream_id: int
    stream: str
    position: int
    epoch: int
    head: int
    forgotten: int


_PLACES = text("""
SELECT s.id, s.name, c.position, s.epoch, s.position, s.forgotten
FROM cursors c JOIN streams s ON s.id = c.stream_id
WHERE c.destination_id = :destination_id AND (CAST(:stream AS text) IS NULL OR s.name = :stream)
ORDER BY s.id
""")

_AT = text("""
SELECT position, epoch, sequence, appended_at FROM log
WHERE stream_id = :stream_id AND position >= :position ORDER BY position LIMIT 1
""")

# Only these strictly increase in their numbers: what is late or recovered steps back.
_EVENT_AT = text("""
SELECT position, epoch, sequence, appended_at FROM log
WHERE stream_id = :stream_id AND position >= :position AND kind = 'event' ORDER BY position LIMIT 1
""")

# The attempt is the fence: what is under way changes nothing more. What is skipped because it is no longer kept is
# told to the destination.
_MOVE = text("""
UPDATE cursors SET position = greatest(:position, CAST(:forgotten AS bigint)),
    sent = greatest(:position, CAST(:forgotten AS bigint)), ahead = '{}', attempt = attempt + 1, due_at = :now,
    failures = 0, failing_since = NULL, last_error = NULL,
    checkpoint_position = least(checkpoint_position, greatest(:position, CAST(:forgotten AS bigint))),
    expired_first = CASE WHEN :position < :forgotten THEN :position + 1 END,
    expired_last = CASE WHEN :position < :forgotten THEN CAST(:forgotten AS bigint) END
WHERE destination_id = :destination_id AND stream_id = :stream_id RETURNING position
""")


async def places(conn: AsyncConnection, destination_id: int, stream: str | None) -> list[Place]:
    """The destination's cursors: of this stream, or all of them."""
    values = {"destination_id": destination_id, "stream": stream}
    return [Place(*row) for row in (await conn.execute(_PLACES, values)).all()]


async def before_time(conn: AsyncConnection, place: Place, at: datetime) -> int:
    """The position before the first entry that was appended at ``at`` or later."""
    return await _before(conn, place, numbered=False, reached=lambda row: bool(row.appended_at >= at))


async def before_sequence(conn: AsyncConnection, place: Place, epoch: int, sequence: int) -> int:
    """The position before the first event with this number or a later one."""
    return await _before(
        conn, place, numbered=True, reached=lambda row: (row.epoch, row.sequence) >= (epoch, sequence)
    )


async def move(conn: AsyncConnection, destination_id: int, place: Place, position: int, *, now: datetime) -> int:
    """Let what comes after ``position`` be delivered next, at once; returns where the cursor stands then."""
    values = {"destination_id": destination_id, "stream_id": place.stream_id, "position": position, "now": now}
    moved = await conn.execute(_MOVE, {**values, "forgotten": place.forgotten})
    await delivery_hours.add(conn, destination_id, place.stream_id, Tally(), now=now)
    return int(moved.scalar_one())


async def _before(
    conn: AsyncConnection, place: Place, *, numbered: bool, reached: Callable[[Row[tuple[object, ...]]], bool]
) -> int:
    """Halve the log until it is found: a probe of the key each, and no index of its own."""
    low, high = place.forgotten + 1, place.head + 1
    while low < high:
        middle = (low + high) // 2
        values = {"stream_id": place.stream_id, "position": middle}
        row = (await conn.execute(_EVENT_AT if numbered else _AT, values)).one_or_none()
        if row is None or reached(row):
            high = middle
        else:
            low = row.position + 1
    # What the bridge tells between the event before it and the event itself comes along.
    return low - 1
