"""The gaps of a stream: all there were, and one with every read that was tried and what is on record of it."""

from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from bridge.clock import Clock
from bridge.core.event import SEQUENCE_MAX
from bridge.store import gap_in_full, gaps
from bridge.store.tokens import Scope
from bridge.web import parameters
from bridge.web.destinations import Routes
from bridge.web.page.live import Context, Live
from bridge.web.page.rows import line_of
from bridge.web.pull import Reads

PAGE = 50
EVIDENCE_SHOWN = 50
EVIDENCE_CHARS_MAX = 4_000


class Gaps:
    """The pages below ``/streams/{stream}/gaps``."""

    def __init__(self, live: Live, reads: Reads, clock: Clock) -> None:
        self._live = live
        self._reads = reads
        self._clock = clock

    def routes(self) -> Routes:
        """By the scope that they need."""
        history = "/streams/{stream}/gaps"
        return {
            Scope.READ: [
                self._live.page(history, "gaps.html", self.listing, blocks=("gaps",)),
                self._live.page(f"{history}/{{id:int}}", "gap.html", self.gap, blocks=("gap", "reads", "evidence")),
            ]
        }

    async def listing(self, request: Request) -> Context:
        """The newest first."""
        parameters.only(request, "before")
        before = parameters.whole(request, "before", default=None, least=1, most=SEQUENCE_MAX)
        async with self._reads.connection() as connection:
            line = await line_of(connection, request, self._clock)
            stream_id = line.stance.stream.id
            found = await gaps.page(connection, stream_id=stream_id, before=before, limit=PAGE + 1)
            counts = await gaps.counts(connection, stream_id=stream_id)
        onward = f"?{urlencode({'before': found[PAGE - 1].id})}" if len(found) > PAGE else None
        return {"line": line, "gaps": found[:PAGE], "counts": counts, "before": before, "onward": onward}

    async def gap(self, request: Request) -> Context:
        """One gap. Raises HTTPException where the stream has none of that number."""
        parameters.only(request, "before")
        before = parameters.whole(request, "before", default=None, least=1, most=SEQUENCE_MAX)
        gap_id = min(int(request.path_params["id"]), SEQUENCE_MAX)
        async with self._reads.connection() as connection:
            line = await line_of(connection, request, self._clock)
            found = await gap_in_full.read(
                connection, stream_id=line.stance.stream.id, gap_id=gap_id, before=before, limit=PAGE + 1
            )
        if found is None:
            raise HTTPException(404, "this stream has no such gap")
        newest, tried = found.evidence[::-1][:EVIDENCE_SHOWN], found.reads
        return {
            "line": line,
            "gap": found.gap,
            "evidence": [(one, detail_of(one.detail)) for one in newest],
            "reads": tried[:PAGE],
            "before": before,
            "onward": f"?{urlencode({'before': tried[PAGE - 1].id})}#reads" if len(tried) > PAGE else None,
        }


def detail_of(detail: dict[str, Any]) -> str:
    """What a read wrote down, for people."""
    told = msgspec.json.format(msgspec.json.encode(detail), indent=2).decode()
    return told if len(told) <= EVIDENCE_CHARS_MAX else f"{told[:EVIDENCE_CHARS_MAX]}…"
