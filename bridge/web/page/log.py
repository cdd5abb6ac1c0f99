"""The log of a stream: browsed in pages, and one entry in full with how it was heard and who was told."""

import re
from contextlib import suppress
from itertools import accumulate
from urllib.parse import quote, urlencode

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bridge.clock import Clock
from bridge.core.event import SEQUENCE_MAX
from bridge.store import hearing, log
from bridge.store.log import Glimpse
from bridge.store.tokens import Scope
from bridge.web import parameters
from bridge.web.destinations import Routes
from bridge.web.page.live import Context, Live
from bridge.web.page.rows import line_of
from bridge.web.problems import BadParameter
from bridge.web.pull import Reads, bounds_of, name_of

PAGE = 50
PREVIEW_CHARS = 160
PAYLOAD_CHARS_MAX = 200_000
INDENTED_BYTES_MAX = 400_000
INDENTED_DEPTH_MAX = 32
"""Every line is indented as deep as it is nested: without both bounds a payload grows a thousandfold."""
LISTED_MAX = 50
FORGOTTEN = "what was before has been deleted"


class Log:
    """The pages below ``/streams/{stream}/log``."""

    def __init__(self, live: Live, reads: Reads, clock: Clock) -> None:
        self._live = live
        self._reads = reads
        self._clock = clock

    def routes(self) -> Routes:
        """By the scope that they need."""
        path = "/streams/{stream}/log"
        return {
            Scope.READ: [
                Route(f"{path}/find", self.find),
                self._live.page(path, "log.html", self.browse, blocks=("log",)),
                self._live.page(f"{path}/{{position:int}}", "entry.html", self.entry, blocks=("deliveries",)),
            ]
        }

    async def browse(self, request: Request) -> Context:
        """A page of entries, the newest first: the end of the log, what follows ``after``, or what is ``before``.

        Raises BadParameter.
        """
        parameters.only(request, "after", "before")
        after = parameters.whole(request, "after", default=None, least=0, most=SEQUENCE_MAX)
        before = parameters.whole(request, "before", default=None, least=1, most=SEQUENCE_MAX)
        if after is not None and before is not None:
            raise BadParameter("before", "does not go together with after")
        async with self._reads.connection() as connection:
            line = await line_of(connection, request, self._clock)
            bounds = await bounds_of(connection, line.name)
            end = bounds.position if before is None else max(min(before - 1, bounds.position), bounds.forgotten)
            begin = max(end - PAGE if after is None else min(after, end), bounds.forgotten)
            entries = await log.glance(
                connection, stream_id=bounds.id, stream=bounds.name, after=begin,
                limit=min(PAGE, end - begin), bytes_max=PREVIEW_CHARS * 4,
            )  # fmt: skip
        last = entries[-1].position if entries else begin
        return {
            "line": line,
            "entries": [(entry, _preview(entry)) for entry in reversed(entries)],
            "bounds": bounds,
            "older": f"?{urlencode({'before': begin + 1})}" if begin > bounds.forgotten else None,
            "newer": f"?{urlencode({'after': last})}" if last < bounds.position else None,
            "at_end": after is None and before is None,
        }

    async def find(self, request: Request) -> Response:
        """Go to the page that begins with a position, or with a number of the venue's."""
        parameters.only(request, "position", "sequence", "epoch")
        wanted = {name: given for name, given in request.query_params.items() if given}
        position = (
            parameters.whole(request, "position", default=1, least=1, most=SEQUENCE_MAX)
            if "position" in wanted
            else None
        )
        async with self._reads.connection() as connection:
            bounds = await bounds_of(connection, name_of(request))
            if position is None and "sequence" in wanted:
                epoch = parameters.whole(request, "epoch", default=1, least=1, most=2**31 - 1)
                sequence = parameters.whole(request, "sequence", default=1, least=1, most=SEQUENCE_MAX)
                assert epoch is not None
                assert sequence is not None
                position = await hearing.position_of(connection, stream_id=bounds.id, epoch=epoch, sequence=sequence)
                if position is None:
                    raise HTTPException(404, "no entry tells of this number, nor of any above it in its epoch")
        query = "" if position is None else f"?{urlencode({'after': position - 1})}"
        return RedirectResponse(f"/streams/{quote(bounds.name, safe='')}/log{query}", 303)

    async def entry(self, request: Request) -> Context:
        """One entry in full. Raises HTTPException where there is none."""
        parameters.only(request)
        position = int(request.path_params["position"])
        async with self._reads.connection() as connection:
            bounds = await bounds_of(connection, name_of(request))
            if position <= bounds.forgotten or position > bounds.position:
                raise HTTPException(404, FORGOTTEN if 0 < position <= bounds.forgotten else "there is no such entry")
            [entry] = await log.read(connection, stream_id=bounds.id, stream=bounds.name, after=position - 1, limit=1)
            place = {"stream_id": bounds.id, "position": position, "limit": LISTED_MAX}
            deliveries = await hearing.deliveries(connection, **place)
            attempts = await hearing.attempts(connection, **place)
            sightings = await hearing.sightings(connection, stream_id=bounds.id, event_id=entry.event_id)
            variants = (
                []
                if entry.sequence is None
                else await hearing.variants(
                    connection, stream_id=bounds.id, epoch=entry.epoch, sequence=entry.sequence, limit=LISTED_MAX
                )
            )
        return {
            "stream": bounds.name, "bounds": bounds, "entry": entry, "payload": shown(entry.payload),
            "deliveries": deliveries, "attempts": attempts, "sightings": sightings, "variants": variants,
        }  # fmt: skip


def _preview(entry: Glimpse) -> str:
    told = entry.beginning.decode(errors="replace")
    return told if len(told) <= PREVIEW_CHARS else f"{told[: PREVIEW_CHARS - 1]}…"


def shown(payload: bytes) -> str:
    """The payload with its own signs and numbers, on lines of their own where it is JSON; not all of a long one."""
    told = None
    if len(payload) <= INDENTED_BYTES_MAX and _depth(payload) <= INDENTED_DEPTH_MAX:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            told = msgspec.json.format(payload, indent=2).decode()
    if told is None:
        told = payload[: PAYLOAD_CHARS_MAX * 4].decode(errors="replace")
    return told if len(told) <= PAYLOAD_CHARS_MAX else f"{told[:PAYLOAD_CHARS_MAX]}…"


def _depth(payload: bytes) -> int:
    """How deep it is nested at most; brackets within a text count too."""
    opened = (1 if bracket in b"[{" else -1 for bracket in re.findall(rb"[\[\]{}]", payload))
    return max(accumulate(opened), default=0)
