"""Outgoing requests: one small port, and the only file that knows which client is behind it.

The URL is somebody else's word. No connection is made to an address that is not public unless that was allowed,
no redirect is followed, and what comes back is bounded in size and in time.
"""

import ipaddress
import os
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp import ClientTimeout
from yarl import URL

from bridge import __version__
from bridge.clock import Clock
from bridge.core.delivery import Answered, MaybeSent, NotSent, Outcome
from bridge.core.retry import parse_retry_after

RESPONSE_BYTES_MAX = 64 * 1024
EXCERPT_BYTES_MAX = 512
KEEPALIVE_S = 4.0
"""Below the 5 s after which common servers close an idle connection: a request must not meet that moment."""

DNS_TTL_S = 30
CONNECT_S = 10.0
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Egress(Protocol):
    """A way to post that never raises for what the other side, or the network, does."""

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, allow_private: bool
    ) -> Outcome:
        """The outcome, within ``timeout_s``."""
        ...


class AddressRefused(OSError):
    """The name leads to an address that may not be connected to."""


def is_public(address: str) -> bool:
    """Whether ``address`` (IPv4 or IPv6, as text) is one of the public internet.

    An IPv6 address that stands for an IPv4 one (mapped, 6to4, NAT64) is judged by that one.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = _inner(parsed)
        if inner is not None:
            return is_public(str(inner))
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


class HttpEgress:
    """Egress over aiohttp. Use as an async context manager: it owns its connections."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._urls: dict[str, URL] = {}
        self._timeouts: dict[float, ClientTimeout] = {}

    async def __aenter__(self) -> Self:
        self._sessions = {private: _session(allow_private=private) for private in (False, True)}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            await session.close()

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, allow_private: bool
    ) -> Outcome:
        """Post ``body``; see Egress. Reasons never quote the URL."""
        began = self._clock.monotonic()
        try:
            target = self._urls.get(url) or self._parsed(url)
        except ValueError:
            return NotSent("the URL cannot be used", 0.0)
        try:
            async with self._sessions[allow_private].post(
                target,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=self._timeouts.get(timeout_s) or self._timeout(timeout_s),
            ) as response:
                excerpt = "" if response.content.at_eof() else await _excerpt(response)
                asked = response.headers.get("Retry-After")
                wait_s = None if asked is None else parse_retry_after(asked, now=self._clock.now())
                return Answered(response.status, wait_s, excerpt, self._clock.monotonic() - began)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _mapped(error, self._clock.monotonic() - began)

    def _parsed(self, url: str) -> URL:
        self._urls[url] = parsed = URL(url)
        return parsed

    def _timeout(self, timeout_s: float) -> ClientTimeout:
        self._timeouts[timeout_s] = made = ClientTimeout(total=timeout_s, sock_connect=min(CONNECT_S, timeout_s))
        return made


def _session(*, allow_private: bool) -> aiohttp.ClientSession:
    # No limit on connections here: there is at most one per cursor that is being delivered, and those are bounded.
    connector = aiohttp.TCPConnector(
        limit=0,
        keepalive_timeout=KEEPALIVE_S,
        ttl_dns_cache=DNS_TTL_S,
        socket_factory=None if allow_private else _public_socket,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        raise_for_status=False,
        trust_env=False,
        headers={"User-Agent": f"bridge/{__version__}"},
        skip_auto_headers=("Accept", "Accept-Encoding"),
    )


def _public_socket(address: AddrInfoType) -> socket.socket:
    """The place that every connection passes, after resolving, with the address that will be used and no other."""
    family, kind, protocol, _name, (host, *_rest) = address
    if not is_public(str(host)):
        raise AddressRefused(f"{host} is not a public address")
    return socket.socket(family, kind, protocol)


async def _excerpt(response: aiohttp.ClientResponse) -> str:
    """The beginning of the body, in printable characters; a body beyond the limit costs the connection."""
    kept = bytearray()
    read = 0
    while read < RESPONSE_BYTES_MAX:
        chunk = await response.content.read(RESPONSE_BYTES_MAX - read)
        if not chunk:
            return _printable(kept)
        read += len(chunk)
        kept += chunk[: EXCERPT_BYTES_MAX - len(kept)]
    response.close()
    return _printable(kept)


def _printable(content: bytes | bytearray) -> str:
    text = content.decode("utf-8", "replace")
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _mapped(error: Exception, latency_s: float) -> Outcome:
    """What a foreign error says about where the request got to. Its own text may quote the URL, so is not used."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return NotSent("no connection in time", latency_s)
        case aiohttp.ClientConnectorDNSError():
            return NotSent("the host name cannot be resolved", latency_s)
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return NotSent("the TLS handshake failed", latency_s)
        case aiohttp.ClientConnectorError():
            return NotSent(f"no connection: {_cause(error.os_error)}", latency_s)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return NotSent("the URL cannot be used", latency_s)
        case TimeoutError():
            return MaybeSent("no answer in time", latency_s)
        case aiohttp.ClientConnectionError():
            return MaybeSent("the connection was lost before the answer", latency_s)
        case _:
            return MaybeSent(f"the answer cannot be read: {type(error).__name__}", latency_s)


def _cause(error: OSError) -> str:
    if isinstance(error, AddressRefused):
        return str(error)
    return os.strerror(error.errno) if error.errno else type(error).__name__
