"""The spans ``settled``: one for each entry of the log, the root of its trace, from when it was heard until it had a
position."""

from datetime import datetime

from bridge.clock import Clock
from bridge.core.event import Event, Kind, Transport
from bridge.core.tracing import Sampling, Trace, of_event, of_own
from bridge.ingest import Committed
from bridge.ingest.followed import Appended, Chapter
from bridge.store.entries import Entry
from bridge.traces.span import Sink, TraceSpan


class Settling:
    """What is said of entries, once the transaction that appended them is over."""

    def __init__(self, sampling: Sampling, sink: Sink, clock: Clock) -> None:
        self._sampling = sampling
        self._sink = sink
        self._clock = clock

    def committed(self, committed: Committed) -> None:
        """Entries that the door appended."""
        stream, now = committed.stream, self._clock.now()
        for position, entry in enumerate(committed.entries, start=stream.position - committed.appended + 1):
            trace = _trace_of(stream.name, position, entry)
            if self._sampling.takes(trace):
                attributes = _attributes(stream.name, position, entry.kind, entry.sequence)
                if entry.kind is Kind.EVENT and committed.completed_by:
                    attributes["bridge.completed_by"] = committed.completed_by
                self._put(trace, attributes, entry.received_at or now, now)

    def followed(self, appended: Appended, chapter: Chapter) -> None:
        """Entries that a follower appended. When it heard of them is not kept: they were heard as they settled."""
        stream, now = appended.stream, self._clock.now()
        number = stream.head - sum(saying.event is not None for saying in chapter.sayings)
        for position, saying in enumerate(chapter.sayings, start=chapter.position + 1):
            event = saying.event
            number += event is not None
            trace = of_own(stream.name, position) if event is None else of_event(stream.name, event.event_id, None)
            if not self._sampling.takes(trace):
                continue
            sequence = None if event is None else number
            if event is not None and saying.transport is not None:
                self._heard(trace, stream.name, event, saying.transport, now)
            self._put(trace, _attributes(stream.name, position, saying.kind, sequence), now, now)

    def _heard(self, trace: Trace, stream: str, event: Event, transport: Transport, now: datetime) -> None:
        attributes = {
            "bridge.stream": stream,
            "bridge.source": stream.partition(".")[0],
            "bridge.transport": transport.value,
            "bridge.bytes": len(event.payload),
            "bridge.outcome": "fresh",
        }
        self._sink.put(TraceSpan("heard", "consumer", trace, now, now, attributes))

    def _put(
        self, trace: Trace, attributes: dict[str, str | int | float | bool], began_at: datetime, now: datetime
    ) -> None:
        attributes["bridge.waited_ms"] = round((now - began_at).total_seconds() * 1000, 3)
        self._sink.put(
            TraceSpan("settled", "internal", trace, min(began_at, now), now, attributes, trace.root_id, is_root=True)
        )


def _trace_of(stream: str, position: int, entry: Entry) -> Trace:
    if entry.sequence is None:
        return of_own(stream, position)
    return of_event(stream, entry.event_id, entry.sequence)


def _attributes(stream: str, position: int, kind: Kind, sequence: int | None) -> dict[str, str | int | float | bool]:
    attributes: dict[str, str | int | float | bool] = {
        "bridge.stream": stream,
        "bridge.position": position,
        "bridge.kind": kind.value,
    }
    if sequence is not None:
        attributes["bridge.sequence"] = sequence
    return attributes
