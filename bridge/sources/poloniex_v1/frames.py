"""One frame of the socket, taken apart. Pure: what is an event, what steers the session, and what is neither."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from bridge.core.channel import Channel, Told
from bridge.sources.base import Malformed
from bridge.sources.poloniex_v1.channels import Kind, kind_of, symbol_of
from bridge.sources.poloniex_v1.items import READERS, Reader, read_as, told_of
from bridge.sources.poloniex_v1.values import UNREADABLE

TEXT_CHARS_MAX = 100


class Said(NamedTuple):
    """An event. ``proves``: its time is the venue's own, so that everything before it has been heard.

    ``number`` is the venue's word on the order where a channel is not ordered by it.
    """

    told: Told
    proves: bool
    number: int | None


@dataclass(frozen=True, slots=True)
class Welcome:
    """The connection may be spoken on."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A request was taken."""

    id: str


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping."""

    id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A request, or the connection itself, was not taken. ``text`` is bounded and printable."""

    id: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Unwanted:
    """Known or not, it is of no use here; ``what`` says why, ``detail`` what it was."""

    what: str
    detail: str


Frame = Said | Welcome | Acknowledged | Pong | Refused | Unwanted


class _Frame(msgspec.Struct):
    type: Any = None
    id: Any = None
    topic: Any = None
    subject: Any = None
    data: msgspec.Raw = msgspec.Raw()
    userId: Any = None  # noqa: N815 (the venue's name)
    code: Any = None


_decode = msgspec.json.Decoder(_Frame).decode
_decode_any = msgspec.json.Decoder().decode


class FrameReader:
    """Reads the frames of a connection on which ``channels`` are heard."""

    def __init__(self, channels: Iterable[Channel]) -> None:
        self._known: dict[str, tuple[Channel, Kind, Reader]] = {}
        for channel in channels:
            kind = kind_of(channel)
            self._known[channel.topic] = channel, kind, READERS[kind.word]
            if symbol_of(channel):  # a venue that was asked for an older name of it may answer with the newer one
                self._known[f"{kind.path}:{symbol_of(channel)}"] = channel, kind, READERS[kind.word]

    def read(self, frame: bytes) -> Frame:
        """What ``frame`` says. Raises Malformed when it is no JSON object of a known form."""
        try:
            said = _decode(frame)
        except UNREADABLE:
            raise Malformed("no JSON object") from None
        match said.type:
            case "message" | None if type(said.topic) is str:
                return self._event(said, frame)
            case "welcome":
                return Welcome()
            case "ack":
                return Acknowledged(_text(said.id))
            case "pong":
                return Pong(_text(said.id))
            case "error":
                return Refused(_text(said.id), _text(said.code), _words(said.data))
            case "notice" | "command":
                return Unwanted(f"frame.{said.type}", _text(said.subject))
            case _:
                return Unwanted("frame.unknown", _text(said.type))

    def _event(self, said: _Frame, frame: bytes) -> Frame:
        known = self._known.get(said.topic)
        if known is None:
            return Unwanted("frame.other_topic", _text(said.topic))
        channel, kind, reader = known
        if said.userId is not None and not kind.private:
            return Unwanted("frame.private", _text(said.topic))  # ours alone: no part of what all are told
        data = bytes(said.data)
        if not data:
            raise Malformed("an event without data")
        item = read_as(reader, _text(said.subject), data)
        told = told_of(channel, kind, item, bytes(frame) if kind.framed else data)
        return Said(told, kind.stamped and item.at is not None, item.number)


def _text(value: object) -> str:
    """``value`` for ids and logs: printable, bounded."""
    if type(value) is int:
        value = str(value)
    if type(value) is not str:
        return ""
    return "".join(sign for sign in value[:TEXT_CHARS_MAX] if sign.isascii() and sign.isprintable())


def _words(data: msgspec.Raw) -> str:
    try:
        return _text(_decode_any(data))
    except UNREADABLE:
        return ""
