"""The read API under ``/v1``: streams, their gaps, and their log as it is delivered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.core.envelope import body
from bridge.core.event import SEQUENCE_MAX
from bridge.store import gaps, log, stance, streams
from bridge.store.engine import store_errors
from bridge.store.streams import Stream
from bridge.web.problems import BadParameter

LIMIT_DEFAULT = 100
ABSENT = "there is no such stream"
READS_SIDE_BY_SIDE_MAX = 3
"""Readers share the connections with the receiver: they never take more than these of them."""


class Api:
    """Answers from ``engine``; a page holds at most ``page_max`` rows or entries."""

    def __init__(self, engine: AsyncEngine, *, page_max: int) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._page_max = page_max
        self._reading = asyncio.Semaphore(READS_SIDE_BY_SIDE_MAX)

    def routes(self) -> list[Route]:
        return [
            Route("/streams", self.streams),
            Route("/streams/{stream}", self.stream),
            Route("/streams/{stream}/gaps", self.gaps),
            Route("/streams/{stream}/log", self.log),
        ]

    async def streams(self, request: Request) -> Response:
        """Every stream as it stands."""
        _only(request)
        async with self._connection() as connection:
            found = await stance.listing(connection)
        return _json({"streams": [one.fields() for one in found]})

    async def stream(self, request: Request) -> Response:
        """One stream as it stands."""
        _only(request)
        async with self._connection() as connection:
            found = await stance.read(connection, _name(request))
        if found is None:
            raise HTTPException(404, ABSENT)
        return _json(found.fields())

    async def gaps(self, request: Request) -> Response:
        """Gaps in the order they were opened; ``next`` is what to give as ``after`` for those that follow."""
        _only(request, "after", "limit", "open")
        after, limit = self._paging(request)
        open_only = _flag(request, "open")
        async with self._connection() as connection:
            stream = await _stream(connection, request)
            found = await gaps.listing(connection, stream_id=stream.id, after=after, open_only=open_only, limit=limit)
        return _json(
            {"gaps": [asdict(gap) | gaps.moments(gap) for gap in found], "next": found[-1].id if found else after}
        )

    async def log(self, request: Request) -> Response:
        """The log after a position, as it is delivered; ``next`` is what to give as ``after`` for what follows.

        A page may hold fewer than ``limit`` entries although there are more; one without any is the end.
        """
        _only(request, "after", "limit")
        after, limit = self._paging(request)
        async with self._connection() as connection:
            stream = await _stream(connection, request)
            entries = await log.read(connection, stream_id=stream.id, stream=stream.name, after=after, limit=limit)
        bodies = b",".join(body(entry, previous=entry.position - 1) for entry in entries)
        next_after = entries[-1].position if entries else after
        content = b'{"entries":[%b],"next":%d}' % (bodies, next_after)
        return Response(content, media_type="application/json")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        async with self._reading:
            with store_errors():
                async with self._engine.connect() as connection:
                    yield connection

    def _paging(self, request: Request) -> tuple[int, int]:
        after = _whole(request, "after", default=0, least=0, most=SEQUENCE_MAX)
        default = min(LIMIT_DEFAULT, self._page_max)
        return after, _whole(request, "limit", default=default, least=1, most=self._page_max)


async def _stream(connection: AsyncConnection, request: Request) -> Stream:
    found = await streams.read(connection, _name(request))
    if found is None:
        raise HTTPException(404, ABSENT)
    return found


def _name(request: Request) -> str:
    name: str = request.path_params["stream"]
    if "\0" in name:  # no stream has such a name, and Postgres takes no NUL in a text
        raise HTTPException(404, ABSENT)
    return name


def _only(request: Request, *known: str) -> None:
    for name in request.query_params:
        if name not in known:
            allowed = f"one of {', '.join(known)}" if known else "none"
            raise BadParameter(name[:64], f"is no parameter here: expected {allowed}")
        if len(request.query_params.getlist(name)) > 1:
            raise BadParameter(name, "is given more than once")


def _whole(request: Request, name: str, *, default: int, least: int, most: int) -> int:
    given = request.query_params.get(name)
    if given is None:
        return default
    number = int(given) if given.isascii() and given.isdigit() and len(given) <= len(str(most)) else -1
    if not least <= number <= most:
        raise BadParameter(name, f"must be a whole number from {least} to {most}")
    return number


def _flag(request: Request, name: str) -> bool:
    given = request.query_params.get(name, "false")
    if given not in ("true", "false"):
        raise BadParameter(name, "must be true or false")
    return given == "true"


def _json(told: object) -> Response:
    return Response(msgspec.json.encode(told), media_type="application/json")
