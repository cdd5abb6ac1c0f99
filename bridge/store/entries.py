"""What a transaction has to tell, before it has a place in the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from bridge.core.event import Kind, digest_of
from bridge.store.direct import Executes


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be appended: a venue's event by its number and digest, or words of the bridge's own.

    ``epoch`` is the epoch it belongs to where that is not the stream's present one. ``event_id`` and ``received_at``
    are the event's: whoever hears of the entry may want to know it by its id, and how long it waited.
    """

    kind: Kind
    sequence: int | None
    digest: bytes
    data: bytes | None = None
    epoch: int | None = None
    event_id: str = ""
    received_at: datetime | None = None

    @classmethod
    def told(cls, kind: Kind, data: bytes) -> "Entry":
        """An entry of the bridge's own: ``data`` is its JSON text."""
        return cls(kind, None, digest_of(data), data)


_EVENTS_TOLD = text("""
SELECT sequence FROM log
WHERE stream_id = :stream_id AND epoch = :epoch AND kind = 'event' AND sequence = ANY(CAST(:sequences AS bigint[]))
""")


async def events_told(conn: Executes, *, stream_id: int, epoch: int, sequences: Sequence[int]) -> set[int]:
    """Which of ``sequences`` were told in their turn, as plain events."""
    values = {"stream_id": stream_id, "epoch": epoch, "sequences": list(sequences)}
    return set((await conn.execute(_EVENTS_TOLD, values)).scalars())
