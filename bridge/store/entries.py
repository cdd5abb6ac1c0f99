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
    """What is to be appended: a venue's event by its number and digest, or words of the bridge's own."""

    kind: Kind
    sequence: int | None
    digest: bytes
    data: bytes | None = None

    @classmethod
    def told(cls, kind: Kind, data: bytes) -> "Entry":
        """An entry of the bridge's own: ``data`` is its JSON text."""
        return cls(kind, None, digest_of(data), data)


_APPEND = text("""
INSERT INTO log (stream_id, position, kind, epoch, sequence, appended_at, chain, data)
SELECT :stream_id, position, kind, :epoch, sequence, :appended_at, chain, data
FROM unnest(CAST(:positions AS bigint[]), CAST(:kinds AS text[]), CAST(:sequences AS bigint[]),
            CAST(:chains AS bytea[]), CAST(:data AS bytea[])) AS entry (position, kind, sequence, chain, data)
""")


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
    positions, chains = [], []
    for entry in entries:
        position += 1
        chain = link(chain, position, entry.kind, epoch, entry.sequence, entry.digest)
        positions.append(position)
        chains.append(chain)
    values = {
        "stream_id": stream_id,
        "epoch": epoch,
        "appended_at": appended_at,
        "positions": positions,
        "kinds": [entry.kind.value for entry in entries],
        "sequences": [entry.sequence for entry in entries],
        "chains": chains,
        "data": [entry.data for entry in entries],
    }
    await conn.execute(_APPEND, values)
    return position, chain
