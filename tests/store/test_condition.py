"""How a stream is, in a word."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.store import stance
from bridge.store.condition import condition
from bridge.store.connections import Connection
from tests.events import START
from tests.followed import EXECUTION, declare
from tests.logs import append_events

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["pb.events", "by.execution"])
async def test_no_stream_is_fine_while_nobody_attends_to_its_source(engine: AsyncEngine, name: str) -> None:
    if name == "pb.events":
        await append_events(engine, name, 3)
        async with engine.begin() as conn:
            await conn.execute(text("UPDATE streams SET base = 1, frontier = 4, head = 9"))
    else:
        await declare(engine, EXECUTION)
    async with engine.connect() as conn:
        found = await stance.read(conn, name)
    assert found is not None
    alone = Connection(found.stream.source, "connected", "", START, START)
    assert condition(found, alone, START).word == "unattended"
    held = Connection(found.stream.source, "connected", "", START, START + timedelta(seconds=15))
    assert condition(found, held, START).word != "unattended"
    assert condition(found, None, START).word != "unattended"
