"""Rewinding by HTTP: to a position, a number, a time or the beginning, also under a worker that delivers."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.event import Kind
from tests.logs import START, append_events, append_told
from tests.web.operators import URL, Bridge, operated

LEDGER = {"name": "ledger", "url": URL}
REWIND = "/destinations/ledger/rewind"


async def taken(engine: AsyncEngine, bridge: Bridge, count: int = 10) -> None:
    """A destination that has taken everything."""
    await append_events(engine, "pb.events", count)
    await bridge.call("POST", "/destinations", LEDGER, status=201)
    assert await bridge.deliver() == list(range(1, count + 1))


@pytest.mark.parametrize(
    "given, first",
    [
        ({"stream": "pb.events", "position": 4}, 4),
        ({"stream": "pb.events", "position": 1}, 1),
        ({"stream": "pb.events", "sequence": 7}, 7),
        ({"stream": "pb.events", "sequence": 7, "epoch": 1}, 7),
        ({"stream": "pb.events", "sequence": 1, "epoch": 2}, 11),
        ({"beginning": True}, 1),
        ({"beginning": True, "stream": "pb.events"}, 1),
        ({"time": START.isoformat()}, 1),
        ({"time": (START + timedelta(seconds=1)).isoformat()}, 11),
    ],
)
async def test_what_is_named_is_delivered_next(engine: AsyncEngine, given: dict[str, Any], first: int) -> None:
    async with operated(engine) as bridge:
        await taken(engine, bridge)
        told = await bridge.call("POST", REWIND, given)
        assert told["moved"] == [{"stream": "pb.events", "was": 10, "position": first - 1, "head": 10}]
        assert await bridge.deliver() == list(range(first, 11))
        again = bridge.post.sent[10:]
        assert [one.told["previous"] for one in again] == list(range(first - 1, 10)), "continuity is told"


async def test_a_time_is_found_between_entries(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge:
        await taken(engine, bridge)
        async with engine.begin() as conn:
            # The log refuses UPDATE; the clock of the test's entries stands still, so they are given times behind it.
            await conn.execute(text("ALTER TABLE log DISABLE TRIGGER USER"))
            await conn.execute(text("UPDATE log SET appended_at = appended_at + position * interval '1 minute'"))
        told = await bridge.call("POST", REWIND, {"time": (START + timedelta(minutes=6, seconds=1)).isoformat()})
    assert told["moved"][0]["position"] == 6


async def test_what_the_bridge_told_before_the_number_comes_along(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge:
        await append_events(engine, "pb.events", 3)
        await append_told(engine, "pb.events", Kind.GAP, b'{"first":4,"last":4}')
        await append_events(engine, "pb.events", 2)
        await bridge.call("POST", "/destinations", LEDGER, status=201)
        await bridge.deliver()
        told = await bridge.call("POST", REWIND, {"stream": "pb.events", "sequence": 5})
    assert told["moved"][0]["position"] == 3


async def test_all_streams_are_rewound_together(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge:
        await append_events(engine, "pb.events", 2)
        await append_events(engine, "pb.ws", 3)
        await bridge.call("POST", "/destinations", LEDGER, status=201)
        await bridge.deliver()
        told = await bridge.call("POST", REWIND, {"beginning": True})
        assert [(one["stream"], one["position"]) for one in told["moved"]] == [("pb.events", 0), ("pb.ws", 0)]
        assert sorted(await bridge.deliver()) == [1, 1, 2, 2, 3]


async def test_what_is_no_longer_kept_is_told_as_expired(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge:
        await taken(engine, bridge)
        async with engine.begin() as conn:
            await conn.execute(text("DELETE FROM log WHERE position <= 5"))
            await conn.execute(text("UPDATE streams SET forgotten = 5"))
        told = await bridge.call("POST", REWIND, {"stream": "pb.events", "position": 3})
        assert told["moved"][0]["position"] == 5
        [stream] = (await bridge.call("GET", "/destinations/ledger"))["streams"]
        assert stream["expired"] == {"first": 3, "last": 5}
        assert await bridge.deliver() == [6, 7, 8, 9, 10]
        assert bridge.post.sent[10].told["type"] == "bridge.expired"
        assert (await bridge.call("POST", REWIND, {"beginning": True}))["moved"][0]["position"] == 5


@pytest.mark.parametrize(
    "given, status",
    [
        ({}, 422),
        ({"position": 4}, 422),
        ({"sequence": 4}, 422),
        ({"stream": "pb.events"}, 422),
        ({"stream": "pb.events", "position": 4, "beginning": True}, 422),
        ({"stream": "pb.events", "position": 12}, 422),
        ({"stream": "pb.events", "position": 0}, 422),
        ({"stream": "pb.events", "position": -1}, 422),
        ({"stream": "pb.events", "position": "4"}, 422),
        ({"stream": "pb.events", "position": 1 << 63}, 422),
        ({"time": "yesterday"}, 422),
        ({"time": "2026-01-01T00:00:00"}, 422),
        ({"beginning": True, "epoch": 1}, 422),
        ({"to": 4}, 422),
        ({"stream": "no.such", "beginning": True}, 404),
    ],
)
async def test_what_cannot_be_meant_moves_nothing(engine: AsyncEngine, given: dict[str, Any], status: int) -> None:
    async with operated(engine) as bridge:
        await taken(engine, bridge)
        await bridge.call("POST", REWIND, given, status=status)
        assert await bridge.deliver() == []
        await bridge.call("POST", "/destinations/nobody/rewind", {"beginning": True}, status=404)


async def test_a_rewind_in_mid_flight_fences_the_worker_and_nothing_is_passed_over(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge:
        await taken(engine, bridge, 2)
        await append_events(engine, "pb.events", 3)
        bridge.post.arrived.clear()
        bridge.post.gate.clear()
        async with asyncio.TaskGroup() as group:
            delivering = group.create_task(bridge.deliverer.drain())
            await bridge.post.arrived.wait()
            await bridge.call("POST", REWIND, {"beginning": True})
            bridge.post.gate.set()
            await delivering
        await bridge.deliver()
        positions = bridge.post.positions()
        assert positions.count(1) == 2, "what was under way does not undo the rewind"
        assert positions[-5:] == [1, 2, 3, 4, 5]
        [stream] = (await bridge.call("GET", "/destinations/ledger"))["streams"]
    assert stream["position"] == 5
