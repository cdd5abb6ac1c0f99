"""Under the venue's faults each entry of the log has one trace: how it was told, where it stands, who took it."""

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.tracing import of_entry
from tests.collecting import Collector, collecting
from tests.processes.bridges import bridges, write_config
from tests.processes.judging import STREAM, entries_of
from tests.processes.stage import stage
from tests.processes.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(120)]

RATE_PER_S = 40.0
WEBHOOKS = 80
TRACES = "\n[traces]\nenabled = true\nsample = 1.0\n"


def of_stream(collector: Collector, name: str) -> Counter[int]:
    """How many spans of that name each trace of the numbered stream has."""
    spans = [one for one in collector.spans if one.attributes["bridge.stream"] == STREAM]
    return Counter(one.trace_id for one in spans if one.name == name)


async def test_each_entry_has_one_root_and_below_it_every_telling_and_every_post(
    engine: AsyncEngine, database_url: str, tmp_path: Path, free_port: int
) -> None:
    async with collecting() as collector, stage(free_port, seed=5, rate=0.0, consumers={"ledger": 0.1}) as around:
        config = write_config(tmp_path, venue=around.venue.port, destinations=around.destinations)
        config.write_text(config.read_text() + TRACES)
        with bridges(tmp_path, config, database_url=database_url) as started:
            web = started.start("web", port=free_port, **collector.environment)
            worker = started.start("worker", port=0, **collector.environment)
            await web.ready()
            await worker.ready()
            await around.venue.told("rate", events_per_s=RATE_PER_S)
            await eventually(lambda: len(around.carrier.accepted) >= WEBHOOKS, state=web.tail)
            await around.settle(engine, await around.calm(), within_s=20)
            for process in (web, worker):
                process.terminate()
                assert await process.ended() == 0, process.tail()
        entries = await entries_of(engine)
    traces = {of_entry(entry): entry for entry in entries}
    roots = of_stream(collector, "settled")
    assert roots == Counter(trace.trace_id for trace in traces)
    assert roots.keys() <= of_stream(collector, "heard").keys()
    assert roots.keys() <= of_stream(collector, "delivered").keys()
    for trace, entry in traces.items():
        [root] = collector.of(trace, "settled")
        assert (root.attributes["bridge.position"], root.attributes["bridge.sequence"]) == (
            entry.position,
            entry.sequence,
        )
        below = [one for one in collector.of(trace) if one is not root]
        assert {one.parent_id for one in below} == {root.span_id}
        fresh = [one for one in below if one.name == "heard" and one.attributes["bridge.outcome"] == "fresh"]
        assert [one.attributes["bridge.transport"] for one in fresh] == [entry.transport]
        posts = [one.attributes["bridge.outcome"] for one in below if one.name == "delivered"]
        assert (posts[-1], posts.count("accepted")) == ("accepted", 1)
    # Some of it had been lost on its way, and others had waited for it.
    healed = [one for one in collector.spans if one.attributes.get("bridge.completed_by") in ("replay", "proof")]
    assert any(one.attributes["bridge.waited_ms"] > 0 for one in healed)
    assert {entry.transport for entry in entries} == {"webhook", "replay"}
