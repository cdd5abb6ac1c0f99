"""The words every other file speaks: transports, kinds, streams, events and log entries."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

SEQUENCE_MAX = 2**63 - 2
"""The largest number a venue may give an event: one below what Postgres' bigint holds, so that ``n + 1`` fits."""


class Transport(StrEnum):
    """The way an event was heard."""

    WEBHOOK = "webhook"
    WEBSOCKET = "websocket"
    REPLAY = "replay"


class Kind(StrEnum):
    """What a log entry tells its consumer."""

    EVENT = "event"
    GAP = "gap"
    LATE = "late"
    RECOVERED = "recovered"
    CONFLICT = "conflict"
    EPOCH = "epoch"


class Event(NamedTuple):
    """One venue event as one transport told it.

    ``payload`` is the venue's JSON text, byte for byte. ``sequence`` is the venue's number, or None where the
    transport does not carry one. Empty ``type`` or ``key`` means that the transport did not carry the field.
    ``occurred_at`` is the venue's own time of the event, aware UTC.
    """

    event_id: str
    type: str
    key: str
    payload: bytes
    digest: bytes
    sequence: int | None
    occurred_at: datetime | None


def digest_of(payload: bytes) -> bytes:
    """SHA-256 of the payload's bytes: 32 bytes."""
    return hashlib.sha256(payload).digest()


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of a stream's log as it is re-emitted. ``sequence`` is None for what the bridge itself tells."""

    stream: str
    position: int
    kind: Kind
    epoch: int
    sequence: int | None
    event_id: str
    type: str
    key: str
    transport: Transport | None
    occurred_at: datetime | None
    received_at: datetime
    digest: bytes
    chain: bytes
    payload: bytes
