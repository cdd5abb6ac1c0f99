"""Appending to the log: positions without holes, each entry chained to the one before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.core.chain import link
from bridge.core.event import Kind, digest_of


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be appended: a venue's event by its number and digest, or words of the bridge's own.

    ``sealed_epoch`` is the epoch of an event that turned up after its epoch was sealed.
    """

    kind: Kind
    sequence: int | None
    digest: bytes
    data: bytes | None = None
    sealed_epoch: int | None = None

    @classmethod
    def told(cls, kind: Kind, data: bytes) -> "Entry":
        """An entry of the bridge's own: ``data`` is its JSON text."""
        return cls(kind, None, digest_of(data), data)


_APPEND = text("""
INSERT INTO log (stream_id, position, kind, epoch, sequence, appended_at, chain, data)
SELECT :stream_id, position, kind, epoch, sequence, :appended_at, chain, data
FROM unnest(CAST(:positions AS bigint[]), CAST(:kinds AS text[]), CAST(:epochs AS int[]),
            CAST(:sequences AS bigint[]), CAST(:chains AS bytea[]), CAST(:data AS bytea[]))
     AS entry (position, kind, epoch, sequence, chain, data)
""")


_EVENTS_TOLD = text("""
SELECT sequence FROM log
WHERE stream_id = :stream_id AND epoch = :epoch AND kind = 'event' AND sequence = ANY(CAST(:sequences AS bigint[]))
""")


async def events_told(conn: AsyncConnection, *, stream_id: int, epoch: int, sequences: Sequence[int]) -> set[int]:
    """Which of ``sequences`` were told in their turn, as plain events."""
    values = {"stream_id": stream_id, "epoch": epoch, "sequences": list(sequences)}
    return set((await conn.execute(_EVENTS_TOLD, values)).scalars())


async def append(
    conn: AsyncConnection,
    *,
    stream_id: int,
    epoch: int,
    position: int,
    chain: bytes,
    entries: Sequence[Entry],
    appended_at: datetime,
) -> tuple[int, bytes]:
    """Append after ``position`` with chain value ``chain``; returns the new pair. The stream's lock is held."""
    epochs = [entry.sealed_epoch or epoch for entry in entries]
    positions, chains = [], []
    for entry, its_epoch in zip(entries, epochs, strict=True):
        position += 1
        chain = link(chain, position, entry.kind, its_epoch, entry.sequence, entry.digest)
        positions.append(position)
        chains.append(chain)
    values = {
        "stream_id": stream_id,
        "epochs": epochs,
        "appended_at": appended_at,
        "positions": positions,
        "kinds": [entry.kind.value for entry in entries],
        "sequences": [entry.sequence for entry in entries],
        "chains": chains,
        "data": [entry.data for entry in entries],
    }
    await conn.execute(_APPEND, values)
    return position, chain
