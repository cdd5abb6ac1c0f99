"""One connection: a request, its answer, then perhaps the next. It knows of no address and no other connection."""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import cast

from bridge.egress.reply import Reply, Unreadable


class Broken(Enum):
    """Why there is no answer. STALE: a kept connection ended before a byte of the answer."""

    LATE = "no answer in time"
    LOST = "the connection was lost before the answer"
    UNREADABLE = "the answer cannot be read"
    STALE = "the connection had ended"


class Connection(asyncio.Protocol):
    """One request at a time. Anything that leaves a doubt about what comes next ends the connection."""

    def __init__(self, on_lost: Callable[["Connection"], None]) -> None:
        self.idle_since = 0.0
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._reply = Reply()
        self._waiter: asyncio.Future[Reply | Broken] | None = None
        self._is_used = False
        self._ended: asyncio.Future[None] = self._loop.create_future()

    @property
    def is_open(self) -> bool:
        return not (self._ended.done() or self._transport.is_closing())

    async def exchange(self, request: bytes, *, deadline: float) -> Reply | Broken:
        """The answer to ``request``, by ``deadline`` in the loop's time. Afterwards look at ``is_open``.

        Cancelling ends the connection.
        """
        reply = self._reply = Reply()
        waiter: asyncio.Future[Reply | Broken] = self._loop.create_future()
        self._waiter = waiter
        timer = self._loop.call_at(deadline, self._meet, Broken.LATE)
        is_reusable = False
        try:
            self._transport.write(request)
            met = await waiter
            # A server that answers before it has read everything leaves the rest of the request on its way.
            is_reusable = met is reply and reply.keeps_alive and not self._transport.get_write_buffer_size()
            return met
        finally:
            timer.cancel()
            self._waiter = None
            self._is_used = True
            if not is_reusable:
                self._transport.abort()

    def abort(self) -> None:
        self._transport.abort()

    async def ended(self) -> None:
        """Return when nothing is left of it."""
        await self._ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done():
            # Nobody asked for it, so it must not be taken for the next answer.
            self._transport.abort()
            return
        reply = self._reply
        try:
            reply.feed(data)
        except Unreadable:
            self._meet(Broken.UNREADABLE)
        else:
            if reply.is_whole:
                self._waiter.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set_result(None)
        self._reply.end()
        if self._reply.is_whole:
            self._meet(self._reply)
        else:
            self._meet(Broken.STALE if self._is_used and not self._reply.bytes else Broken.LOST)
        self._on_lost(self)

    def _meet(self, met: Reply | Broken) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(met)
