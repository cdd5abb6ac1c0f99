"""One act of an operator by HTTP: who asks, what was given, one transaction, and once for each idempotency key."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
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
from bridge.web.problems import BadParameter, TooLarge, problem

BODY_BYTES_MAX = 64 * 1024
KEY_CHARS_MAX = 255
SIDE_BY_SIDE_MAX = 3
"""Operators share the connections with the receiver: they never take more than these of them."""

Given = dict[str, Any]
Act = Callable[[Acting, Given], Awaitable[Any]]


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

    async def act(
        self, request: Request, act: Act, *, status: int = 200, then: Callable[[Any], Awaitable[Any]] | None = None
    ) -> Response:
        """Do it, in one transaction with the answer that its idempotency key gets from then on.

        ``then`` goes on with what was done outside of any transaction, and its answer is the one that counts.
        """
        raw = await _body(request)
        begun = await self._begin(request, raw)
        if isinstance(begun, Response):
            return begun
        done = False
        try:
            async with self.transaction(request) as acting:
                answer = Answer(await act(acting, _object(raw)), status)
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
        return answer.response()

    async def _begin(self, request: Request, raw: bytes) -> Begun | Response | None:
        key = request.headers.get("idempotency-key")
        if key is None:
            return None
        if not 1 <= len(key) <= KEY_CHARS_MAX or not key.isascii() or not key.isprintable():
            raise BadParameter("Idempotency-Key", f"must be 1 to {KEY_CHARS_MAX} printable ASCII characters")
        digest = hashlib.sha256(f"{request.method} {request.scope['path']}\n".encode() + raw).digest()
        async with self._connection() as connection:
            begun = await idempotency.begin(
                connection, actor=caller_of(request).name, key=key, request=digest, now=self.clock.now()
            )
        match begun:
            case Begun():
                return begun
            case Answered():
                kept = self._vault.open(begun.answer[1:]) if begun.answer[:1] == SEALED else begun.answer[1:]
                return _response(begun.status, kept, {"Idempotent-Replayed": "true"})
            case Running():
                return problem(409, "a request with this Idempotency-Key is under way", headers={"Retry-After": "1"})
            case Different():
                return problem(422, "this Idempotency-Key was used for another request")

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
