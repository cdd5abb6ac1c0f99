"""Who may do what: the bearer of a token what its scope covers, and where there is no token this machine itself.

A token of the environment may do everything. Tokens of the database are asked for every few seconds, so that one
that was revoked is good for no longer than that. Once any token was made, nobody comes in without one.
"""

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from ipaddress import IPv6Address, ip_address

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from bridge.clock import Clock
from bridge.store import tokens
from bridge.store.engine import store_errors
from bridge.store.tokens import USED_EVERY_S, Scope, Token, digest_of
from bridge.web.fresh import Fresh
from bridge.web.problems import problem

Headers = Sequence[tuple[bytes, bytes]]

PROXIED = frozenset(
    b"x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port x-real-ip x-client-ip forwarded via"
    b" true-client-ip cf-connecting-ip x-request-start".split()
)
"""Headers that only a proxy sets: behind one every caller looks like loopback."""

TOKENS_FRESH_S = 3.0
CALLER = "bridge.caller"
STILL = "bridge.still"

Still = Callable[[], Awaitable[bool]]
"""Asks whether who asked may still be here, as they were. Raises StoreUnavailable."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and how much they may do. ``name`` is a token's, ``environment`` or ``loopback``."""

    name: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class Held:
    """A token that is good now. ``id`` is what it is known by: its row's, or ``environment``."""

    id: str
    caller: Caller
    digest: bytes = field(repr=False)


ENVIRONMENT = "environment"
RESERVED = (ENVIRONMENT, "loopback")
"""Names that no token may have."""
LOOPBACK = Caller("loopback", Scope.ADMIN)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a caller may not come in."""

    status: int
    detail: str
    headers: dict[str, str] = field(default_factory=dict)


_TOKEN_WANTED = Refusal(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
_LOOPBACK_ONLY = Refusal(
    403, "without a token only this machine itself may call: set BRIDGE_API_TOKEN, and send it as a bearer token"
)


class Access:
    """Knows callers. ``token`` is that of the environment, if there is one."""

    def __init__(self, engine: AsyncEngine, clock: Clock, *, token: str | None) -> None:
        self._engine = engine
        self._clock = clock
        self._token = None if token is None else digest_of(token.encode())
        self._tokens = Fresh(self._read, clock, for_s=TOKENS_FRESH_S)
        self._used: dict[int, datetime] = {}

    async def caller(self, headers: Headers, peer: str | None) -> Caller | Refusal:
        """Who calls. Raises StoreUnavailable."""
        borne = bearer(headers)
        if borne is None and self._token is not None:
            return _TOKEN_WANTED
        held = await self.held(borne or b"")
        return held.caller if held is not None else await self.tokenless(headers, peer)

    async def held(self, token: bytes) -> Held | None:
        """What is known of a token that somebody shows, if it is good. Raises StoreUnavailable."""
        digest = digest_of(token)
        if self._token is not None and hmac.compare_digest(digest, self._token):
            return Held(ENVIRONMENT, Caller(ENVIRONMENT, Scope.ADMIN), digest)
        return await self._good(matching(await self._tokens.get(), digest))

    async def known_by(self, token_id: str) -> Held | None:
        """The token that was ``held`` under this id, if it is good still. Raises StoreUnavailable."""
        if token_id == ENVIRONMENT:
            return None if self._token is None else Held(token_id, Caller(ENVIRONMENT, Scope.ADMIN), self._token)
        return await self._good(next((one for one in await self._tokens.get() if str(one.id) == token_id), None))

    async def tokenless(self, headers: Headers, peer: str | None) -> Caller | Refusal:
        """Who calls without a good token. Raises StoreUnavailable."""
        if self._token is not None or await self._tokens.get():
            return _TOKEN_WANTED
        return LOOPBACK if is_this_machine(headers, peer) else _LOOPBACK_ONLY

    async def _good(self, found: Token | None) -> Held | None:
        now = self._clock.now()
        if found is None or not found.is_good(now):
            return None
        await self._note_use(found, now)
        return Held(str(found.id), Caller(found.name, found.scope), found.digest)

    async def _read(self) -> list[Token]:
        with store_errors():
            async with self._engine.connect() as connection:
                return await tokens.listing(connection)

    async def _note_use(self, token: Token, now: datetime) -> None:
        before = self._used.get(token.id) or token.used_at
        if before is not None and now - before < timedelta(seconds=USED_EVERY_S):
            return
        self._used[token.id] = now
        with store_errors():
            async with self._engine.begin() as connection:
                await tokens.used(connection, token.id, now=now)


def matching(known: Sequence[Token], digest: bytes) -> Token | None:
    """The token of this digest. All of them are looked at, so that every answer takes the same time."""
    found = None
    for token in known:
        if hmac.compare_digest(token.digest, digest):
            found = token
    return found


def bearer(headers: Headers) -> bytes | None:
    """The token that is borne, if one is."""
    given = [value for name, value in headers if name == b"authorization"]
    scheme, _, credentials = (given[0] if len(given) == 1 else b"").partition(b" ")
    return credentials.strip() or None if scheme.lower() == b"bearer" else None


def is_this_machine(headers: Headers, peer: str | None) -> bool:
    """Whether a program of this machine calls, and not a page in one of its browsers, nor somebody behind a proxy."""
    names = {name for name, _ in headers}
    if peer is None or not is_loopback(peer) or names & PROXIED:
        return False
    # The host is looked at because a browser here can be led to us under the name of somebody else's page, and the
    # origin because any page may post to us under our own.
    return _named_loopback(headers) and _from_nowhere_else(headers)


def is_loopback(address: str) -> bool:
    """Whether ``address`` is one of this machine's own; an IPv4 one in an IPv6 dress counts as what it is."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped.is_loopback
    return parsed.is_loopback


