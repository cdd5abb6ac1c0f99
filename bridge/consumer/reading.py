"""From bytes to entries: whose they are, when they were signed, and whether each one's content has its digest."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from bridge.consumer.faults import Altered, NotOurs, TooOld, Unreadable
from bridge.core.envelope import BATCH
from bridge.core.event import Kind, digest_of
from bridge.core.signing import TOLERANCE_S, decode_secret, verify

_DATA = b'"data":'
"""Stands once outside of the data itself: within text the quotes would be escaped."""


_DIGITS_MAX = 12


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a stream's log. ``data`` is what the venue said, or the bridge itself, byte for byte.

    ``previous`` is the position that was sent before; None for an entry that was laid aside and comes out of its
    turn. Such a one may lie below what was taken since: only its position tells whether it is here already.
    """

    type: str
    timestamp: datetime
    stream: str
    position: int
    previous: int | None
    kind: Kind
    epoch: int
    sequence: int | None
    id: str
    key: str
    transport: str | None
    received_at: datetime
    digest: str
    chain: str
    data: bytes = b""

    def json(self) -> Any:
        """``data`` as a value."""
        return msgspec.json.decode(self.data)


class Entries(msgspec.Struct, frozen=True):
    """What one POST holds of a stream's log, in order. ``id`` is the same whenever the same is sent again."""

    id: str
    stream: str
    entries: tuple[Entry, ...]


class Notice(msgspec.Struct, frozen=True):
    """What the bridge tells outside of the log: ``bridge.checkpoint``, ``bridge.expired`` or ``bridge.test``.

    It has no position and needs nothing but a 2xx. ``members`` are those of its body, ``first`` and ``last`` of what
    expired for one.
    """

    id: str
    type: str
    timestamp: datetime
    stream: str
    members: Mapping[str, Any]


class Page(msgspec.Struct, frozen=True):
    """A page of the log as it was pulled. ``token`` is what to go on with."""

    entries: tuple[Entry, ...]
    next: int
    token: str | None


class _Kind(msgspec.Struct):
    type: str
    position: int | None = None


class _Batch(msgspec.Struct):
    stream: str
    first: int
    last: int
    entries: list[msgspec.Raw]


class _Notice(msgspec.Struct):
    type: str
    timestamp: datetime
    stream: str


class _Page(msgspec.Struct):
    entries: list[msgspec.Raw]
    next: int
    next_token: str | None = None


def open_request(
    headers: Mapping[str, str], body: bytes, *, secrets: Sequence[str], now_s: float
) -> Entries | Notice:
    """What a POST holds. ``secrets`` are the destination's, each ``whsec_...``: any of them may have signed.

    ``now_s`` is the time in Unix seconds, ``time.time()``.

    Raises:
        NotOurs, TooOld, Unreadable, Altered: it must not be taken.
        ValueError: one of ``secrets`` is none.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id = _verified(given, body, [decode_secret(secret) for secret in secrets], now_s)
    try:
        head = msgspec.json.decode(body, type=_Kind)
        if head.type == BATCH:
            return _batch(message_id, body)
        if head.position is None:
            return _notice(message_id, body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"the body cannot be read: {error}") from None
    entry = read_entry(body)
    return Entries(message_id, entry.stream, (entry,))


def read_entry(raw: bytes) -> Entry:
    """An entry from its own bytes: a POST's body, a part of a batch or of a page, or one server-sent event's data.

    Raises:
        Unreadable: it is none.
        Altered: its content does not have its digest.
    """
    at = raw.find(_DATA)
    if at < 0 or not raw.endswith(b"}"):
        raise Unreadable("an entry without data")
    data = raw[at + len(_DATA) : -1]
    try:
        entry = msgspec.json.decode(raw[:at] + b'"data":""}', type=Entry)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"an entry cannot be read: {error}") from None
    if digest_of(data).hex() != entry.digest:
        raise Altered(f"{entry.stream}: the content at position {entry.position} does not have its digest")
    return msgspec.structs.replace(entry, data=data)


def read_page(content: bytes) -> Page:
    """A page of the log from what ``GET /v1/streams/{stream}/log`` answered.

    Raises:
        Unreadable, Altered: as ``read_entry``.
    """
    try:
        page = msgspec.json.decode(content, type=_Page)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"the page cannot be read: {error}") from None
    return Page(tuple(read_entry(bytes(raw)) for raw in page.entries), page.next, page.next_token)


def _verified(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now_s: float) -> str:
    """The message's id. Age is looked at last, so that only what is ours is told to be old."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    signatures = headers.get("webhook-signature", "")
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > _DIGITS_MAX:
        raise NotOurs("there is no time of signing")
    signed_s = int(timestamp)
    if not verify(keys, webhook_id=message_id, timestamp=timestamp, signatures=signatures, body=body, now_s=signed_s):
        raise NotOurs("no signature is made with one of our secrets")
    if abs(now_s - signed_s) > TOLERANCE_S:
        raise TooOld(f"it was signed {round(now_s - signed_s)} seconds ago, and {TOLERANCE_S} are allowed")
    return message_id


def _batch(message_id: str, body: bytes) -> Entries:
    batch = msgspec.json.decode(body, type=_Batch)
    entries = tuple(read_entry(bytes(raw)) for raw in batch.entries)
    positions = [entry.position for entry in entries]
    if {entry.stream for entry in entries} != {batch.stream} or positions != sorted(set(positions)):
        raise Unreadable("a batch holds entries of one stream in order, and this one does not")
    if positions[:1] + positions[-1:] != [batch.first, batch.last]:
        raise Unreadable("a batch does not hold what it says")
    return Entries(message_id, batch.stream, entries)


def _notice(message_id: str, body: bytes) -> Notice:
    head = msgspec.json.decode(body, type=_Notice)
    told = msgspec.json.decode(body, type=dict[str, Any])
    members = {name: told[name] for name in told if name not in ("type", "timestamp", "stream", "position")}
    return Notice(message_id, head.type, head.timestamp, head.stream, members)
