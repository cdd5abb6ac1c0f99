"""Spans as a collector gets them, and a library that keeps its words, and other people's secrets, to itself."""

import logging
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from bridge import __version__
from bridge.clock import SystemClock
from bridge.core.tracing import Remote, of_own
from bridge.sources.loud import Loud
from bridge.traces.export import Exporter, _Words
from bridge.traces.span import TraceSpan, nanoseconds
from tests.collecting import collecting
from tests.events import START
from tests.posting import Visit, peering

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
TRACE = of_own("pb.events", 1)
LIBRARY_S = 9.0
"""Whoever waits for a collector that hangs waits for 10 s at least: so long the library does."""
END = START + timedelta(microseconds=1)
SPAN = TraceSpan("settled", "internal", TRACE, START, END, {"bridge.position": 1}, TRACE.root_id, is_root=True)


async def test_a_span_arrives_as_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    async with collecting() as collector:
        for name, value in collector.environment.items():
            monkeypatch.setenv(name, value)
        exporter = Exporter(SystemClock(), role="web")
        exporter.put(SPAN)
        linked = Remote(7, 9, is_sampled=False)
        exporter.put(
            SPAN._replace(name="heard", span_id=0, is_root=False, kind="server", links=[linked], error="Overloaded")
        )
        await exporter.close(within_s=10)
        exporter.put(SPAN)  # too late: it is dropped, and nobody is disturbed
    root, child = collector.spans
    assert (root.trace_id, root.span_id, root.parent_id) == (TRACE.trace_id, TRACE.root_id, 0)
    assert (child.trace_id, child.parent_id) == (TRACE.trace_id, TRACE.root_id)
    assert child.span_id not in (0, TRACE.root_id)
    assert (root.began_ns, root.ended_ns - root.began_ns) == (nanoseconds(START), 1_000)
    assert (root.kind, child.kind, root.is_error, child.is_error) == (1, 2, False, True)
    assert (root.attributes, child.attributes["error.type"]) == ({"bridge.position": 1}, "Overloaded")
    assert child.links == [(7, 9)]
    named = {name: root.resource[name] for name in ("service.name", "service.version", "bridge.role")}
    assert named == {"service.name": "bridge", "service.version": __version__, "bridge.role": "web"}


async def test_the_environment_may_name_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    async with collecting() as collector:
        for name, value in (collector.environment | {"OTEL_SERVICE_NAME": "feed"}).items():
            monkeypatch.setenv(name, value)
        exporter = Exporter(SystemClock(), role="web")
        exporter.put(SPAN)
        await exporter.close(within_s=10)
    assert [one.resource["service.name"] for one in collector.spans] == ["feed"]


async def test_a_collector_that_hangs_holds_the_end_for_no_longer_than_it_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hang(visit: Visit) -> None:
        await visit.request()
        await visit.end()

    clock = SystemClock()
    async with peering(hang) as peer:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{peer.port}")
        exporter = Exporter(clock, role="web")
        exporter.put(SPAN)
        began = clock.monotonic()
        with structlog.testing.capture_logs() as said:
            await exporter.close(within_s=0.2)
        assert clock.monotonic() - began < LIBRARY_S
        assert [line["event"] for line in said] == ["traces.unsent"]
        assert peer.connections <= 1


def test_what_the_library_says_is_said_seldom_and_without_what_it_says_it_about() -> None:
    words = _Words(Loud(SystemClock()))
    with structlog.testing.capture_logs() as said:
        for _ in range(3):
            words.handle(record("Failed to send %s: %d, %s", "http://host/k3y", 401, ValueError("k3y")))
    assert [(line["event"], line["said"]) for line in said] == [
        ("traces.troubled", "Failed to send ...: 401, ValueError")
    ]
    with structlog.testing.capture_logs() as said:
        _Words(Loud(SystemClock())).handle(record("Broken %d", "k3y"))
    assert [line["said"] for line in said] == ["Broken %d"]


def record(said: str, *about: object) -> logging.LogRecord:
    return logging.LogRecord("opentelemetry.any", logging.ERROR, "any.py", 1, said, about, None)


async def test_the_library_speaks_to_nobody_else_not_even_once_all_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    library, heard = logging.getLogger("opentelemetry"), Heard()
    monkeypatch.setattr(logging.getLogger(), "handlers", [heard])
    async with collecting() as collector:
        for name, value in collector.environment.items():
            monkeypatch.setenv(name, value)
        exporter = Exporter(SystemClock(), role="web")
        assert any(isinstance(one, _Words) for one in library.handlers)
        library.getChild("any").error("of k3y")
        await exporter.close(within_s=10)
    assert not any(isinstance(one, _Words) for one in library.handlers)
    library.getChild("any").error("of k3y")
    assert heard.records == []


class Heard(logging.Handler):
    """Whoever reads what the whole process logs."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.mark.parametrize(
    "name, value, named",
    [
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "s3cret", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: "),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1", "one of OTEL_BSP_*, OTEL_EXPORTER_OTLP_*: "),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_and_not_quoted(name: str, value: str, named: str) -> None:
    code = """
from bridge.app.tracing import open_traces
from bridge.clock import SystemClock
from bridge.config.settings import Settings
from bridge.config.shapes import Traces
from bridge.core.errors import ConfigError
try:
    open_traces(Settings(traces=Traces(enabled=True)), SystemClock(), "web")
except ConfigError as refused:
    print(refused)
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        env={"PATH": os.defpath, name: value},
    )
    assert run.stdout.startswith(named), run.stdout + run.stderr
    assert "s3cret" not in run.stdout + run.stderr
