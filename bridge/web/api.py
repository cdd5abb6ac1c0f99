"""The read API under ``/v1``: streams, their gaps, their log as it is delivered, and what proves it."""

from dataclasses import asdict

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.clock import Clock
from bridge.core.event import SEQUENCE_MAX
from bridge.store import gap_in_full, gaps, stance, streams
from bridge.store.streams import Stream
from bridge.web import openapi, parameters
from bridge.web.pull import ABSENT, LIMIT_DEFAULT, Pull, Reads, name_of
from bridge.web.pull_proof import Proof
from bridge.web.pulse import Pulse
from bridge.web.sse import Feed
from bridge.web.told import told


class Api:
    """Answers from ``engine``; a page holds at most ``page_max`` rows or entries.

    ``pulse`` tells of logs that grow; without its word they are looked at every ``poll_every_s``.
    """

    def __init__(
        self, engine: AsyncEngine, clock: Clock, *, page_max: int, pulse: Pulse, poll_every_s: float
    ) -> None:
        self._reads = Reads(engine)
        self._page_max = page_max
        self._pull = Pull(self._reads, page_max=page_max)
        self._feed = Feed(self._reads, pulse, clock, poll_every_s=poll_every_s)
        self._proof = Proof(self._reads, page_max=page_max)

    def routes(self) -> list[Route]:
        return [
            Route("/openapi.json", self.openapi),
            Route("/streams", self.streams),
            Route("/streams/{stream}", self.stream),
            Route("/streams/{stream}/gaps", self.gaps),
            Route("/streams/{stream}/gaps/{gap:int}", self.gap),
            Route("/streams/{stream}/log", self.log),
            Route("/streams/{stream}/digest", self._proof.digest),
            Route("/streams/{stream}/coverage", self._proof.coverage),
        ]

    async def openapi(self, request: Request) -> Response:
        """What there is below ``/v1``, for programs."""
        parameters.only(request)
        return told(openapi.document(page_max=self._page_max))

    async def streams(self, request: Request) -> Response:
        """Every stream as it stands."""
        parameters.only(request)
        async with self._reads.connection() as connection:
            found = await stance.listing(connection)
        return told({"streams": [one.fields() for one in found]})

    async def stream(self, request: Request) -> Response:
        """One stream as it stands."""
        parameters.only(request)
        async with self._reads.connection() as connection:
            found = await stance.read(connection, name_of(request))
        if found is None:
            raise HTTPException(404, ABSENT)
        return told(found.fields())

    async def gaps(self, request: Request) -> Response:
        """Gaps in the order they were opened; ``next`` is what to give as ``after`` for those that follow."""
        parameters.only(request, "after", "limit", "open")
        after = parameters.whole(request, "after", default=0, least=0, most=SEQUENCE_MAX)
        assert after is not None
        limit = parameters.limit(request, default=LIMIT_DEFAULT, most=self._page_max)
        open_only = parameters.word(request, "open", ("true", "false")) == "true"
        async with self._reads.connection() as connection:
            stream = await _stream(connection, request)
            found = await gaps.listing(connection, stream_id=stream.id, after=after, open_only=open_only, limit=limit)
        return told(
            {"gaps": [asdict(gap) | gaps.moments(gap) for gap in found], "next": found[-1].id if found else after}
        )

    async def gap(self, request: Request) -> Response:
        """One gap, what is on record of its span, and every read that was tried for it, the newest first.

        ``next`` is what to give as ``before`` for older reads, null where there are none.
        """
        parameters.only(request, "before", "limit")
        before = parameters.whole(request, "before", default=None, least=1, most=SEQUENCE_MAX)
        limit = parameters.limit(request, default=LIMIT_DEFAULT, most=self._page_max)
        gap_id = int(request.path_params["gap"])
        async with self._reads.connection() as connection:
            stream = await _stream(connection, request)
            found = None
            if gap_id <= SEQUENCE_MAX:
                found = await gap_in_full.read(
                    connection, stream_id=stream.id, gap_id=gap_id, before=before, limit=limit
                )
        if found is None:
            raise HTTPException(404, "there is no such gap")
        return told(found.fields() | {"next": found.reads[-1].id if len(found.reads) == limit else None})

    async def log(self, request: Request) -> Response:
        """The log by pages; as it grows for a reader that accepts an event stream."""
        return await (self._feed.begin(request) if self._feed.is_asked_for(request) else self._pull.page(request))


async def _stream(connection: AsyncConnection, request: Request) -> Stream:
    found = await streams.read(connection, name_of(request))
    if found is None:
        raise HTTPException(404, ABSENT)
    return found
