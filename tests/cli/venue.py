"""A venue in a thread of its own: commands bring their own loop, so the test must not be in one."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue

from bridge.sim.playbatman import SimConfig
from tests.sim.serving import running

PATIENCE_S = 20


@contextmanager
def venue_on(config: SimConfig) -> Iterator[int]:
    """The port of a venue that answers for as long as the block lasts."""
    ports: Queue[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Queue()

    async def live() -> None:
        leaving = asyncio.Event()
        async with running(config) as venue:
            ports.put((venue.port, asyncio.get_running_loop(), leaving))
            await leaving.wait()

    thread = threading.Thread(target=lambda: asyncio.run(live()), daemon=True)
    thread.start()
    port, loop, leaving = ports.get(timeout=PATIENCE_S)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(leaving.set)
        thread.join(PATIENCE_S)
