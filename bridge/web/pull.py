"""The log as it is pulled: from a position or a token, in pages or as it grows, and never another log than before.

A reader that comes back with a token is told if the log was restored or rewritten since (409), or if what it wants
next was deleted (410). Both look at the chain, and at nothing that a restored database would have again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bridge.core.chain import link
from bridge.core.envelope import body
from bridge.core.event import SEQUENCE_MAX, LogEntry
from bridge.store import digests, log
from bridge.store.digests import Bounds
from bridge.store.engine import store_errors
from bridge.store.log import LogBroken
from bridge.web import parameters
from bridge.web.problems import BadParameter, problem
from bridge.web.pull_token import Token

LIMIT_DEFAULT = 100
ABSENT = "there is no such stream"
READS_SIDE_BY_SIDE_MAX = 3
"""Readers share the connections with the receiver: they never take more than these of them."""

_POSITIONS = text("SELECT name, position FROM streams ORDER BY name LIMIT 1000")


class Reads:
    """Connections for those who read; none of them writes."""

    def __init__(self, engine: AsyncEngine, *, isolation: IsolationLevel = "AUTOCOMMIT") -> None:
        self._engine = engine.execution_options(isolation_level=isolation)
        self._room = asyncio.Semaphore(READS_SIDE_BY_SIDE_MAX)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        async with self._room:
            with store_errors():
                async with self._engine.connect() as connection:
                    yield connection

    async def positions(self) -> dict[str, int]:
        """How far each stream's log goes."""
        async with self.connection() as connection:
            return {row[0]: row[1] for row in (await connection.execute(_POSITIONS)).all()}


class Changed(Exception):
    """The log is not the one that the reader has read from."""

    def response(self) -> Response:
        return problem(409, str(self))


class Forgotten(Exception):
    """What the reader wants next was deleted. ``oldest`` is the first position that is left."""

    def __init__(self, stream: str, oldest: int) -> None:
        self.oldest = oldest
        super().__init__(f"the log of {stream} begins at position {oldest}: what was before it has been deleted")

    def response(self) -> Response:
        return problem(410, str(self), oldest=self.oldest)


class Place(NamedTuple):
    """Where a reader is. ``chain`` is None where it is beyond the end, and nobody knows what will be there."""

    stream_id: int
    stream: str
    position: int
    chain: bytes | None

    def token(self) -> str | None:
        return None if self.chain is None else Token.of(self.stream_id, self.position, self.chain).text()

    def after(self, entry: LogEntry) -> "Place":
        return self._replace(position=entry.position, chain=entry.chain)


class Pull:
    """The log by pages. A page holds at most ``page_max`` entries."""

    def __init__(self, reads: Reads, *, page_max: int) -> None:
        self._reads = reads
        self._page_max = page_max

    async def page(self, request: Request) -> Response:
        """The log after a position or a token, as it is delivered; ``next_token`` is what to go on with.

        A page may hold fewer than ``limit`` entries although there are more; one without any is the end.
        """
        parameters.only(request, "after", "token", "limit")
        limit = parameters.limit(request, default=LIMIT_DEFAULT, most=self._page_max)
        try:
            async with self._reads.connection() as connection:
                place, entries = await read(connection, await place_of(connection, request), limit=limit)
        except (Changed, Forgotten) as moved:
            return moved.response()
        bodies = b",".join(body(entry, previous=entry.position - 1) for entry in entries)
        token = place.token()
        told = b"null" if token is None else b'"%b"' % token.encode()
        content = b'{"entries":[%b],"next":%d,"next_token":%b}' % (bodies, place.position, told)
        return Response(content, media_type="application/json")


async def place_of(connection: AsyncConnection, request: Request, *, last_event: str | None = None) -> Place:
    """Where the request wants to begin: after the last event that was heard, its token, or its position.

    Raises:
        Changed, Forgotten, HTTPException, BadParameter.
    """
    stream = name_of(request)
    given = request.query_params.get("token") if last_event is None else last_event
    called = "token" if last_event is None else "Last-Event-ID"
    if last_event is None and given is not None and "after" in request.query_params:
        raise BadParameter("after", "does not go together with token")
    token = None if given is None else Token.read(given)
    if given is not None and token is None:
        raise BadParameter(called, "was never given out")
    bounds = await bounds_of(connection, stream)
    if token is None:
        after = parameters.whole(request, "after", default=0, least=0, most=SEQUENCE_MAX)
        assert after is not None
        return Place(bounds.id, stream, after, await _chain(connection, bounds, after))
    if token.stream_id != bounds.id or token.position > bounds.position:
        raise Changed(_changed(stream, token.position))
    chain = await _chain(connection, bounds, token.position)
    if not token.is_at(chain):
        # Retention may have deleted it since the bounds were looked at; then they say so now.
        chain = await _chain(connection, await bounds_of(connection, stream), token.position)
    if not token.is_at(chain):
        raise Changed(_changed(stream, token.position))
    return Place(bounds.id, stream, token.position, chain)


async def read(
    connection: AsyncConnection, place: Place, *, limit: int, bytes_max: int = log.SLICE_BYTES_MAX
) -> tuple[Place, list[LogEntry]]:
    """The entries after ``place``, and the place after them.

    Raises:
        Changed: they do not follow from what was read before.
        Forgotten: they were deleted.
    """
    try:
        entries = await log.read(
            connection,
            stream_id=place.stream_id,
            stream=place.stream,
            after=place.position,
            limit=limit,
            bytes_max=bytes_max,
        )
    except LogBroken:
        # Retention may have deleted them since the place was looked at; then it says so.
        await _chain(connection, await bounds_of(connection, place.stream), place.position)
        raise
    if not entries:
        return place, []
    first = entries[0]
    if place.chain is not None:
        follows = link(place.chain, first.position, first.kind, first.epoch, first.sequence, first.digest)
        if follows != first.chain:
            raise Changed(_changed(place.stream, place.position))
    return place.after(entries[-1]), entries


async def confirm(connection: AsyncConnection, place: Place) -> None:
    """Return if the log still is the one that was read up to ``place``. Raises Changed, Forgotten."""
    bounds = await bounds_of(connection, place.stream)
    if place.chain is None:
        return
    if await _chain(connection, bounds, place.position) != place.chain:
        raise Changed(_changed(place.stream, place.position))


async def bounds_of(connection: AsyncConnection, stream: str) -> Bounds:
    """What is left of the stream's log. Raises HTTPException where there is no such stream."""
    found = await digests.bounds(connection, stream)
    if found is None:
        raise HTTPException(404, ABSENT)
    return found


def name_of(request: Request) -> str:
    """The stream that the path names. Raises HTTPException for what no stream can be called."""
    name: str = request.path_params["stream"]
    if "\0" in name:  # Postgres takes no NUL in a text
        raise HTTPException(404, ABSENT)
    return name


async def _chain(connection: AsyncConnection, bounds: Bounds, position: int) -> bytes | None:
    if position < bounds.forgotten:
        raise Forgotten(bounds.name, bounds.forgotten + 1)
    return await digests.chain_at(connection, bounds, position)


def _changed(stream: str, position: int) -> str:
    return (
        f"the log of {stream} is not the one that was read up to position {position}:"
        " it was restored or rewritten since. Compare what you have with /digest, and begin again with after="
    )
