"""One frame of a socket, taken apart. Pure: what is told, what answers us, and what is neither."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from bridge.core.channel import Link, Model, Told
from bridge.sources.base import Malformed
from bridge.sources.bybit import items
from bridge.sources.bybit.channels import Topic
from bridge.sources.bybit.kinds import Form
from bridge.sources.bybit.values import UNREADABLE, maybe_time, text_of

_REASON_CHARS_MAX = 160


@dataclass(frozen=True, slots=True)
class News:
    """Events of one topic, in the order of the frame. ``malformed`` counts the items that could not be read."""

    told: tuple[Told, ...]
    sent_at: datetime | None
    malformed: int = 0


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping. ``sent_at`` is None where the product's pongs carry no time."""

    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request of ours. ``failed`` names topics where the venue lists them one by one.

    ``op`` is "" where the venue does not repeat it, ``request`` where it does not repeat our id.
    """

    op: str
    taken: bool
    request: str = ""
    reason: str = ""
    failed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Unknown:
    """A frame that is neither."""

    detail: str


Said = News | Pong | Reply | Unknown


class _Envelope(msgspec.Struct):
    topic: str = ""
    type: str = ""
    ts: Any = None
    cts: Any = None
    cs: Any = None
    id: Any = None
    creationTime: Any = None  # noqa: N815 (the venue's name)
    data: msgspec.Raw = msgspec.Raw()
    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    retCode: int | None = None  # noqa: N815 (the venue's name)
    retMsg: str = ""  # noqa: N815 (the venue's name)
    req_id: Any = None
    reqId: Any = None  # noqa: N815 (the venue's name)
    args: Any = None


class _Response(msgspec.Struct):
    failTopics: list[str] = []  # noqa: N815 (the venue's name)


Read = Callable[[Topic, _Envelope, bytes], News]
_decode = msgspec.json.Decoder(_Envelope).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_response = msgspec.json.Decoder(_Response).decode


class FrameReader:
    """Reads the frames of a connection on which ``topics`` are asked for."""

    def __init__(self, topics: Iterable[Topic]) -> None:
        self._topics = {topic.name: (topic, _READERS[topic.form]) for topic in topics}

    def read(self, frame: bytes) -> Said:
        """What ``frame`` says. Raises Malformed when it is no JSON object of a known shape."""
        try:
            said = _decode(frame)
        except UNREADABLE:
            raise Malformed("no JSON object of a known shape") from None
        if said.topic:
            known = self._topics.get(said.topic)
            if known is None:
                return Unknown(_shown(said.topic))
            topic, read = known
            return read(topic, said, frame)
        return _reply(said)


def _reply(said: _Envelope) -> Said:
    if said.op == "pong" or (said.op == "ping" and said.ret_msg == "pong"):
        stamps = said.args if isinstance(said.args, list) else []
        return Pong(maybe_time(stamps[0]) if stamps else None)
    if said.type == "COMMAND_RESP":
        try:
            response = _decode_response(said.data)
        except UNREADABLE:
            raise Malformed("a response that lists no topics") from None
        return Reply("", bool(said.success), _id(said), _shown(said.ret_msg), frozenset(response.failTopics))
    taken = said.success if said.success is not None else said.retCode == 0 if said.retCode is not None else None
    if taken is None:
        return Unknown(_shown(said.op or said.type))
    code = f"retCode {said.retCode} " if said.retCode else ""
    return Reply(said.op, taken, _id(said), _shown(f"{code}{said.ret_msg or said.retMsg}"))


def _id(said: _Envelope) -> str:
    given = said.req_id if said.req_id is not None else said.reqId
    return given if isinstance(given, str) else ""


def _shown(text: str) -> str:
    """What is safe to show of a text of the venue's."""
    return "".join(char if char.isascii() and char.isprintable() else "?" for char in text[:_REASON_CHARS_MAX])


def _each(said: _Envelope, read: Callable[[bytes, int], Told], sent_at: datetime | None) -> News:
    try:
        listed = _decode_items(said.data)
    except UNREADABLE:
        raise Malformed("the data is no list") from None
    told: list[Told] = []
    for at, item in enumerate(listed):
        try:
            told.append(read(bytes(item), at))
        except Malformed:
            continue
    if listed and not told:
        raise Malformed("no item could be read")
    return News(tuple(told), sent_at, len(listed) - len(told))


def _public(read: Callable[[Topic, bytes], Told]) -> Read:
    def news(topic: Topic, said: _Envelope, frame: bytes) -> News:
        return _each(said, lambda item, _: read(topic, item), maybe_time(said.ts))

    return news


def _private(read: Callable[[Topic, bytes], Told]) -> Read:
    def news(topic: Topic, said: _Envelope, frame: bytes) -> News:
        return _each(said, lambda item, _: read(topic, item), maybe_time(said.creationTime))

    return news


def _positions(topic: Topic, said: _Envelope, frame: bytes) -> News:
    sent_at = maybe_time(said.creationTime)
    return _each(said, lambda item, _: items.position(topic, item, topic.category, otherwise=sent_at), sent_at)


def _accounts(topic: Topic, said: _Envelope, frame: bytes) -> News:
    sent_at = _stamp(said.creationTime)
    named = text_of(said.id, "the id")
    return _each(said, lambda item, at: items.account(topic, item, f"{named}:{at}", sent_at), sent_at)


def _book(topic: Topic, said: _Envelope, frame: bytes) -> News:
    sent_at = _stamp(said.ts)
    at = maybe_time(said.cts) or sent_at
    told = items.book(topic, said.data, frame, at, snapshot=_is_snapshot(said))
    return News((told,), sent_at)


def _top(topic: Topic, said: _Envelope, frame: bytes) -> News:
    sent_at = _stamp(said.ts)
    return News((items.top(topic, said.data, frame, maybe_time(said.cts) or sent_at),), sent_at)


def _whole(topic: Topic, said: _Envelope, frame: bytes) -> News:
    sent_at = _stamp(said.ts)
    if not said.data:
        raise Malformed("a frame without data")
    number = said.cs if type(said.cs) is int else None
    link = Link(None, snapshot=_is_snapshot(said)) if topic.channel.model is Model.MERGE else None
    return News((items.whole(topic, frame, sent_at, number=number, link=link),), sent_at)


def _is_snapshot(said: _Envelope) -> bool:
    if said.type not in ("snapshot", "delta"):
        raise Malformed("neither a snapshot nor a delta")
    return said.type == "snapshot"


def _stamp(value: object) -> datetime:
    stamp = maybe_time(value)
    if stamp is None:
        raise Malformed("a frame without a time")
    return stamp


_READERS: dict[Form, Read] = {
    Form.BOOK: _book,
    Form.TOP: _top,
    Form.TRADE: _public(items.trade),
    Form.TICKER: _whole,
    Form.KLINE: _public(items.candle),
    Form.LIQUIDATION: _public(items.liquidation),
    Form.WHOLE: _whole,
    Form.ORDER: _private(items.order),
    Form.EXECUTION: _private(lambda topic, item: items.execution(topic, item, topic.category)),
    Form.POSITION: _positions,
    Form.ACCOUNT: _accounts,
}
