"""The connections: opened when needed, kept for a while, the last one used first, never more than so many."""

import asyncio
import ssl

from bridge.clock import Clock
from bridge.egress.addresses import Unconnected, connect
from bridge.egress.connection import Connection
from bridge.egress.target import Origin

CONNECTIONS_MAX = 1024
IDLE_PER_ORIGIN_MAX = 64
IDLE_S = 4.0
"""Below the 5 s after which common servers close an idle connection: a request must not meet that moment."""


class Pool:
    """Connections by origin. An idle one is taken out of it for as long as it is used."""

    def __init__(self, clock: Clock, *, tls: ssl.SSLContext, connections_max: int, idle_per_origin_max: int) -> None:
        self._clock = clock
        self._tls = tls
        self._connections_max = connections_max
        self._idle_per_origin_max = idle_per_origin_max
        self._idle: dict[Origin, list[Connection]] = {}
        self._open: set[Connection] = set()
        self._opening = 0
        self._sweeping: asyncio.TimerHandle | None = None

    def take(self, origin: Origin) -> Connection | None:
        """A kept connection, if there is one that is not too old."""
        kept = self._idle.get(origin)
        oldest = self._clock.monotonic() - IDLE_S
        while kept:
            connection = kept.pop()
            if connection.is_open and connection.idle_since >= oldest:
                return connection
            connection.abort()
        return None

    def keep(self, origin: Origin, connection: Connection) -> None:
        """Keep the connection for the next request."""
        kept = self._idle.setdefault(origin, [])
        if len(kept) >= self._idle_per_origin_max:
            connection.abort()
            return
        connection.idle_since = self._clock.monotonic()
        kept.append(connection)
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(IDLE_S, self._sweep)

    async def open(self, origin: Origin) -> Connection:
        """A new connection.

        Raises:
            OSError: there is none to be had; nothing was sent.
        """
        if len(self._open) + self._opening >= self._connections_max and not self._spare_one():
            raise Unconnected("too many connections are open")
        self._opening += 1
        try:
            plain = await connect(origin.host, origin.port, allow_private=origin.allow_private)
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self._forget),
                sock=plain,
                ssl=self._tls if origin.tls else None,
                server_hostname=origin.host.rstrip(".") if origin.tls else None,
            )
        finally:
            self._opening -= 1
        if not connection.is_open:
            raise Unconnected("it ended at once")
        self._open.add(connection)
        return connection

    async def close(self) -> None:
        """End every connection, and return when they are gone."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in (going := list(self._open)):
            connection.abort()
        for connection in going:
            await connection.ended()

    def _spare_one(self) -> bool:
        """End the idle connection that waited longest of its origin's, whichever origin comes first."""
        for kept in self._idle.values():
            if kept:
                going = kept.pop(0)
                self._open.discard(going)
                going.abort()
                return True
        return False

    def _sweep(self) -> None:
        oldest = self._clock.monotonic() - IDLE_S
        for origin, kept in list(self._idle.items()):
            fresh = [connection for connection in kept if connection.idle_since > oldest]
            for connection in kept[: len(kept) - len(fresh)]:
                connection.abort()
            if fresh:
                self._idle[origin] = fresh
            else:
                del self._idle[origin]
        self._sweeping = asyncio.get_running_loop().call_later(IDLE_S, self._sweep) if self._idle else None

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
