"""What a consumer is sent for a log entry, or for several: the body's bytes and the headers beside it.

The venue's payload is the last member of the body and travels byte for byte: it is never parsed here.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from bridge.core.event import LogEntry
from bridge.core.signing import sign

BATCH = "bridge.batch"
"""The type of a body that holds several entries."""

_quote = json.JSONEncoder().encode


def webhook_id(entry: LogEntry) -> str:
    """An id that is the same at every attempt, and another for every entry of every stream.

    It is made from the chain value, and from the stream's name because two streams may hold the same events.
    There is no dot in it: the signed content is joined by dots.
    """
    return "msg_" + hashlib.sha256(entry.chain + entry.stream.encode()).hexdigest()[:32]


def batch_id(entries: Sequence[LogEntry]) -> str:
    """An id that is the same whenever the same entries are sent together, and another for every other batch."""
    first, last = entries[0], entries[-1]
    return "msg_" + hashlib.sha256(last.chain + first.chain + last.stream.encode()).hexdigest()[:32]


def body(entry: LogEntry, *, previous: int | None) -> bytes:
    """The entry as JSON.

    ``previous`` is the position that this destination was sent before, 0 at first; None for an entry that was laid
    aside and comes out of its turn.
    """
    text = (
        f'{{"type":{_quote(entry.type)},"timestamp":"{_utc(entry.occurred_at or entry.received_at)}",'
        f'"stream":{_quote(entry.stream)},"position":{entry.position},'
        f'"previous":{"null" if previous is None else previous},'
        f'"kind":"{entry.kind.value}","epoch":{entry.epoch},'
        f'"sequence":{"null" if entry.sequence is None else entry.sequence},'
        f'"id":{_quote(entry.event_id or f"{entry.stream}:{entry.position}")},"key":{_quote(entry.key)},'
        f'"transport":{"null" if entry.transport is None else _quote(entry.transport.value)},'
        f'"received_at":"{_utc(entry.received_at)}","digest":"{entry.digest.hex()}",'
        f'"chain":"{entry.chain.hex()}","data":'
    )
    return b"%b%b}" % (text.encode(), entry.payload)


def batch(bodies: Sequence[bytes], entries: Sequence[LogEntry]) -> bytes:
    """Several entries of one stream as one body: ``bodies`` as they would be sent one by one, in order."""
    first, last = entries[0], entries[-1]
    text = (
        f'{{"type":"{BATCH}","timestamp":"{_utc(last.occurred_at or last.received_at)}",'
        f'"stream":{_quote(last.stream)},"first":{first.position},"last":{last.position},"entries":['
    )
    return b"%b%b]}" % (text.encode(), b",".join(bodies))


def headers(
    entry: LogEntry, content: bytes, *, keys: Sequence[bytes], timestamp_s: int, attempt: int
) -> dict[str, str]:
    """The headers of one attempt to send ``content``, the entry's body. ``attempt`` starts at 1."""
    made = _headers(entry, content, webhook_id(entry), keys=keys, timestamp_s=timestamp_s, attempt=attempt)
    if entry.sequence is not None:
        made["bridge-sequence"] = str(entry.sequence)
    return made


def batch_headers(
    entries: Sequence[LogEntry], content: bytes, *, keys: Sequence[bytes], timestamp_s: int, attempt: int
) -> dict[str, str]:
    """The headers of one attempt to send ``content``, the body of a batch; its position is that of its last entry."""
    message_id = batch_id(entries)
    made = _headers(entries[-1], content, message_id, keys=keys, timestamp_s=timestamp_s, attempt=attempt)
    made["bridge-entries"] = str(len(entries))
    return made


def notice(type_: str, stream: str, at: datetime, **members: object) -> bytes:
    """What the bridge tells one destination outside of any log: it has no position. ``members`` are JSON values."""
    told = {"type": type_, "timestamp": _utc(at), "stream": stream, "position": None, **members}
    return json.dumps(told, separators=(",", ":")).encode()


def notice_headers(
    stream: str, content: bytes, identity: str, *, keys: Sequence[bytes], timestamp_s: int, attempt: int
) -> dict[str, str]:
    """The headers of a notice; ``identity`` says what it is about, the same at every attempt."""
    message_id = "msg_" + hashlib.sha256(f"{stream}\0{identity}".encode()).hexdigest()[:32]
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": sign(keys, webhook_id=message_id, timestamp_s=timestamp_s, body=content),
        "bridge-stream": stream,
        "bridge-attempt": str(attempt),
    }


def _headers(
    entry: LogEntry, content: bytes, message_id: str, *, keys: Sequence[bytes], timestamp_s: int, attempt: int
) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": sign(keys, webhook_id=message_id, timestamp_s=timestamp_s, body=content),
        "bridge-stream": entry.stream,
        "bridge-position": str(entry.position),
        "bridge-attempt": str(attempt),
    }


def _utc(time: datetime) -> str:
    """ISO 8601 with milliseconds and Z. ``time`` is aware UTC."""
    return f"{time.isoformat(timespec='milliseconds')[:23]}Z"
