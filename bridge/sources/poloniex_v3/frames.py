"""One frame of a socket, taken apart. Pure: what is an event, what steers the session, and what is neither."""

from dataclasses import dataclass
from typing import Any

import msgspec

from bridge.sources.base import Malformed
from bridge.sources.poloniex_v3.channels import TABLE
from bridge.sources.poloniex_v3.fields import TEXT_CHARS_MAX, sound
from bridge.sources.poloniex_v3.rows import UNREADABLE, Item, book_item, items_of

LINKED = "book_lv2"
AUTH = "auth"


@dataclass(frozen=True, slots=True)
class Pushed:
    """Events of the channel ``word``. ``malformed`` says what was wrong with the rows that are none."""

    word: str
    items: tuple[Item, ...]
    malformed: str | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """The venue took a subscription; ``symbols`` may be a part of what was asked for, and may be left out."""

    word: str
    symbols: frozenset[str]


@dataclass(frozen=True, slots=True)
class Authentication:
    """What the venue says to our key."""

    taken: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The venue did not want something that was sent to it; it does not say what."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """Known, and of no use here."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A frame of a kind nobody knows."""

    kind: str


Frame = Pushed | Subscription | Authentication | Pong | Refused | Ignored | Unknown


class _Envelope(msgspec.Struct):
    channel: Any = None
    event: Any = None
    action: Any = None
    symbols: Any = None
    message: Any = None
    subscriptions: Any = None
    data: msgspec.Raw = msgspec.Raw()


class _Answer(msgspec.Struct):
    success: bool
    message: Any = None


_decode = msgspec.json.Decoder(_Envelope).decode
_decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode


def read_frame(frame: bytes) -> Frame:
    """What ``frame`` says. Raises Malformed when it is no frame of this venue."""
    try:
        envelope = _decode(frame)
    except UNREADABLE:
        raise Malformed("no JSON object") from None
    sound(frame)
    word = envelope.channel
    if envelope.event is not None:
        return _steering(envelope)
    if type(word) is not str:
        return Ignored() if envelope.subscriptions is not None else Unknown("a frame without a channel")
    if word == AUTH:
        return _authentication(envelope.data)
    if word not in TABLE:
        return Unknown(plain(word))
    return _pushed(word, envelope.action, bytes(envelope.data), frame)


def read_authentication(frame: bytes) -> Authentication | None:
    """What the venue says to our key, an error included: nothing else was asked yet. None for any other frame."""
    try:
        said = read_frame(frame)
    except Malformed:
        return None
    match said:
        case Authentication():
            return said
        case Refused(reason):
            return Authentication(taken=False, reason=reason)
        case _:
            return None


def plain(said: object) -> str:
    """What the venue said, cut to what is safe to show."""
    text = said if isinstance(said, str) else ""
    return "".join(sign if sign.isascii() and sign.isprintable() else "?" for sign in text[:TEXT_CHARS_MAX])


def _steering(envelope: _Envelope) -> Frame:
    match envelope.event:
        case "pong":
            return Pong()
        case "error":
            return Refused(plain(envelope.message))
        case "subscribe" if type(envelope.channel) is str:
            symbols = envelope.symbols if isinstance(envelope.symbols, list) else []
            return Subscription(envelope.channel, frozenset(name for name in symbols if type(name) is str))
        case "unsubscribe" | "unsubscribe_all" | "list_subscriptions":
            return Ignored()
        case str(kind):
            return Unknown(plain(kind))
    raise Malformed("a frame whose event is no word")


def _authentication(data: msgspec.Raw) -> Authentication:
    try:
        answer = _decode_answer(data)
    except UNREADABLE:
        raise Malformed("an answer to the key of another shape") from None
    return Authentication(answer.success, plain(answer.message))


def _pushed(word: str, action: object, data: bytes, frame: bytes) -> Pushed:
    if data[:1] == b"{":
        rows = [data]
    else:
        try:
            rows = [bytes(row) for row in _decode_rows(data)]
        except UNREADABLE:
            raise Malformed(f"a push of {word} without rows") from None
    if word == LINKED:
        return _book(rows, plain(action), frame)
    items: list[Item] = []
    wrong: str | None = None
    for row in rows:
        try:
            items += items_of(word, row)
        except Malformed as error:
            wrong = str(error)
    if wrong is not None and not items:
        raise Malformed(wrong)
    return Pushed(word, tuple(items), wrong)


def _book(rows: list[bytes], action: str, frame: bytes) -> Pushed:
    """A book's frame is its payload; of several rows, each gets the frame it would have had alone."""
    if len(rows) == 1:
        return Pushed(LINKED, (book_item(rows[0], frame, action),))
    alone = b'{"channel":"book_lv2","data":[%b],"action":"%b"}'
    return Pushed(LINKED, tuple(book_item(row, alone % (row, action.encode()), action) for row in rows))
