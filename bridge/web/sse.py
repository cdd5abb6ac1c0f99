"""A log as it grows, as server-sent events: the same entries as a page holds, and as long as the reader stays.

While it waits a stream holds no connection to the database. It is woken by what this process commits, by hints from
others, and otherwise by one look at all logs that all waiting streams share.
"""

import asyncio
import base64
from collections.abc import Iterable

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bridge.clock import Clock
from bridge.core.envelope import body
from bridge.core.errors import BridgeError
from bridge.core.event import LogEntry
from bridge.web import parameters
from bridge.web.fresh import Fresh
from bridge.web.problems import problem
from bridge.web.pull import Changed, Forgotten, Place, Reads, confirm, place_of, read
from bridge.web.pulse import Pulse

MEDIA_TYPE = "text/event-stream"
STREAMS_OPEN_MAX = 32
SLICE_ENTRIES_MAX = 200
SLICE_BYTES_MAX = 256 << 10
HEARTBEAT_EVERY_S = 15.0
STALL_MAX_S = 30.0
"""A reader that takes nothing for so long is left."""
LIFE_MAX_S = 300.0
"""Then the reader comes again, with its token, and whether it may still read is asked again."""
RETRY_MS = 1_000
RETRY_AFTER_S = 5

log = structlog.get_logger()


class Feed:
    """Opens streams, so many at once and no more."""

    def __init__(self, reads: Reads, pulse: Pulse, clock: Clock, *, poll_every_s: float) -> None:
        self.reads = reads
        self.pulse = pulse
        self.clock = clock
        self.poll_every_s = poll_every_s
        self.positions = Fresh(reads.positions, clock, for_s=poll_every_s)
        self.open = 0

    def is_asked_for(self, request: Request) -> bool:
        """Whether the reader would have an event stream, and says so by name."""
        accepted = ",".join(request.headers.getlist("accept")).split(",")
        return any(one.partition(";")[0].strip().lower() == MEDIA_TYPE for one in accepted)

    async def begin(self, request: Request) -> Response:
        """The answer that goes on. Raises BadParameter, HTTPException."""
        parameters.only(request, "after", "token")
        try:
            async with self.reads.connection() as connection:
                place = await place_of(connection, request, last_event=request.headers.get("last-event-id") or None)
        except (Changed, Forgotten) as moved:
            return moved.response()
        if request.method == "HEAD":
            return Response(media_type=MEDIA_TYPE)
        if self.open >= STREAMS_OPEN_MAX or self.pulse.is_over:
            return problem(503, "too many streams are open", headers={"Retry-After": str(RETRY_AFTER_S)})
        return _Stream(self, place)


class _Stream(Response):
    """One reader's stream."""

    media_type = MEDIA_TYPE

    def __init__(self, feed: Feed, place: Place) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]  # nobody knows it
        self._feed = feed
        self._place = place

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        feed = self._feed
        feed.open += 1
        try:
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(_until_gone(receive))
                sending = group.create_task(self._send(send))
                await asyncio.wait([listening, sending], return_when=asyncio.FIRST_COMPLETED)
                listening.cancel()
                sending.cancel()
        finally:
            feed.open -= 1

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            await _part(send, b"retry: %d\n\n" % RETRY_MS)
            last = await self._follow(send)
            async with asyncio.timeout(STALL_MAX_S):
                await send({"type": "http.response.body", "body": last})
        except TimeoutError:
            log.warning("feed.stalled", stream=self._place.stream, position=self._place.position)

    async def _follow(self, send: Send) -> bytes:
        """Send what there is and what comes; returns what to end with."""
        feed, clock = self._feed, self._feed.clock
        ends_at = clock.monotonic() + LIFE_MAX_S
        said_at = clock.monotonic()
        try:
            with feed.pulse.of(self._place.stream) as grown:
                while not feed.pulse.is_over and clock.monotonic() < ends_at:
                    grown.clear()
                    async with feed.reads.connection() as connection:
                        self._place, entries = await read(
                            connection, self._place, limit=SLICE_ENTRIES_MAX, bytes_max=SLICE_BYTES_MAX
                        )
                        if not entries:
                            await confirm(connection, self._place)
                    if entries:
                        await _part(send, events(self._place, entries))
                        said_at = clock.monotonic()
                        continue
                    while not await self._has_grown(grown) and clock.monotonic() < ends_at:
                        if clock.monotonic() - said_at >= HEARTBEAT_EVERY_S:
                            await _part(send, b":\n\n")
                            said_at = clock.monotonic()
        except (Changed, Forgotten) as moved:
            return b"event: problem\ndata: %b\n\n" % bytes(moved.response().body)
        except BridgeError as fault:
            log.warning("feed.ended", stream=self._place.stream, reason=str(fault))
        return b""

    async def _has_grown(self, grown: asyncio.Event) -> bool:
        """Wait for a word, or for the time to look; whether there may be something to read.

        Raises BridgeError.
        """
        try:
            async with asyncio.timeout(self._feed.poll_every_s):
                await grown.wait()
        except TimeoutError:
            position = (await self._feed.positions.get()).get(self._place.stream)
            return position != self._place.position
        return True


def events(after: Place, entries: Iterable[LogEntry]) -> bytes:
    """Entries as events; the id of each is the token to go on with after it."""
    return b"".join(
        b"id: %b\n%b\n\n"
        % ((after.after(entry).token() or "").encode(), _lines(body(entry, previous=entry.position - 1)))
        for entry in entries
    )


def _lines(content: bytes) -> bytes:
    """``content`` so that a reader of events gets its bytes back: in base64 where it would not."""
    if b"\r" not in content and _is_text(content):
        return b"\n".join(b"data: " + line for line in content.split(b"\n"))
    return b"event: base64\ndata: " + base64.b64encode(content)


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


async def _part(send: Send, content: bytes) -> None:
    async with asyncio.timeout(STALL_MAX_S):
        await send({"type": "http.response.body", "body": content, "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
