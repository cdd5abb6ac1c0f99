"""What is measured of alerts: counts by rule and channel, and no name of a stream among the labels."""

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.metrics import Metrics
from bridge.store.measured import Configured, look
from tests.alert.test_watching import NOW, Ear, open_gap, watch

pytestmark = pytest.mark.anyio


async def test_open_alerts_are_counted_by_rule_and_notices_by_channel(engine: AsyncEngine) -> None:
    for nth in range(30):
        await open_gap(engine, f"pb.{nth}")
    await watch(engine, ManualClock(NOW), Ear()).tick()
    metrics = Metrics()
    metrics.noticed("ops", "failed")
    await metrics.counting.tell(engine)
    configured = Configured(channels=("log", "ops"))
    rendered = metrics.render(await look(engine, now=NOW, configured=configured, streams_max=10), now=NOW).decode()
    series = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(rendered)
        for sample in family.samples
        if sample.name.startswith("bridge_alert")
    }
    assert series == {
        ("bridge_alerts_firing", ("rule", "gap_open"), ("severity", "warning")): 30,
        ("bridge_alert_notices_waiting", ("channel", "log")): 21,
        ("bridge_alert_notices_waiting", ("channel", "ops")): 21,
        ("bridge_alert_notices_total", ("channel", "ops"), ("outcome", "failed")): 1,
    }
