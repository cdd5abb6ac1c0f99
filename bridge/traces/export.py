"""Spans to a collector: the only file that knows OpenTelemetry.

Where they go, how many wait and how often they are sent, the OTEL_* variables of its specification say; its library
reads them itself. It sends from a thread of its own, drops what finds no room, and disturbs nobody.
"""

import asyncio
import logging
import threading
from contextlib import suppress

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from bridge import __version__
from bridge.clock import Clock
from bridge.core.tracing import Remote
from bridge.sources.loud import Loud
from bridge.traces.span import TraceSpan, nanoseconds

SAID_EVERY_S = 60.0
_LIBRARY = "opentelemetry"
_KINDS = {
    "server": SpanKind.SERVER,
    "consumer": SpanKind.CONSUMER,
    "internal": SpanKind.INTERNAL,
    "client": SpanKind.CLIENT,
}


class Exporter:
    """Takes spans and sends them. Close it when done."""

    def __init__(self, clock: Clock, *, role: str) -> None:
        """``role`` is what the process does. Raises ValueError, OSError where a variable cannot be used."""
        self._ids = _Given()
        self._words = _Words(Loud(clock, every_s=SAID_EVERY_S))
        self._words.listen()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # what is not to be recorded was never made a span
            resource=_resource(role),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("bridge", __version__)

    def put(self, span: TraceSpan) -> None:
        """Send it some time."""
        self._ids.trace_id, self._ids.span_id = span.trace.trace_id, span.span_id
        context = Context()
        if not span.is_root:
            parent = _context_of(Remote(*span.trace, is_sampled=True))
            context = set_span_in_context(NonRecordingSpan(parent), context)
        made = self._tracer.start_span(
            span.name,
            context,
            _KINDS[span.kind],
            span.attributes,
            [Link(_context_of(remote)) for remote in span.links],
            nanoseconds(span.began_at),
        )
        if span.error:
            made.set_attribute("error.type", span.error)
            made.set_status(Status(StatusCode.ERROR))
        made.end(nanoseconds(span.ended_at))

    async def close(self, *, within_s: float) -> None:
        """Send what waits, and end. What cannot be sent in time is left: the thread ends with the process."""
        loop, sent = asyncio.get_running_loop(), asyncio.Event()

        def flush() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # it took too long, and the loop has ended meanwhile
                loop.call_soon_threadsafe(sent.set)

        threading.Thread(target=flush, name="traces.flush", daemon=True).start()
        try:
            async with asyncio.timeout(within_s):
                await sent.wait()
        except TimeoutError:
            self._words.loud.say("traces.unsent", within_s=round(within_s, 3))
        finally:
            self._words.leave()


class _Given(RandomIdGenerator):
    """Ids for the span that is being made: those that it brings along, else random ones."""

    trace_id = span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id or super().generate_span_id()

    def is_trace_id_random(self) -> bool:
        return False


class _Words(logging.Handler):
    """What the library says, seldom and without what it says it about: that may be a URL with a key in it."""

    def __init__(self, loud: Loud) -> None:
        super().__init__(logging.WARNING)
        self.loud = loud

    def listen(self) -> None:
        """From now on it is said here and nowhere else."""
        library = logging.getLogger(_LIBRARY)
        library.handlers, library.propagate = [self], False

    def leave(self) -> None:
        """Nobody listens any more: what comes now is about what was left behind."""
        logging.getLogger(_LIBRARY).handlers = [logging.NullHandler()]

    def emit(self, record: logging.LogRecord) -> None:
        given = record.args if isinstance(record.args, tuple) else ()
        try:
            said = str(record.msg) % tuple(_harmless(one) for one in given)
        except (TypeError, ValueError):
            said = str(record.msg)
        self.loud.say("traces.troubled", said=said)


def _harmless(given: object) -> object:
    """Numbers as they are, and of an error only what it is: its text may quote the collector's URL."""
    if isinstance(given, int | float):
        return given
    return type(given).__name__ if isinstance(given, Exception) else "..."


def _context_of(remote: Remote) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if remote.is_sampled else TraceFlags.DEFAULT)
    return SpanContext(remote.trace_id, remote.span_id, is_remote=True, trace_flags=flags)


def _resource(role: str) -> Resource:
    """Who sends: ``bridge``, unless the environment names it otherwise."""
    ours = {SERVICE_VERSION: __version__, "bridge.role": role}
    found = Resource.create()
    if str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        ours[SERVICE_NAME] = "bridge"
    return found.merge(Resource(ours))
