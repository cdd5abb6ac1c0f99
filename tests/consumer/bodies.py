"""What a bridge would send, and what a consumer reads of it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from bridge.consumer import Entry, read_entry
from bridge.core.chain import ORIGIN, link
from bridge.core.envelope import batch, batch_headers, body, headers, notice, notice_headers
from bridge.core.event import Kind, LogEntry, Transport, digest_of
from bridge.core.signing import encode_secret

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
SECRET = encode_secret(KEY)
AT = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
NOW_S = int(AT.timestamp())

ODD = (
    b'{"text":"\\"data\\":","price":0.44000}',
    b' {"data":{"data":1}}\n ',
    b'"data"',
    '{"é":"\\u0000","entries":[{"data":2}]}'.encode(),
)
"""Content that looks like the body around it."""


def log(payloads: Sequence[bytes] = ODD, *, told: Sequence[int] = ()) -> list[LogEntry]:
    """A log of events with these payloads; at the positions ``told`` the bridge itself speaks."""
    chain, made = ORIGIN, []
    for position, payload in enumerate(payloads, start=1):
        own = position in told
        kind, sequence = (Kind.GAP, None) if own else (Kind.EVENT, 2**62 + position)
        digest = digest_of(payload)
        chain = link(chain, position, kind, 1, sequence, digest)
        name, type_, key = ("", "bridge.gap", "") if own else (f'"data":{position}', "TYPE", "key")
        way = None if own else Transport.REPLAY
        made.append(
            LogEntry(
                "pb.events", position, kind, 1, sequence, name, type_, key, way, AT, AT, digest, chain, payload
            )
        )  # fmt: skip
    return made


def single(entry: LogEntry, *, previous: int | None, keys: Sequence[bytes] = (KEY,)) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a POST with one entry."""
    content = body(entry, previous=previous)
    return headers(entry, content, keys=keys, timestamp_s=NOW_S, attempt=1), content


def several(entries: Sequence[LogEntry], *, previous: int) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a POST with a batch, whose first entry follows on ``previous``."""
    before = [previous, *(entry.position for entry in entries[:-1])]
    content = batch([body(entry, previous=at) for entry, at in zip(entries, before, strict=True)], entries)
    return batch_headers(entries, content, keys=[KEY], timestamp_s=NOW_S, attempt=1), content


def told(type_: str, **members: object) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a notice."""
    content = notice(type_, "pb.events", AT, **members)
    return notice_headers("pb.events", content, type_, keys=[KEY], timestamp_s=NOW_S, attempt=1), content


def read(entry: LogEntry, *, previous: int | None = -1) -> Entry:
    """The entry as a consumer reads it, after the one before it unless told otherwise."""
    return read_entry(body(entry, previous=entry.position - 1 if previous == -1 else previous))
