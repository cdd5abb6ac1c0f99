"""Hints between processes: NOTIFY says that a stream's log has grown. A lost hint costs one poll, never an entry."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.core.errors import StoreUnavailable
from bridge.store.engine import store_errors

log = structlog.get_logger()

CHANNEL = "bridge_log"
EVERY_S = 0.01
RETRY_S = 2.0
CHECK_EVERY_S = 10.0

_NOTIFY = text("SELECT pg_notify(:channel, name) FROM unnest(CAST(:names AS text[])) AS grown (name)")


class Notifier:
    """Tells other processes; many commits share one hint."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._clock = clock
        self._grown: set[str] = set()
        self._called = asyncio.Event()

    def tell(self, stream: str) -> None:
        """The stream's log has grown. Cheap; what is told meanwhile goes out together."""
        self._grown.add(stream)
        self._called.set()

    async def run(self) -> None:
        """Send hints until cancelled."""
        while True:
            await self._called.wait()
            self._called.clear()
            names, self._grown = sorted(self._grown), set()
            try:
                with store_errors():
                    async with self._engine.connect() as connection:
                        await connection.execute(_NOTIFY, {"channel": CHANNEL, "names": names})
            except StoreUnavailable:
                await self._clock.sleep(RETRY_S)
            await self._clock.sleep(EVERY_S)


async def listen_for_hints(engine: AsyncEngine, clock: Clock, wake: Callable[[str], None]) -> None:
    """Call ``wake`` with every stream that another process tells of, until cancelled.

    Holds one connection. Where none can be had, or a pooler drops the hints, the polls behind it do the work.
    """
    while True:
        try:
            with store_errors():
                async with engine.connect() as connection:
                    raw: Any = (await connection.get_raw_connection()).driver_connection
                    await raw.add_listener(CHANNEL, lambda *heard: wake(heard[-1]))
                    while True:
                        await clock.sleep(CHECK_EVERY_S)
                        await raw.execute("SELECT 1")
        except StoreUnavailable as error:
            log.warning("hints.unheard", reason=str(error))
        await clock.sleep(RETRY_S)
