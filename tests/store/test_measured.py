"""What is measured is of what is configured: nobody is to be woken for what was taken out."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.budget import Left
from bridge.metrics import Metrics
from bridge.store import budgets, choices, connections, cursors, destinations, leases, managed, measured, notices
from bridge.store.measured import Configured
from bridge.store.notices import Draft
from tests.logs import START, append_events

pytestmark = pytest.mark.anyio

NOW = START + timedelta(hours=1)
SIGHTING = """
INSERT INTO sightings (stream_id, event_id, type, key, transport, received_at, payload, sequence)
SELECT id, :id, '', '', 'webhook', :at, '', :sequence FROM streams WHERE name = 'pb.events'
"""


async def series(engine: AsyncEngine, configured: Configured) -> str:
    metrics = Metrics()
    metrics.noticed("former", "failed")
    metrics.noticed("ops", "told")
    await metrics.counting.tell(engine)
    return metrics.render(
        await measured.look(engine, now=NOW, configured=configured, streams_max=10), now=NOW
    ).decode()


async def test_a_destination_that_left_the_file_has_no_series_and_one_of_the_api_has(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 5)
    async with engine.begin() as conn:
        await managed.provision(conn, {name: {"streams": ["*"]} for name in ("ledger", "former")}, now=START)
        await managed.create(conn, "books", policy={"streams": ["*"]}, sealed=b"x", now=START)
        ids = await destinations.ids(conn, ["ledger", "former", "books"])
        stream_id = (await cursors.streams(conn))["pb.events"]
        await cursors.ensure(conn, [(of, stream_id) for of in ids.values()], now=START)
    told = await series(engine, Configured(destinations=("ledger",)))
    for name in ("ledger", "books"):
        assert f'bridge_delivery_backlog{{destination="{name}"}} 5.0\n' in told
    assert "former" not in told
    assert "\nbridge_destinations_left_out 0.0\n" in told


async def test_a_destination_waits_only_for_streams_that_it_still_asks_for(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("pb.events", "by.trades", "by.book")
    for nth, name in enumerate(names, 1):
        await append_events(engine, name, nth)
    async with engine.begin() as conn:
        globs = {"ledger": ["by.[t]*", "xy.*"], "books": ["*"], "nobody": ["xy.?"]}
        await managed.provision(conn, {name: {"streams": wanted} for name, wanted in globs.items()}, now=START)
        ids = await destinations.ids(conn, list(globs))
        streams = await cursors.streams(conn)
        await cursors.ensure(conn, [(of, streams[name]) for of in ids.values() for name in names], now=START)
        await conn.execute(text("UPDATE cursors SET failures = 1"))
    told = await series(engine, Configured(destinations=tuple(globs)))
    for name, backlog, failing in (("ledger", 2, 1), ("books", 6, 3), ("nobody", 0, 0)):
        assert f'bridge_delivery_backlog{{destination="{name}"}} {backlog}.0\n' in told
        assert f'bridge_delivery_streams_failing{{destination="{name}"}} {failing}.0\n' in told
    assert 'bridge_delivery_oldest_seconds{destination="nobody"} 0.0\n' in told
    monkeypatch.setattr(choices, "CHOICES_MAX", 1)
    told = await series(engine, Configured(destinations=tuple(globs)))
    assert 'bridge_delivery_backlog{destination="ledger"} 6.0\n' in told, "there is no room, and nothing is hidden"


async def test_one_that_is_paused_is_told_from_one_that_is_stopped(engine: AsyncEngine) -> None:
    async with engine.begin() as conn:
        await destinations.ensure(conn, ["ledger"], now=START)
        await conn.execute(text("UPDATE destinations SET state = 'paused'"))
    told = await series(engine, Configured(destinations=("ledger",)))
    assert 'bridge_destination_paused{destination="ledger"} 1.0\n' in told
    assert 'bridge_destination_stopped{destination="ledger"} 0.0\n' in told


async def test_a_source_that_has_no_socket_any_more_has_no_state_of_one(engine: AsyncEngine) -> None:
    async with engine.begin() as conn:
        for name in ("pb", "nb"):
            await connections.put(conn, source=name, state="disconnected", detail="", now=START)
            await leases.take(conn, name=f"source:{name}", holder="a", now=NOW, until=NOW + timedelta(minutes=5))
    told = await series(engine, Configured(sources={"pb": True, "nb": True}, sockets=("pb",)))
    assert 'bridge_socket_state{source="pb",state="disconnected"} 1.0\n' in told
    assert 'bridge_socket_state{source="nb"' not in told
    assert 'bridge_source_attended{source="nb"} 1.0\n' in told


async def test_a_stream_whose_source_was_taken_out_is_behind_nothing(engine: AsyncEngine) -> None:
    for source in ("pb", "former"):
        await append_events(engine, f"{source}.events", 2)
    async with engine.begin() as conn:
        await conn.execute(
            text("UPDATE streams SET base = 1, frontier = 7, head = 9, stalled_at = :at"), {"at": START}
        )
        await conn.execute(
            text("UPDATE streams SET stalled_at = :at WHERE source = 'former'"), {"at": START - timedelta(days=9)}
        )
    told = await series(engine, Configured(sources={"pb": True}))
    assert "\nbridge_frontier_lag_seconds 3600.0\n" in told
    assert 'bridge_stream_frontier_lag_seconds{stream="pb.events"} 3600.0\n' in told
    assert 'bridge_stream_frontier_lag_seconds{stream="former.events"}' not in told
    assert 'bridge_stream_position{stream="former.events"} 2.0\n' in told, "its log is still there"


async def test_deliveries_that_match_nothing_are_as_old_as_the_oldest_of_them(engine: AsyncEngine) -> None:
    for name in ("pb.events", "pb.calm"):
        await append_events(engine, name, 1)
    async with engine.begin() as conn:
        await conn.execute(text("UPDATE streams SET unmatched = 2 WHERE name = 'pb.events'"))
        for nth, (minutes, sequence) in enumerate(((50, 1), (40, None), (10, None))):
            at = NOW - timedelta(minutes=minutes)
            await conn.execute(text(SIGHTING), {"id": f"id-{nth}", "at": at, "sequence": sequence})
    told = await series(engine, Configured(sources={"pb": True}))
    assert 'bridge_stream_sighting_oldest_seconds{stream="pb.events"} 2400.0\n' in told
    assert 'bridge_stream_sighting_oldest_seconds{stream="pb.calm"}' not in told


async def test_a_quota_that_nobody_looks_at_any_more_is_no_news(engine: AsyncEngine) -> None:
    async with engine.begin() as conn:
        await leases.take(conn, name="source:pb", holder="a", now=NOW, until=NOW + timedelta(minutes=5))
        for name, at in (("public", NOW), ("private", NOW - timedelta(minutes=2))):
            await budgets.put(conn, source="pb", left={name: Left(20, 20, 0, 0)}, now=at)
    told = await series(engine, Configured(sources={"pb": True}))
    assert 'bridge_upstream_budget_left{budget="public",source="pb"} 0.0\n' in told
    assert 'budget="private"' not in told, "its key was taken out, and the source is held all the same"


async def test_what_a_channel_that_was_taken_out_has_left_waits_for_nobody(engine: AsyncEngine) -> None:
    async with engine.begin() as conn:
        await notices.add(conn, [Draft(None, "summary", {}, ("ops", "former"))], now=START)
    told = await series(engine, Configured(channels=("log", "ops")))
    assert 'bridge_alert_notices_waiting{channel="ops"} 1.0\n' in told
    assert 'bridge_alert_notices_total{channel="ops",outcome="told"} 1.0\n' in told
    assert "former" not in told
