"""Databases with something in them, for commands that show it. Synchronous: a command brings a loop of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import SystemClock
from bridge.core.span import Span
from bridge.store import connections, cursors, destinations, gaps, leases
from bridge.store.engine import make_engine
from tests.logs import append_events, make_stream

T = TypeVar("T")


def on(url: str, work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    """What ``work`` returns."""

    async def worked() -> T:
        engine = make_engine(url)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    return asyncio.run(worked())


def now() -> datetime:
    return SystemClock().now()


async def fill(engine: AsyncEngine) -> None:
    """A stream with three entries and an open gap, a listened-to socket, and a destination one entry behind."""
    await append_events(engine, "pb.events", 3)
    await open_gap(engine, 7, 9)
    at = now()
    async with engine.begin() as connection:
        await leases.take(connection, name="source:pb", holder="a", now=at, until=at + timedelta(minutes=5))
        await connections.put(connection, source="pb", state="connected", detail="", now=at)
        ids = await destinations.ensure(connection, ["ledger"], now=at)
        streams = await cursors.streams(connection)
        pair = (ids["ledger"], streams["pb.events"])
        await cursors.ensure(connection, [pair], now=at)
        wish = cursors.Wish(*pair, until=at)
        [claim] = await cursors.claim(connection, [wish], now=at)
        await cursors.settle(connection, claim, position=2, sent=2, due_at=at, accepted=True)


async def open_gap(engine: AsyncEngine, first: int, last: int, *, stream: str = "pb.events") -> None:
    row = await make_stream(engine, stream)
    at = now()
    async with engine.begin() as connection:
        await gaps.open_all(
            connection,
            stream_id=row.id,
            epoch=1,
            found=[(Span.inclusive(first, last), at - timedelta(minutes=3))],
            deadline_at=at + timedelta(hours=5),
            now=at,
        )
