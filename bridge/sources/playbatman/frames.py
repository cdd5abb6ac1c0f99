"""One frame of the socket, taken apart. Pure: what is an event, what steers the session, and what is neither."""

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from bridge.core.event import Event, digest_of
from bridge.sources.base import Malformed
from bridge.sources.playbatman.envelope import UNREADABLE
from bridge.sources.playbatman.fields import payload_of, text_of, time_of
from bridge.sources.playbatman.page import refusal_code

EVENT_TYPES = frozenset(
    {"PRICE_UPDATE", "ORDERBOOK_UPDATE", "TRADE", "MARKET_STATUS", "POSITION_UPDATE", "ORDER_UPDATE"}
)
_MARKETS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The venue took the key."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The venue took a subscription to these markets."""

    markets: frozenset[str]


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a PING."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The venue did not understand, or did not want, something that was sent to it."""

    code: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """Known, and of no use here."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A frame of a type nobody knows."""

    type: str


Frame = Event | Authenticated | Subscribed | Pong | Refused | Ignored | Unknown


class _Envelope(msgspec.Struct):
    type: str
    payload: msgspec.Raw = msgspec.Raw()


class _Payload(msgspec.Struct):
    marketId: Any = None  # noqa: N815 (the venue's name)
    timestamp: Any = None


class _Markets(msgspec.Struct):
    marketIds: str | list[str]  # noqa: N815 (the venue's name)


_decode = msgspec.json.Decoder(_Envelope).decode
_decode_payload = msgspec.json.Decoder(_Payload).decode
_decode_markets = msgspec.json.Decoder(_Markets).decode


def read_frame(frame: bytes, event_types: frozenset[str] = EVENT_TYPES) -> Frame:
    """What ``frame`` says. Raises Malformed when it is no JSON object with a type."""
    try:
        envelope = _decode(frame)
    except UNREADABLE:
        raise Malformed("no JSON object with a type") from None
    kind = text_of(envelope.type, "the type")
    if kind in event_types:
        return _event(kind, payload_of(bytes(envelope.payload)), frame)
    match kind:
        case "PONG":
            return Pong()
        case "AUTHENTICATED":
            return Authenticated()
        case "SUBSCRIBED":
            return Subscribed(_markets(envelope.payload))
        case "UNSUBSCRIBED":
            return Ignored()
        case "ERROR":
            return Refused(refusal_code(b'{"error":%b}' % (bytes(envelope.payload) or b"null")))
        case _:
            return Unknown(kind)


def _event(kind: str, payload: bytes, frame: bytes) -> Event:
    try:
        said = _decode_payload(payload)
    except UNREADABLE:
        raise Malformed("an event's payload is no object") from None
    event_id = f"ws:{hashlib.sha256(frame).hexdigest()[:32]}"
    key = text_of(said.marketId, "the market")
    return Event(event_id, kind, key, payload, digest_of(payload), None, time_of(said.timestamp))


def _markets(payload: msgspec.Raw) -> frozenset[str]:
    try:
        listed = _decode_markets(payload).marketIds
    except UNREADABLE:
        raise Malformed("an acknowledgement that names no markets") from None
    return frozenset([listed] if isinstance(listed, str) else listed[:_MARKETS_MAX])
