"""Streams whose events have no number of the venue's and an id each: told again, an event is a repetition.

The bridge numbers them on arrival. Which number an id was given is kept with the delivery, under the stream's lock.
"""

from collections.abc import Sequence
from datetime import datetime

from bridge.core.event import Event, Transport
from bridge.ingest.submission import StreamSpec, Submission
from bridge.store import sightings
from bridge.store.direct import Executes
from bridge.store.streams import Stream


async def known_numbers(
    connection: Executes, stream: Stream, spec: StreamSpec, submissions: Sequence[Submission]
) -> dict[str, int] | None:
    """The numbers of those events that were told before, by id; None where an id stands for nothing."""
    if not spec.once:
        return None
    event_ids = {event.event_id for submission in submissions for event in submission.events}
    return await sightings.numbers(connection, stream_id=stream.id, event_ids=sorted(event_ids))


async def remember(
    connection: Executes, stream: Stream, fresh: Sequence[tuple[Event, Transport]], now: datetime
) -> None:
    """Keep the numbers that the bridge gave to ``fresh`` events."""
    if fresh:
        await sightings.insert(connection, stream_id=stream.id, seen=fresh, received_at=now, epoch=stream.epoch)
