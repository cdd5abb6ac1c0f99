"""One trace from heard to delivered, though one process hears and another delivers; and nobody waits for it."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from bridge.clock import SystemClock
from bridge.core.tracing import Trace, of_event, parse_traceparent
from bridge.sim.cryptomus import PAYMENT_KEY, callback
from tests.collecting import Found, collecting
from tests.posting import OK, Peer, Visit, answering, peering
from tests.processes.bridges import BridgeProcess, Bridges, bridges
from tests.processes.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(240)]

WITHIN_S = 60.0
LEFT_S = 25.0
"""Whoever waits for the collector at the end waits for 30 s: so long the library does."""

CONFIG = """
[bridge]
drain_s = 10

[traces]
enabled = true
sample = {sample}

[sources.cm]
venue = "cryptomus"

[sources.cm.webhook]
secret = "{key}"

[destinations.ledger]
url = "http://127.0.0.1:{port}/hook?token=t0ken"
secret = "${{LEDGER_SECRET}}"
streams = ["cm.*"]
allow_private = true
retry_first_s = 0.05
retry_max_s = 0.05
"""
NAME = "cm.payments"
NO = b"HTTP/1.1 500 no\r\nContent-Length: 2\r\n\r\nno"
VENUE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def body_of(number: int) -> bytes:
    return callback({"type": "payment", "uuid": f"u-{number}", "status": "paid", "is_final": True})


def trace_of(peer: Peer, nth: int = 0) -> Trace:
    told = json.loads(peer.requests[nth].partition(b"\r\n\r\n")[2])
    return of_event(NAME, told["id"], None)


def header_of(peer: Peer, nth: int = 0) -> bytes:
    [found] = [
        line.split(b": ", 1)[1]
        for line in peer.requests[nth].partition(b"\r\n\r\n")[0].split(b"\r\n")
        if line.lower().startswith(b"traceparent: ")
    ]
    return found


async def tell(bridge: BridgeProcess, *bodies: bytes, **headers: str) -> None:
    async with httpx.AsyncClient(base_url=bridge.url, trust_env=False, timeout=WITHIN_S) as http:
        for body in bodies:
            answer = await http.post("/in/cm", content=body, headers=headers)
            assert answer.status_code == 202, bridge.tail()


def configured(folder: Path, port: int, *, sample: float = 1.0) -> Path:
    config = folder / "bridge.toml"
    config.write_text(CONFIG.format(key=PAYMENT_KEY, port=port, sample=sample))
    return config


async def both(started: Bridges, port: int, environment: dict[str, str]) -> tuple[BridgeProcess, BridgeProcess]:
    web = started.start("web", port=port, **environment)
    worker = started.start("worker", port=0, **environment)
    await web.ready()
    await worker.ready()
    return web, worker


async def test_one_trace_from_the_process_that_hears_to_the_one_that_delivers(
    database_url: str, tmp_path: Path, free_port: int
) -> None:
    async with collecting() as collector, peering(answering(NO, NO, OK)) as ledger:
        with bridges(tmp_path, configured(tmp_path, ledger.port), database_url=database_url) as started:
            web, worker = await both(started, free_port, collector.environment)
            await tell(web, body_of(1), traceparent=VENUE)
            await eventually(lambda: len(ledger.requests) == 3, state=worker.tail)
            trace = trace_of(ledger)
            names = ["delivered"] * 3 + ["heard", "settled"]
            await eventually(
                lambda: sorted(one.name for one in collector.of(trace)) == names, state=lambda: collector.spans
            )
            [heard], [settled] = collector.of(trace, "heard"), collector.of(trace, "settled")
            delivered = collector.of(trace, "delivered")
            assert (settled.span_id, settled.parent_id) == (trace.root_id, 0)
            assert {one.parent_id for one in (heard, *delivered)} == {trace.root_id}
            assert heard.attributes["bridge.transport"] == "webhook"
            assert heard.attributes["bridge.outcome"] == "fresh"
            assert heard.links == [(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7)]
            assert settled.attributes["bridge.position"] == 1
            assert [one.attributes["bridge.attempt"] for one in delivered] == [1, 2, 3]
            assert [one.attributes["http.response.status_code"] for one in delivered] == [500, 500, 200]
            assert [one.is_error for one in delivered] == [True, True, False]
            assert [one.resource["bridge.role"] for one in (heard, settled, *delivered)] == ["web"] * 2 + [
                "worker"
            ] * 3
            assert heard.resource["service.name"] == "bridge"
            # Each POST says which span it is.
            told = [parse_traceparent(header_of(ledger, nth)) for nth in range(3)]
            assert [remote.trace_id for remote in told if remote] == [trace.trace_id] * 3
            assert [remote.span_id for remote in told if remote] == [one.span_id for one in delivered]
            assert all(remote.is_sampled for remote in told if remote)
            assert_in_order(heard, settled, delivered)
            assert "t0ken" not in repr(collector.spans)
            assert "u-1" not in repr([one.attributes for one in collector.spans])
            web.terminate()
            worker.terminate()
            assert (await web.ended(), await worker.ended()) == (0, 0)


def assert_in_order(heard: Found, settled: Found, delivered: list[Found]) -> None:
    assert heard.began_ns <= settled.began_ns <= settled.ended_ns <= heard.ended_ns
    assert delivered[0].began_ns <= delivered[0].ended_ns <= delivered[1].began_ns


async def test_what_waits_is_sent_before_a_process_ends(database_url: str, tmp_path: Path, free_port: int) -> None:
    async with collecting() as collector, peering(answering(OK)) as ledger:
        with bridges(tmp_path, configured(tmp_path, ledger.port), database_url=database_url) as started:
            web = started.start(
                "web", port=free_port, **collector.environment | {"OTEL_BSP_SCHEDULE_DELAY": "3600000"}
            )
            await web.ready()
            await tell(web, *(body_of(number) for number in range(20)))
            assert collector.spans == []
            web.terminate()
            assert await web.ended() == 0
    assert sorted(one.name for one in collector.spans) == ["heard"] * 20 + ["settled"] * 20


async def test_where_nothing_is_sampled_nothing_is_sent_and_the_header_says_so(
    database_url: str, tmp_path: Path, free_port: int
) -> None:
    async with collecting() as collector, peering(answering(OK)) as ledger:
        config = configured(tmp_path, ledger.port, sample=0.0)
        with bridges(tmp_path, config, database_url=database_url) as started:
            web, worker = await both(started, free_port, collector.environment)
            await tell(web, body_of(1), traceparent=VENUE)
            await eventually(lambda: len(ledger.requests) == 1, state=worker.tail)
            trace = trace_of(ledger)
            assert header_of(ledger).decode() == f"00-{trace.trace_id:032x}-{trace.root_id:016x}-00"
            for process in (web, worker):
                process.terminate()
                assert await process.ended() == 0
        assert (collector.peer.connections, collector.spans) == (0, [])


@pytest.mark.parametrize("collector", ["down", "hangs"])
async def test_a_collector_that_does_not_answer_delays_nobody(
    collector: str, database_url: str, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    port, nobody = free_ports(2)
    clock = SystemClock()

    async def hang(visit: Visit) -> None:
        await visit.request()
        await visit.end()

    async with peering(hang) as hanging, peering(answering(OK)) as ledger:
        at = nobody if collector == "down" else hanging.port
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://user:s3cret@127.0.0.1:{at}/k3y",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "3600",  # who waits for it waits for longer than this test
            "OTEL_BSP_SCHEDULE_DELAY": "20",
            "OTEL_BSP_MAX_QUEUE_SIZE": "64",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "16",
        }
        with bridges(tmp_path, configured(tmp_path, ledger.port), database_url=database_url) as started:
            web, worker = await both(started, port, environment)
            await tell(web, *(body_of(number) for number in range(300)))
            await eventually(lambda: len(ledger.requests) == 300, within_s=WITHIN_S, state=worker.tail)
            if collector == "hangs":
                await hanging.until(lambda: hanging.connections >= 1)
            else:
                await eventually(lambda: web.logged("traces.troubled"), state=web.tail)
            began = clock.monotonic()
            for process in (web, worker):
                process.terminate()
            assert [await process.ended() for process in (web, worker)] == [0, 0]
            assert clock.monotonic() - began < LEFT_S, "ending waited for the collector"
            for process in (web, worker):
                said = process.log.read_text() + process.errors.read_text()
                assert said.count("traces.troubled") <= 1, said
                assert "s3cret" not in said
                assert "k3y" not in said
                assert "Traceback" not in said
