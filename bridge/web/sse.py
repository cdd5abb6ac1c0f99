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

from bridge.clock import Clock
from bridge.core.envelope import body
from bridge.core.errors import BridgeError
from bridge.core.event import LogEntry
from bridge.web import parameters
from bridge.web.access import Still, still_of
from bridge.web.eventstream import MEDIA_TYPE, EventStream, Room, Say
from bridge.web.fresh import Fresh
from bridge.web.problems import problem
from bridge.web.pull import Changed, Forgotten, Place, Reads, confirm, place_of, read
from bridge.web.pulse import Pulse

STREAMS_OPEN_MAX = 32
SLICE_ENTRIES_MAX = 200
SLICE_BYTES_MAX = 256 << 10
HEARTBEAT_EVERY_S = 15.0
STALL_MAX_S = 30.0
"""A reader that takes nothing for so long is left."""
LIFE_MAX_S = 300.0
"""Then the reader comes again, and goes on where it was."""
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
        self.room = Room()

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
        if self.room.is_full(STREAMS_OPEN_MAX) or self.pulse.is_over:
            return problem(503, "too many streams are open", headers={"Retry-After": str(RETRY_AFTER_S)})
        reader = _Reader(self, place, still_of(request))
        return EventStream(self.room, reader.follow, stalled=reader.stalled, stall_max_s=STALL_MAX_S)


class _Reader:
    """Where one reader is, what it is told, and whether it may be."""

    def __init__(self, feed: Feed, place: Place, still: Still) -> None:
        self._feed = feed
        self._place = place
        self._still = still

    def stalled(self) -> None:
        log.warning("feed.stalled", stream=self._place.stream, position=self._place.position)

    async def follow(self, say: Say) -> bytes:
        """Send what there is and what comes; returns what to end with."""
        feed, clock = self._feed, self._feed.clock
        ends_at = clock.monotonic() + LIFE_MAX_S
        said_at = clock.monotonic()
        try:
            with feed.pulse.of(self._place.stream) as grown:
                while not feed.pulse.is_over and clock.monotonic() < ends_at:
                    grown.clear()
                    if not await self._still():
                        return _last(problem(401, "the token is not good any more"))
                    async with feed.reads.connection() as connection:
                        self._place, entries = await read(
                            connection, self._place, limit=SLICE_ENTRIES_MAX, bytes_max=SLICE_BYTES_MAX
                        )
                        if not entries:
                            await confirm(connection, self._place)
                    if entries:
                        await say(events(self._place, entries))
                        said_at = clock.monotonic()
                        continue
                    while not await self._has_grown(grown) and clock.monotonic() < ends_at:
                        if not await self._still():
                            break
                        if clock.monotonic() - said_at >= HEARTBEAT_EVERY_S:
                            await say(b":\n\n")
                            said_at = clock.monotonic()
        except (Changed, Forgotten) as moved:
            return _last(moved.response())
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


def _last(response: Response) -> bytes:
    """What a page would be answered, as the last event."""
    return b"event: problem\ndata: %b\n\n" % bytes(response.body)


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