def _all(headers: Headers, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in headers if name == wanted]


def _named_loopback(headers: Headers) -> bool:
    hosts = _all(headers, b"host")
    if len(hosts) != 1:
        return False
    host = hosts[0]
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower() == "localhost" or is_loopback(name)


def _from_nowhere_else(headers: Headers) -> bool:
    [host] = _all(headers, b"host")
    same = all(origin.partition("://")[2] == host for origin in _all(headers, b"origin"))
    return same and set(_all(headers, b"sec-fetch-site")) <= {"same-origin", "none"}


class Guarded:
    """Routes for those who may: each is declared under the scope that it needs. Others get a problem document."""

    def __init__(self, access: Access, routes: Mapping[Scope, Sequence[Route]]) -> None:
        self._access = access
        self._app: ASGIApp = Router([_scoped(scope, route) for scope, under in routes.items() for route in under])

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        if connection["type"] != "http":
            return
        caller = await self._caller(connection)
        if isinstance(caller, Refusal):
            answer = problem(caller.status, caller.detail, headers=caller.headers)
            await answer(connection, receive, send)
            return
        connection[CALLER] = caller
        connection[STILL] = partial(self._is_still, connection, caller)
        await self._app(connection, receive, send)

    async def _is_still(self, connection: Connection, caller: Caller) -> bool:
        return await self._caller(connection) == caller

    async def _caller(self, connection: Connection) -> Caller | Refusal:
        client = connection.get("client")
        return await self._access.caller(connection["headers"], client[0] if client else None)


def caller_of(request: Request) -> Caller:
    """Who asks, behind ``Guarded``."""
    caller = request.scope[CALLER]
    assert isinstance(caller, Caller)
    return caller


def still_of(request: Request) -> Still:
    """For answers that last, behind a guard."""
    still: Still = request.scope[STILL]
    return still


def _scoped(needed: Scope, route: Route) -> Route:
    async def scoped(request: Request) -> Response:
        caller = caller_of(request)
        if not caller.scope.covers(needed):
            return problem(403, f"this needs the scope {needed}, and the token {caller.name} has {caller.scope}")
        answer: Response = await route.endpoint(request)
        return answer

    return Route(route.path, scoped, methods=sorted(route.methods or ()))
