"""A span as it is handed over: made once what it tells of is over, and only where its trace is recorded."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, Protocol

from bridge.core.tracing import Remote, Trace

Kind = Literal["server", "consumer", "internal", "client"]
Attributes = Mapping[str, str | int | float | bool]

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class TraceSpan(NamedTuple):
    """One span. ``span_id`` 0 lets the exporter throw one; ``is_root`` says that it is its trace's own root.

    Attributes hold names, numbers and words of the bridge's own: no payload, no URL, nothing that was secret.
    """

    name: str
    kind: Kind
    trace: Trace
    began_at: datetime
    ended_at: datetime
    attributes: Attributes
    span_id: int = 0
    is_root: bool = False
    links: Sequence[Remote] = ()
    error: str = ""


class Sink(Protocol):
    """Takes spans; never waits, never raises, and may drop them."""

    def put(self, span: TraceSpan) -> None: ...


def nanoseconds(at: datetime) -> int:
    """Since 1970, exactly."""
    return (at - _BEGINNING) // _MICROSECOND * 1000
