"""Posting: a kept connection or a new one, one request, and what its fate says about where the request got to.

The URL is somebody else's word. No connection is made to an address that is not public unless that was allowed,
no redirect is followed, and what comes back is bounded in size and in time.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from bridge.clock import Clock
from bridge.core.delivery import Answered, MaybeSent, NotSent, Outcome
from bridge.core.retry import parse_retry_after
from bridge.egress.addresses import Unconnected
from bridge.egress.connection import Broken, Connection
from bridge.egress.pool import CONNECTIONS_MAX, IDLE_PER_ORIGIN_MAX, Pool
from bridge.egress.reply import Reply
from bridge.egress.target import Target, Unsendable, target

TARGETS_MAX = 1024


class HttpEgress:
    """Egress over HTTP/1.1. Use as an async context manager: it owns its connections.

    ``tls`` says whom to trust; without it, those that the system trusts.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        tls: ssl.SSLContext | None = None,
        connections_max: int = CONNECTIONS_MAX,
        idle_per_origin_max: int = IDLE_PER_ORIGIN_MAX,
    ) -> None:
        self._clock = clock
        self._targets: dict[tuple[str, bool], Target] = {}
        self._pool = Pool(
            clock,
            tls=tls or tls_context(),
            connections_max=connections_max,
            idle_per_origin_max=idle_per_origin_max,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.close()

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, allow_private: bool
    ) -> Outcome:
        """Post ``body``; see Egress. Reasons never quote the URL."""
        began = self._clock.monotonic()
        deadline = asyncio.get_running_loop().time() + timeout_s
        try:
            aim = self._targets.get((url, allow_private)) or self._target(url, allow_private=allow_private)
            request = aim.request(headers, body)
        except Unsendable as unsendable:
            return NotSent(str(unsendable), 0.0)
        met: Reply | Broken | None = None
        kept = self._pool.take(aim.origin)
        if kept is not None:
            met = await self._exchange(aim, kept, request, deadline)
        if met is None or met is Broken.STALE:
            # A server may close a kept connection just as a request is on its way. To send it again, once and on a
            # new connection, is safe even if the first one arrived: ids are stable, and delivery is at least once.
            try:
                async with asyncio.timeout_at(deadline):
                    fresh = await self._pool.open(aim.origin)
            except OSError as error:
                latency_s = self._clock.monotonic() - began
                return NotSent(_reason(error), latency_s) if met is None else MaybeSent(_reason(error), latency_s)
            met = await self._exchange(aim, fresh, request, deadline)
        return self._outcome(met, self._clock.monotonic() - began)

    def _target(self, url: str, *, allow_private: bool) -> Target:
        if len(self._targets) >= TARGETS_MAX:
            self._targets.clear()
        made = self._targets[url, allow_private] = target(url, allow_private=allow_private)
        return made

    async def _exchange(self, aim: Target, connection: Connection, request: bytes, deadline: float) -> Reply | Broken:
        met = await connection.exchange(request, deadline=deadline)
        if connection.is_open:
            self._pool.keep(aim.origin, connection)
        return met

    def _outcome(self, met: Reply | Broken, latency_s: float) -> Outcome:
        if isinstance(met, Broken):
            return MaybeSent(met.value, latency_s)
        asked = met.retry_after
        wait_s = None if asked is None else parse_retry_after(asked, now=self._clock.now())
        return Answered(met.status, wait_s, met.excerpt, latency_s)


def tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """Checks names and certificates, against ``ca_file`` where it is given."""
    made = ssl.create_default_context(cafile=ca_file)
    made.set_alpn_protocols(["http/1.1"])
    return made


def _reason(error: OSError) -> str:
    """Why there was no connection. The error's own text is used only where it is ours."""
    match error:
        case TimeoutError():
            return "no connection in time"
        case socket.gaierror():
            return "the host name cannot be resolved"
        case ssl.SSLError():
            return "the TLS handshake failed"
        case Unconnected():
            return f"no connection: {error}"
        case _:
            return f"no connection: {os.strerror(error.errno) if error.errno else type(error).__name__}"
