"""The receiver without ASGI in between: a plain delivery goes from its connection to the door and back.

A task, a scope and five messages for each request cost more than reading the delivery does. What is plain: a POST
to a known path, with its length, of a size that is read in one piece. Everything else goes on through uvicorn to
``Hooks``, which gives the same answers.
"""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Protocol

import structlog
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bridge.clock import Clock
from bridge.core.errors import Overloaded, StoreUnavailable
from bridge.core.event import Event, Transport
from bridge.ingest import Answer
from bridge.web.hooks import GONE, REPLIES, Hooks, Known, Refusal, Reply

log = structlog.get_logger()

_LENGTH_CHARS_MAX = 6
_FAILED = 500


class Offering(Protocol):
    """The part of the door that is known here."""

    def offer(self, stream: str, events: Sequence[Event], answer: Answer, *, transport: Transport) -> None: ...


class Intake:
    """What all connections share."""

    def __init__(self, hooks: Hooks, door: Offering, clock: Clock) -> None:
        self.hooks, self.door, self.clock = hooks, door, clock
        self.known: Mapping[bytes, Known] = {path.encode(): known for path, known in hooks.receivers.items()}


def connections_of(intake: Intake) -> type[HttpToolsProtocol]:
    """The class that uvicorn makes its connections of."""
    return type("Direct", (_Connection,), {"intake": intake})


class _Unheard:
    """In place of the event that a cycle's task waits for: there is no task."""

    def set(self) -> None:
        """Nobody waits."""


_UNHEARD = _Unheard()


class _Connection(HttpToolsProtocol):
    """One connection of uvicorn's, with a way past it."""

    intake: Intake

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._exchange: _Exchange | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._exchange is not None:
            self._exchange.proceed()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._exchange is not None:
            self._exchange.leave()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        known = self.intake.known.get(self.url)
        if known is not None and self._is_plain(known):
            # Uvicorn takes it for the request under way: it collects the body, and a stop waits for the answer.
            self._exchange = self.cycle = _Exchange(self, known, self.headers)  # type: ignore[assignment]  # as much of one as it uses
            return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()

    def answered(self) -> None:
        """The exchange has come to its end."""
        self._exchange = None
        self.on_response_complete()

    def _is_plain(self, known: Known) -> bool:
        parser, limit = self.parser, self.limit_concurrency
        under_way: Any = self.cycle  # None at first, whatever uvicorn's annotation says
        return (
            (under_way is None or under_way.response_complete)
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and 0 <= _length(self.headers) <= min(known.receiver.body_bytes_max, HIGH_WATER_LIMIT)
            and (limit is None or (len(self.connections) < limit and len(self.tasks) < limit))
        )


class _Exchange:
    """One delivery, until it is answered. The first members are those that uvicorn knows of a cycle."""

    __slots__ = ("_connection", "_headers", "_known", "_started", "_timer", "body", "disconnected", "is_taken",
                 "keep_alive", "message_event", "more_body", "response_complete")  # fmt: skip

    def __init__(self, connection: _Connection, known: Known, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.body = bytearray()
        self.more_body = True
        self.disconnected = self.response_complete = False
        self.keep_alive = connection.parser.should_keep_alive()
        self.message_event = _UNHEARD
        self.is_taken = False
        self._connection = connection
        self._known = known
        self._headers = headers
        self._started = connection.intake.clock.monotonic()
        self._timer: asyncio.TimerHandle | None = None

    def proceed(self) -> None:
        """Take the delivery if it is whole; or see to it that the rest comes in time."""
        if self.is_taken:
            return
        if not self.more_body:
            self._take()
        elif self._timer is None:
            timeout_s = self._connection.intake.hooks.body_timeout_s
            self._timer = self._connection.loop.call_later(timeout_s, self._end, 408)

    def leave(self) -> None:
        """The sender has gone. What is with the door is stored all the same."""
        self.disconnected = True
        self._stop_timer()
        if not self.is_taken and not self.response_complete:
            self._connection.intake.hooks.observe(self._known, GONE, started=self._started)

    def done(self) -> bool:
        return self.response_complete

    def set_result(self, result: object, /) -> None:
        """The commit that holds the event is done."""
        self._end(202)

    def set_exception(self, exception: Exception, /) -> None:
        """The event was not stored."""
        if isinstance(exception, Overloaded | StoreUnavailable):
            self._end(self._connection.intake.hooks.postpone(self._known, exception))
        else:
            log.error("delivery.failed", source=self._known.name, error=str(exception))
            self._end(_FAILED)

    def _take(self) -> None:
        self.is_taken = True
        self._stop_timer()
        intake, known = self._connection.intake, self._known
        try:
            event = intake.hooks.read(known, self._headers, bytes(self.body))
            intake.door.offer(known.receiver.stream, (event,), self, transport=Transport.WEBHOOK)
        except Refusal as refusal:
            self._end(refusal.status)
        except (Overloaded, StoreUnavailable) as error:
            self.set_exception(error)

    def _end(self, status: int) -> None:
        transport = self._connection.transport
        self.response_complete = True
        if not self.disconnected and not transport.is_closing():
            reply, close = _WIRE[status]
            transport.write(reply if self.keep_alive else close)
            if not self.keep_alive or reply is close:
                transport.close()
        self._connection.intake.hooks.observe(self._known, status, started=self._started)
        self._connection.answered()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _length(headers: Sequence[tuple[bytes, bytes]]) -> int:
    """The body's length; -1 where it is not plainly said."""
    length = -1
    for name, value in headers:
        if name == b"content-length":
            if length >= 0 or len(value) > _LENGTH_CHARS_MAX or not value.isdigit():
                return -1
            length = int(value)
        elif name == b"transfer-encoding":
            return -1
    return length


def _wire(status: int, reply: Reply) -> tuple[bytes, bytes]:
    """The whole answer in one piece: on a connection that stays, and on one that does not."""
    lines = [b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode())]
    lines += [b"%b: %b" % header for header in reply.headers]
    close = b"\r\n".join([*lines, b"connection: close", b"", reply.body])
    if (b"connection", b"close") in reply.headers:
        close = b"\r\n".join([*lines, b"", reply.body])
        return close, close
    return b"\r\n".join([*lines, b"", reply.body]), close


_WIRE = {status: _wire(status, reply) for status, reply in REPLIES.items()}
