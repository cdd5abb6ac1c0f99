"""One act of an operator by HTTP: who asks, what was given, one transaction, and once for each idempotency key."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bridge.clock import Clock
from bridge.config.shapes import Destination
from bridge.operate.acting import Acting
from bridge.operate.faults import Conflict, Invalid
from bridge.operate.sealing import PLAIN, SEALED
from bridge.store import idempotency
from bridge.store.engine import store_errors
from bridge.store.idempotency import Answered, Begun, Different, Running
from bridge.store.vault import Vault
from bridge.web.access import caller_of
from bridge.web.problems import BadParameter, TooLarge

BODY_BYTES_MAX = 64 * 1024
KEY_CHARS_MAX = 255
SIDE_BY_SIDE_MAX = 3
"""Operators share the connections with the receiver: they never take more than these of them."""

Given = dict[str, Any]
Act = Callable[[Acting, Given], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One wish, to be granted once for each ``key``; always where that is None. ``digest`` is of all it says."""

    key: str | None
    digest: bytes

    @classmethod
    def of(cls, request: Request, raw: bytes, key: str | None) -> "Asked":
        """What a request asks for. Raises BadParameter for a key that is none."""
        if key is not None and (not 1 <= len(key) <= KEY_CHARS_MAX or not key.isascii() or not key.isprintable()):
            raise BadParameter("Idempotency-Key", f"must be 1 to {KEY_CHARS_MAX} printable ASCII characters")
        return cls(key, hashlib.sha256(f"{request.method} {request.scope['path']}\n".encode() + raw).digest())


@dataclass(frozen=True, slots=True)
class Kept:
    """What the same wish was answered when it was granted."""

    status: int
    content: bytes = field(repr=False)

    def response(self) -> Response:
        return _response(self.status, self.content, {"Idempotent-Replayed": "true"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered. Where ``told`` is None there is no body."""

    told: object
    status: int = 200

    def response(self) -> Response:
        return _response(self.status, b"" if self.told is None else msgspec.json.encode(self.told))


class Operating:
    """Does acts. ``file`` are the destinations of the configuration file, by name."""

    def __init__(self, engine: AsyncEngine, clock: Clock, vault: Vault, file: Mapping[str, Destination]) -> None:
        self._engine = engine
        self.clock = clock
        self._vault = vault
        self._file = file
        self._room = asyncio.Semaphore(SIDE_BY_SIDE_MAX)

    @asynccontextmanager
    async def transaction(self, request: Request) -> AsyncIterator[Acting]:
        """What an act works with, in one transaction."""
        async with self._connection() as connection:
            yield Acting(connection, caller_of(request).name, self.clock.now(), self._vault, self._file)

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[Acting]:
        """The same for whoever only looks: nothing is done, so there is nobody to put on record."""
        async with self._connection() as connection:
            yield Acting(connection, "", self.clock.now(), self._vault, self._file)

    async def act(
        self, request: Request, act: Act, *, status: int = 200, then: Callable[[Any], Awaitable[Any]] | None = None
    ) -> Response:
        """Do it once for each idempotency key. What ``act`` is given is the request's body, a JSON object."""
        raw = await _body(request)
        asked = Asked.of(request, raw, request.headers.get("idempotency-key"))
        answer = await self.once(request, asked, lambda acting: act(acting, _object(raw)), status=status, then=then)
        return answer.response()

    async def once(
        self,
        request: Request,
        asked: Asked,
        act: Callable[[Acting], Awaitable[Any]],
        *,
        status: int = 200,
        then: Callable[[Any], Awaitable[Any]] | None = None,
    ) -> Answer | Kept:
        """Do it, in one transaction with the answer that its key gets from then on.

        ``then`` goes on with what was done outside of any transaction, and its answer is the one that counts.
        Raises HTTPException where the key is in use, or was used for something else.
        """
        begun = await self._begin(request, asked)
        if isinstance(begun, Kept):
            return begun
        done = False
        try:
            async with self.transaction(request) as acting:
                answer = Answer(await act(acting), status)
                if then is None:
                    await self._finish(acting.conn, begun, answer)
            if then is not None:
                answer = Answer(await then(answer.told), status)
                async with self._connection() as connection:
                    await self._finish(connection, begun, answer)
            done = True
        finally:
            if begun is not None and not done:
                async with self._connection() as connection:
                    await idempotency.abandon(connection, begun)
        return answer

    async def _begin(self, request: Request, asked: Asked) -> Begun | Kept | None:
        if asked.key is None:
            return None
        async with self._connection() as connection:
            begun = await idempotency.begin(
                connection,
                actor=caller_of(request).name,
                key=asked.key,
                request=asked.digest,
                now=self.clock.now(),
            )
        match begun:
            case Begun():
                return begun
            case Answered():
                kept = self._vault.open(begun.answer[1:]) if begun.answer[:1] == SEALED else begun.answer[1:]
                return Kept(begun.status, kept)
            case Running():
                text = "a request with this Idempotency-Key is under way"
                raise HTTPException(409, text, headers={"Retry-After": "1"})
            case Different():
                raise HTTPException(422, "this Idempotency-Key was used for another request")

    async def _finish(self, connection: AsyncConnection, begun: Begun | None, answer: Answer) -> None:
        if begun is None:
            return
        told = b"" if answer.told is None else msgspec.json.encode(answer.told)
        # An answer may hold a secret that is shown this once; there is a key then, or it could not have been made.
        kept = SEALED + self._vault.seal(told) if self._vault.has_key else PLAIN + told
        if not await idempotency.finish(connection, begun, status=answer.status, answer=kept):
            raise Conflict("another request with this Idempotency-Key has overtaken this one")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        async with self._room:
            with store_errors():
                async with self._engine.begin() as connection:
                    yield connection


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise TooLarge
        parts.append(part)
    raw = b"".join(parts)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if raw and kind != "application/json":
        raise BadParameter("Content-Type", "must be application/json")
    return raw


def _object(raw: bytes) -> Given:
    """What was given; nothing is an empty object."""
    try:
        return msgspec.json.decode(raw or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid(("", "the body is no JSON object")) from None


def _response(status: int, content: bytes, headers: Mapping[str, str] | None = None) -> Response:
    made = {"Cache-Control": "no-store", **(headers or {})}
    return Response(content, status, headers=made, media_type="application/json" if content else None)
