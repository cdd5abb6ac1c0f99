"""A collector on a real loopback socket: what it is sent by OTLP over HTTP, taken apart."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bridge.core.tracing import Trace
from tests.posting import Peer, Visit, peering

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Found:
    """A span as it arrived. ``links`` are trace and span ids."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int
    kind: int
    began_ns: int
    ended_ns: int
    is_error: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]
    links: list[tuple[int, int]]


@dataclass(slots=True)
class Collector:
    """What arrived."""

    peer: Peer
    spans: list[Found] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What a process is told so that it sends here, at once."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.peer.port}",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "10",
        }

    def of(self, trace: Trace, name: str | None = None) -> list[Found]:
        """The spans of ``trace``, in the order of their beginnings."""
        found = [one for one in self.spans if one.trace_id == trace.trace_id and name in (None, one.name)]
        return sorted(found, key=lambda one: one.began_ns)

    async def talk(self, visit: Visit) -> None:
        while True:
            request = await visit.request()
            head, _, body = request.partition(b"\r\n\r\n")
            assert head.startswith(b"POST /v1/traces HTTP/1.1"), head
            self.spans += spans_of(body)
            await visit.say(ANSWER)


def spans_of(body: bytes) -> list[Found]:
    """The spans of one request."""
    request: Any = ExportTraceServiceRequest.FromString(body)
    return [
        Found(
            one.name,
            int.from_bytes(one.trace_id),
            int.from_bytes(one.span_id),
            int.from_bytes(one.parent_span_id),
            one.kind,
            one.start_time_unix_nano,
            one.end_time_unix_nano,
            one.status.code == 2,
            _values(one.attributes),
            _values(resource_spans.resource.attributes),
            [(int.from_bytes(link.trace_id), int.from_bytes(link.span_id)) for link in one.links],
        )
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for one in scope_spans.spans
    ]


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    made: list[Collector] = []

    async def talk(visit: Visit) -> None:
        await made[0].talk(visit)

    async with peering(talk) as peer:
        made.append(Collector(peer))
        yield made[0]
