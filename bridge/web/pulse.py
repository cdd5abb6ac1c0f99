"""Who waits for a log to grow is woken here: by a commit of this process, by another's hint, or by nobody."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Pulse:
    """Wakes. Whoever misses it polls."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self.is_over = False

    def tell(self, stream: str) -> None:
        """The stream's log has grown."""
        for event in self._waiting.get(stream, ()):
            event.set()

    def end(self) -> None:
        """Nothing more is told: the process is about to end."""
        self.is_over = True
        for stream in list(self._waiting):
            self.tell(stream)

    @contextmanager
    def of(self, stream: str) -> Iterator[asyncio.Event]:
        """What is set when the stream's log has grown, for as long as the block lasts."""
        event = asyncio.Event()
        self._waiting.setdefault(stream, set()).add(event)
        try:
            yield event
        finally:
            waiting = self._waiting[stream]
            waiting.discard(event)
            if not waiting:
                del self._waiting[stream]
