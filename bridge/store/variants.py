"""Variants: other content that was heard for a number which has one already. Kept, never mixed in."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text

from bridge.core.event import Event, Transport
from bridge.store.direct import Executes


class Variant(NamedTuple):
    """An event that is not the one stored, and a digest of its parsed content."""

    event: Event
    transport: Transport
    content: bytes


_INSERT = text("""
INSERT INTO variants (stream_id, epoch, sequence, content, event_id, type, key, transport, occurred_at,
                      received_at, digest, payload, held)
VALUES (:stream_id, :epoch, :sequence, :content, :event_id, :type, :key, :transport, :occurred_at,
        :received_at, :digest, :payload, :held)
ON CONFLICT DO NOTHING
RETURNING sequence
""")

_TAKE_HELD = text("""
DELETE FROM variants WHERE stream_id = :stream_id AND held
RETURNING event_id, type, key, payload, digest, sequence, occurred_at, transport
""")


async def keep(
    conn: Executes,
    *,
    stream_id: int,
    epoch: int,
    variants: Sequence[Variant],
    received_at: datetime,
    held: bool,
) -> list[Variant]:
    """Store ``variants``; returns those that were not known. ``held`` marks what waits for a decision."""
    fresh = []
    for variant in variants:
        values = {
            **variant.event._asdict(),
            "stream_id": stream_id,
            "epoch": epoch,
            "content": variant.content,
            "transport": variant.transport.value,
            "received_at": received_at,
            "held": held,
        }
        if (await conn.execute(_INSERT, values)).first() is not None:
            fresh.append(variant)
    return fresh


async def take_held(conn: Executes, *, stream_id: int) -> list[tuple[Event, Transport]]:
    """Take out what waited for a decision on its epoch, by number; it goes through the door again."""
    rows = (await conn.execute(_TAKE_HELD, {"stream_id": stream_id})).all()
    return [(Event(*row[:-1]), Transport(row[-1])) for row in sorted(rows, key=lambda row: int(row[5]))]
