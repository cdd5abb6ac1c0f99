"""Streams that the bridge numbers, as the read API and the measurements tell of them."""

from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.config.bybit import Bybit
from bridge.metrics import Metrics
from tests.followed import EXECUTION, SETTLED, TRADES, declare, tell, turn
from tests.logs import append_events
from tests.web.serving import SOURCE, reading

pytestmark = pytest.mark.anyio

BYBIT = Bybit(name="by", venue="bybit", channels=("publicTrade.BTCUSDT",))
TRADES_STREAM = TRADES.stream_of("by")


async def follow(engine: AsyncEngine) -> None:
    await tell(engine, await declare(engine, EXECUTION), turn(10, 20, "lost"))
    await tell(engine, await declare(engine, TRADES), turn(60, 70), dropped=12)
    await append_events(engine, "pb.events", 2)


async def test_a_stream_is_told_alone_as_it_is_among_the_others(engine: AsyncEngine) -> None:
    await follow(engine)
    async with reading(engine) as client:
        every = {one["stream"]: one for one in (await client.get("/v1/streams")).json()["streams"]}
        alone = {name: (await client.get(f"/v1/streams/{name}")).json() for name in every}
        assert (await client.get("/v1/streams/no.such")).status_code == 404
        assert (await client.get("/v1/streams/%00")).status_code == 404
        assert (await client.get(f"/v1/streams/{TRADES_STREAM}?limit=1")).status_code == 400
    assert alone == every
    assert set(every) == {"by.execution", TRADES_STREAM, "pb.events"}


async def test_completeness_is_null_with_its_reason_where_a_loss_can_go_unnoticed(engine: AsyncEngine) -> None:
    await follow(engine)
    async with reading(engine) as client:
        trades = (await client.get(f"/v1/streams/{TRADES_STREAM}")).json()
        fills = (await client.get("/v1/streams/by.execution")).json()
    assert (trades["completeness"], trades["reason"]) == (None, TRADES.unnoticed)
    assert (trades["model"], trades["repair"], trades["reach"]) == ("keyed", "history", TRADES.reach)
    assert (trades["state"], trades["dropped"], trades["gaps_open"]) == ("subscribed", 12, 1)
    assert (fills["completeness"], fills["reason"], fills["lag"]) == (0.9, None, None)
    assert fills["settled_until"] == "2026-02-18T23:01:40Z"


async def test_gaps_tell_their_axis_and_those_in_time_their_times(engine: AsyncEngine) -> None:
    await follow(engine)
    async with reading(engine) as client:
        [gap] = (await client.get("/v1/streams/by.execution/gaps")).json()["gaps"]
    assert gap["axis"] == "time"
    assert (gap["from"], gap["to"]) == ("2026-02-18T23:00:10Z", "2026-02-18T23:00:20Z")
    assert gap["last"] - gap["first"] == gap["lost"] == 10_000


async def test_time_streams_are_measured_in_seconds_and_by_axis(engine: AsyncEngine) -> None:
    await follow(engine)
    metrics = Metrics()
    metrics.remarked("by.execution", {"late": 2})
    clock = ManualClock(SETTLED + timedelta(seconds=9))
    async with reading(engine, clock=clock, metrics=metrics, sources=[SOURCE, BYBIT]) as client:
        text = (await client.get("/metrics")).text
    series = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    fills, trades = ("stream", "by.execution"), ("stream", TRADES_STREAM)
    assert series["bridge_stream_frontier_lag_seconds", (fills,)] == 9
    assert ("bridge_stream_frontier_lag_seconds", (("stream", "pb.events"),)) not in series
    assert series["bridge_stream_dropped_total", (trades,)] == 12
    assert series["bridge_stream_gaps_open", (("axis", "time"), trades)] == 1
    assert series["bridge_stream_gaps_open", (("axis", "sequence"), ("stream", "pb.events"))] == 0
    assert series["bridge_stream_remarks_total", (("kind", "late"), fills)] == 2
    assert ("bridge_stream_lag", (fills,)) not in series, "no numbers, no lag in numbers"
    labels = {name for _, pairs in series for name, _ in pairs}
    assert labels <= {"source", "stream", "axis", "kind", "transport", "age"}, (
        "labels hold configured names and fixed words"
    )
