"""A sink that keeps what it is handed, and a ratio's worth of events on either side of it."""

from collections.abc import Iterable

from bridge.core.tracing import Sampling, Trace, of_event
from bridge.traces.span import TraceSpan

STREAM = "pb.events"


class Kept:
    """The spans in the order in which they came."""

    def __init__(self) -> None:
        self.spans: list[TraceSpan] = []

    def put(self, span: TraceSpan) -> None:
        self.spans.append(span)

    def of(self, trace: Trace, name: str) -> list[TraceSpan]:
        return [one for one in self.spans if (one.trace, one.name) == (trace, name)]

    def values(self, name: str, attribute: str) -> list[object]:
        return [one.attributes.get(attribute) for one in self.spans if one.name == name]


def trace_of(number: int) -> Trace:
    """The trace of the event that ``tests.events.event`` or ``tests.logs.append_events`` makes of ``number``."""
    return of_event(STREAM, f"id-{number}", number)


def parted(numbers: Iterable[int], prefix: str, ratio: float) -> tuple[list[int], list[int]]:
    """Those of ``numbers`` that ``ratio`` takes, and those that it does not."""
    sampling = Sampling.of(ratio)
    taken = [n for n in numbers if sampling.takes(of_event(STREAM, f"{prefix}-{n}", n))]
    return taken, [n for n in numbers if n not in taken]
