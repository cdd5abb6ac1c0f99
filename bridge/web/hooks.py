"""The receiver: ``POST /in/{source}``, as bare ASGI because it is the hot path.

Nothing of a body is parsed before its signature is verified, and nothing is answered 202 before the door
has returned from the commit that holds it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from bridge.clock import Clock
from bridge.core.errors import Overloaded, StoreUnavailable
from bridge.core.event import Event, Transport
from bridge.core.signature import Headers
from bridge.sources.base import Malformed
from bridge.sources.loud import Loud

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Observe = Callable[[str, int, float], None]
Genuine = Callable[[Headers, bytes, datetime], bool]
Note = Callable[[Event, Headers], None]

BODY_BYTES_MAX = 1024 * 1024
BODY_TIMEOUT_S = 10.0
RETRY_AFTER_S = 1
PREFIX = "/in/"

GONE = 499
"""Observed, never sent: the client left before its body was here."""


class Accepting(Protocol):
    """The part of the door that the receiver knows."""

    async def accept(self, stream: str, events: Sequence[Event], *, transport: Transport) -> object: ...


class Parsing(Protocol):
    """The part of a source that the receiver knows."""

    def parse_webhook(self, body: bytes, delivery_id: str | None) -> Event: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """What is pinned for one source.

    ``genuine`` says whether headers and body, at this time, are the venue's: it holds the secrets, and takes the same
    time whichever of them fits. ``delivery_headers`` may name the delivery, the preferred first.
    """

    source: Parsing
    stream: str
    genuine: Genuine = field(repr=False)
    delivery_headers: tuple[str, ...] = ("X-Webhook-Delivery", "X-Webhook-Id")
    body_bytes_max: int = BODY_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Known:
    """A source that takes deliveries; ``delivery_headers`` as they stand on the wire."""

    name: str
    receiver: Receiver
    delivery_headers: tuple[bytes, ...]


class Refusal(Exception):
    """An answer other than 202."""

    def __init__(self, status: int) -> None:
        self.status = status


@dataclass(frozen=True, slots=True)
class Reply:
    """One constant answer."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def _reply(status: int, text: str, *extra: tuple[bytes, bytes]) -> Reply:
    content = b'{"status":"%b"}' % text.encode()
    fixed = ((b"content-type", b"application/json"), (b"content-length", str(len(content)).encode()))
    return Reply(status, (*fixed, *extra), content)


# Where the body was not read to its end the connection cannot be used again.
_CLOSE = (b"connection", b"close")
REPLIES: Mapping[int, Reply] = {
    202: _reply(202, "accepted"),
    400: _reply(400, "malformed"),
    401: _reply(401, "unauthorized"),
    404: _reply(404, "unknown source", _CLOSE),
    405: _reply(405, "method not allowed", (b"allow", b"POST"), _CLOSE),
    408: _reply(408, "timeout", _CLOSE),
    413: _reply(413, "too large", _CLOSE),
    500: _reply(500, "failed", _CLOSE),
    503: _reply(503, "unavailable", (b"retry-after", str(RETRY_AFTER_S).encode())),
}


class Hooks:
    """The ASGI application. ``observe`` is told source, status and seconds of every request to a known source.

    ``note`` is told each event of a genuine request with the request's headers, just before the door is asked.
    """

    def __init__(
        self,
        receivers: Mapping[str, Receiver],
        door: Accepting,
        clock: Clock,
        *,
        observe: Observe | None = None,
        note: Note | None = None,
        loud: Loud | None = None,
        body_timeout_s: float = BODY_TIMEOUT_S,
    ) -> None:
        self.receivers: Mapping[str, Known] = {
            PREFIX + name: Known(
                name, receiver, tuple(header.lower().encode() for header in receiver.delivery_headers)
            )
            for name, receiver in receivers.items()
        }
        self._door = door
        self._clock = clock
        self._observe = observe
        self._note = note
        self._loud = loud or Loud(clock)
        self.body_timeout_s = body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        known = self.receivers.get(scope["path"])
        if known is None:
            await _answer(send, 404)
            return
        started = self._clock.monotonic()
        try:
            await self._take(known, scope, receive)
            status = 202
        except Refusal as refusal:
            status = refusal.status
        if status != GONE:
            await _answer(send, status)
        self.observe(known, status, started=started)

    def read(self, known: Known, headers: Headers, body: bytes) -> Event:
        """The event in ``body``, if it is genuine. Raises Refusal."""
        receiver = known.receiver
        if not receiver.genuine(headers, body, self._clock.now()):
            raise Refusal(401)
        try:
            event = receiver.source.parse_webhook(body, _first_of(headers, known.delivery_headers))
        except Malformed as error:
            self._loud.say("delivery.malformed", source=known.name, reason=str(error))
            raise Refusal(400) from None
        if self._note is not None:
            self._note(event, headers)
        return event

    def postpone(self, known: Known, error: Overloaded | StoreUnavailable) -> int:
        """Say that the delivery was not stored; the status to answer."""
        self._loud.say("delivery.postponed", source=known.name, reason=type(error).__name__)
        return 503

    def observe(self, known: Known, status: int, *, started: float) -> None:
        """Count an answer, or that the sender left. ``started`` is the monotonic time of the delivery's arrival."""
        if self._observe is not None:
            self._observe(known.name, status, self._clock.monotonic() - started)

    async def _take(self, known: Known, scope: Scope, receive: Receive) -> None:
        """Returns when the event is durable. Raises Refusal."""
        if scope["method"] != "POST":
            raise Refusal(405)
        headers: Headers = scope["headers"]
        receiver = known.receiver
        _check_length(headers, receiver.body_bytes_max)
        try:
            async with asyncio.timeout(self.body_timeout_s):
                body = await _body(receive, receiver.body_bytes_max)
        except TimeoutError:
            raise Refusal(408) from None
        event = self.read(known, headers, body)
        try:
            await self._door.accept(receiver.stream, (event,), transport=Transport.WEBHOOK)
        except (Overloaded, StoreUnavailable) as error:
            raise Refusal(self.postpone(known, error)) from None


def _check_length(headers: Headers, bytes_max: int) -> None:
    """Refuse what announces to be too large before any of it is read."""
    for header, value in headers:
        if header == b"content-length" and (not value.isdigit() or len(value) > 18 or int(value) > bytes_max):
            raise Refusal(413)


async def _body(receive: Receive, bytes_max: int) -> bytes:
    """The whole body; one that grows too large is not read any further."""
    parts: list[bytes] = []
    size = 0
    while True:
        part = await receive()
        if part["type"] != "http.request":
            raise Refusal(GONE)
        parts.append(part.get("body", b""))
        size += len(parts[-1])
        if size > bytes_max:
            raise Refusal(413)
        if not part.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _first_of(headers: Headers, wanted: tuple[bytes, ...]) -> str | None:
    for name in wanted:
        for header, value in headers:
            if header == name:
                return value.decode("latin-1")
    return None


async def _answer(send: Send, status: int) -> None:
    reply = REPLIES[status]
    # Made anew for every request: a middleware may change what passes through it.
    await send({"type": "http.response.start", "status": reply.status, "headers": list(reply.headers)})
    await send({"type": "http.response.body", "body": reply.body})
