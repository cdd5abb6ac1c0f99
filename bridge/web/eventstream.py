"""An answer that goes on: server-sent events for one reader, until one of the two has had enough."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MEDIA_TYPE = "text/event-stream"
RETRY_MS = 1_000

Say = Callable[[bytes], Awaitable[None]]
"""Sends a part. Raises TimeoutError for a reader that takes nothing."""
Follow = Callable[[Say], Awaitable[bytes]]
"""Says what there is and what comes; returns what to end with."""


class Room:
    """How many streams are open."""

    def __init__(self) -> None:
        self._open = 0

    def is_full(self, most: int) -> bool:
        return self._open >= most

    @contextmanager
    def taken(self) -> Iterator[None]:
        """A place of it, for as long as the block lasts."""
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


class EventStream(Response):
    """One reader's stream. ``stalled`` is told when it has taken nothing for ``stall_max_s``; then it is left."""

    media_type = MEDIA_TYPE

    def __init__(self, room: Room, follow: Follow, *, stalled: Callable[[], None], stall_max_s: float) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]  # nobody knows it
        self._room = room
        self._follow = follow
        self._stalled = stalled
        self._stall_max_s = stall_max_s

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        with self._room.taken():
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(_until_gone(receive))
                sending = group.create_task(self._send(send))
                await asyncio.wait([listening, sending], return_when=asyncio.FIRST_COMPLETED)
                listening.cancel()
                sending.cancel()

    async def _send(self, send: Send) -> None:
        async def say(content: bytes, *, more: bool = True) -> None:
            async with asyncio.timeout(self._stall_max_s):
                await send({"type": "http.response.body", "body": content, "more_body": more})

        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            await say(b"retry: %d\n\n" % RETRY_MS)
            await say(await self._follow(say), more=False)
        except TimeoutError:
            self._stalled()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
