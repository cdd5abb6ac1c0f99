"""Who may read: the bearer of the token, or without one nobody but this machine itself."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.web.problems import problem

Headers = Sequence[tuple[bytes, bytes]]

PROXIED = frozenset(
    b"x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port x-real-ip x-client-ip forwarded via"
    b" true-client-ip cf-connecting-ip x-request-start".split()
)
"""Headers that only a proxy sets: behind one every caller looks like loopback."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a caller may not read."""

    status: int
    detail: str
    headers: dict[str, str] = field(default_factory=dict)


_TOKEN_WANTED = Refusal(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
_LOOPBACK_ONLY = Refusal(
    403, "without a token only this machine itself may read: set BRIDGE_API_TOKEN, and send it as a bearer token"
)


def refusal(token: str | None, headers: Headers, peer: str | None) -> Refusal | None:
    """None for a caller who may read.

    Args:
        token: what a caller must bear; None means that only loopback callers may read.
        headers: names in lower case and values, as ASGI gives them.
        peer: the address at the other end of the connection.
    """
    if token is not None:
        return None if _bears(token, headers) else _TOKEN_WANTED
    names = {name for name, _ in headers}
    # The host is looked at because a browser here can be led to us under the name of somebody else's page.
    local = peer is not None and is_loopback(peer) and not names & PROXIED and _named_loopback(headers)
    return None if local else _LOOPBACK_ONLY


def is_loopback(address: str) -> bool:
    """Whether ``address`` is one of this machine's own; an IPv4 one in an IPv6 dress counts as what it is."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped.is_loopback
    return parsed.is_loopback


def _bears(token: str, headers: Headers) -> bool:
    given = [value for name, value in headers if name == b"authorization"]
    scheme, _, credentials = (given[0] if len(given) == 1 else b"").partition(b" ")
    # Compared in any case, so that every refusal takes the same time.
    same = hmac.compare_digest(credentials.strip(), token.encode())
    return same and scheme.lower() == b"bearer"


def _named_loopback(headers: Headers) -> bool:
    hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
    if len(hosts) != 1:
        return False
    host = hosts[0]
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower() == "localhost" or is_loopback(name)


class Guarded:
    """``app`` for those who may read, and a problem document for all others."""

    def __init__(self, app: ASGIApp, *, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        client = scope.get("client")
        refused = refusal(self._token, scope["headers"], client[0] if client else None)
        if refused is None:
            await self._app(scope, receive, send)
        else:
            answer = problem(refused.status, refused.detail, headers=refused.headers)
            await answer(scope, receive, send)
