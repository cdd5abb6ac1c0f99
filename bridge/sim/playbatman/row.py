"""A replay row as the venue holds it, and the bytes it goes out as.

The payload is encoded once, when the number is handed out: replay and webhook carry the same bytes.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec


@dataclass(frozen=True, slots=True)
class Row:
    """One numbered event. ``encoded`` is the JSON object that a replay page holds."""

    sequence: int
    event_id: str
    operator_id: str
    event_type: str
    market_id: str
    payload: bytes
    assigned_at: datetime
    visible_at: datetime
    created_at: datetime
    expires_at: datetime
    epoch: int = 1
    encoded: bytes = field(default=b"", repr=False, compare=False)

    @property
    def key(self) -> tuple[int, int]:
        """(epoch, sequence): what no two rows share."""
        return (self.epoch, self.sequence)


def stamp(at: datetime) -> str:
    """ISO 8601 with milliseconds and Z, as the venue writes times."""
    return at.isoformat(timespec="milliseconds")[:-6] + "Z"


def whole_ms(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def unix_ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def row_of(
    *,
    sequence: int,
    epoch: int,
    event_id: str,
    operator_id: str,
    event_type: str,
    market_id: str,
    payload: bytes,
    assigned_at: datetime,
    visible_at: datetime,
    retention_s: float,
) -> Row:
    """The row with its replay bytes; ``created_at`` is cut to milliseconds, as on the wire."""
    created_at = whole_ms(assigned_at)
    expires_at = created_at + timedelta(seconds=retention_s)
    encoded = b'%b,"createdAt":"%b","expiresAt":"%b"}' % (
        _opening(sequence, event_id, operator_id, event_type, market_id, payload),
        stamp(created_at).encode(),
        stamp(expires_at).encode(),
    )
    return Row(
        sequence,
        event_id,
        operator_id,
        event_type,
        market_id,
        payload,
        assigned_at,
        visible_at,
        created_at,
        expires_at,
        epoch,
        encoded,
    )


def _opening(
    sequence: int | None, event_id: str, operator_id: str, event_type: str, market_id: str, payload: bytes
) -> bytes:
    number = "" if sequence is None else f'"sequence":{sequence},'
    return (
        f'{{"id":"{event_id}",{number}"operatorId":"{operator_id}",'
        f'"eventType":"{event_type}","marketId":"{market_id}","payload":'
    ).encode() + payload


def webhook_row(row: Row, *, numbered: bool = True, payload: bytes | None = None) -> bytes:
    """The delivery that mirrors the replay row, with or without its number, or with another payload."""
    opening = _opening(
        row.sequence if numbered else None,
        row.event_id,
        row.operator_id,
        row.event_type,
        row.market_id,
        row.payload if payload is None else payload,
    )
    return b'%b,"createdAt":"%b"}' % (opening, stamp(row.created_at).encode())


def webhook_bare(row: Row, webhook_id: str) -> bytes:
    """The other envelope people report: neither number nor event id in it."""
    return b'{"event":"%b","data":%b,"timestamp":"%b","webhookId":"%b"}' % (
        row.event_type.encode(),
        row.payload,
        stamp(row.created_at).encode(),
        webhook_id.encode(),
    )


def spaced(body: bytes) -> bytes:
    """The same JSON value with white space between its parts."""
    return json.dumps(json.loads(body), separators=(" , ", " : ")).encode()


def contradicting(payload: bytes) -> bytes:
    """The payload with one value changed: what a venue sends that says two things of one event."""
    told = msgspec.json.decode(payload, type=dict[str, object])
    before = told.get("timestamp")
    told["timestamp"] = before + 1 if isinstance(before, int) else 1
    return msgspec.json.encode(told)
