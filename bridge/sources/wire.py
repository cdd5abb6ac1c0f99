"""One WebSocket connection: frames in and out, bounded in size, number and time.

The only file that knows the library. What ends a connection is Closed, whose text holds no address and no key.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

_REFUSED_STATUSES = (401, 403)


class Closed(Exception):
    """The connection is gone, or never came to be. ``refused`` when the venue does not take our key."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.refused = refused


class Wire(Protocol):
    """A connection that is open."""

    async def receive(self, within_s: float) -> bytes | None:
        """The next frame's bytes, None when there is none in ``within_s``. Raises Closed."""
        ...

    async def send(self, frame: str) -> None:
        """Raises Closed, also when the other side does not read."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WireLimits:
    """Bounds of one connection."""

    connect_timeout_s: float = 10.0
    send_timeout_s: float = 10.0
    close_timeout_s: float = 2.0
    frame_bytes_max: int = 1024 * 1024
    frames_waiting_max: int = 1_024


class _Connect(connect):
    """Connects where it is told to, and nowhere else: a redirect would carry the key with it."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class WebSocketWire:
    """A connection of the websockets library. ``refused_code`` is the close code that stands for a refused key."""

    def __init__(self, connection: ClientConnection, limits: WireLimits, *, refused_code: int) -> None:
        self._connection = connection
        self._limits = limits
        self._refused_code = refused_code

    @classmethod
    async def dial(
        cls, url: str, headers: Mapping[str, str], limits: WireLimits, *, refused_code: int
    ) -> "WebSocketWire":
        """An open connection. Raises Closed."""
        try:
            connection = await _Connect(
                url,
                additional_headers=headers,
                compression=None,
                proxy=None,
                ping_interval=None,  # the conversation pings, and its watchdog judges
                open_timeout=limits.connect_timeout_s,
                close_timeout=limits.close_timeout_s,
                max_size=limits.frame_bytes_max,
                max_queue=limits.frames_waiting_max,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            raise Closed(f"HTTP {status}", refused=status in _REFUSED_STATUSES) from None
        except (OSError, WebSocketException) as error:
            raise Closed(f"cannot connect: {type(error).__name__}") from None
        return cls(connection, limits, refused_code=refused_code)

    async def receive(self, within_s: float) -> bytes | None:
        try:
            async with asyncio.timeout(within_s):
                # As bytes: a frame that is no UTF-8 is one bad frame, not the end of the connection.
                return await self._connection.recv(decode=False)
        except TimeoutError:
            return None
        except ConnectionClosed as error:
            raise self._closed(error) from None

    async def send(self, frame: str) -> None:
        try:
            async with asyncio.timeout(self._limits.send_timeout_s):
                await self._connection.send(frame)
        except TimeoutError:
            raise Closed("the venue does not read") from None
        except ConnectionClosed as error:
            raise self._closed(error) from None

    async def close(self) -> None:
        await self._connection.close()

    def _closed(self, error: ConnectionClosed) -> Closed:
        if error.rcvd is None:
            return Closed("cut")
        return Closed(f"closed with code {error.rcvd.code}", refused=error.rcvd.code == self._refused_code)
