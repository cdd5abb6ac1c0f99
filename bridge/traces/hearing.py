"""The spans ``heard``: one for each telling of an event, from when it was handed to the door until that answered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from bridge.clock import Clock
from bridge.core.errors import BridgeError
from bridge.core.event import Event, Transport
from bridge.core.signature import Headers
from bridge.core.tracing import Remote, Sampling, Trace, of_event, remote_of
from bridge.ingest import Answer, Door, Receipt
from bridge.traces.span import Kind, Sink, TraceSpan

_KINDS: dict[Transport, Kind] = {Transport.WEBHOOK: "server"}


class _Telling(NamedTuple):
    """An event of a recorded trace. ``reread``: its reader has been past its number before."""

    event: Event
    trace: Trace
    reread: bool


class Hearing:
    """What is said of tellings. ``notes`` are taken of a webhook just before it is handed to the door."""

    def __init__(self, sampling: Sampling, sink: Sink, clock: Clock) -> None:
        self._sampling = sampling
        self._sink = sink
        self._clock = clock
        self._noted: tuple[Event, Headers] | None = None

    def note(self, event: Event, headers: Headers) -> None:
        """``event`` came in a genuine request with ``headers``: they are kept until the door is asked."""
        self._noted = event, headers

    def begin(
        self, stream: str, events: Sequence[Event], transport: Transport, reread_below: int = 0
    ) -> "Told | None":
        """What is being told, as far as it is recorded; None where nothing of it is."""
        noted, self._noted = self._noted, None
        tellings = []
        for event in events:
            trace = of_event(stream, event.event_id, event.sequence)
            if self._sampling.takes(trace):
                reread = event.sequence is not None and event.sequence < reread_below
                tellings.append(_Telling(event, trace, reread))
        if not tellings:
            return None
        remote = None if noted is None or noted[0] is not events[0] else remote_of(noted[1])
        links = () if remote is None else (remote,)
        return Told(self._sink, self._clock, stream, transport, tellings, links)


class Told:
    """Tellings that are with the door."""

    __slots__ = ("_began_at", "_clock", "_links", "_sink", "_stream", "_tellings", "_transport")

    def __init__(
        self,
        sink: Sink,
        clock: Clock,
        stream: str,
        transport: Transport,
        tellings: Sequence[_Telling],
        links: Sequence[Remote],
    ) -> None:
        self._sink, self._clock = sink, clock
        self._stream, self._transport = stream, transport
        self._tellings, self._links = tellings, links
        self._began_at = clock.now()

    def done(self, receipt: Receipt) -> None:
        """They are stored. What a reader only looked at again is passed over, as it is not counted either."""
        fresh = set(receipt.fresh)
        ended_at = self._clock.now()
        for telling in self._tellings:
            if telling.reread and telling.event.sequence not in fresh:
                continue
            self._put(telling, ended_at, outcome=_outcome(telling.event, receipt, fresh))

    def failed(self, error: Exception) -> None:
        """They are not stored, or nobody knows."""
        ended_at = self._clock.now()
        for telling in self._tellings:
            self._put(telling, ended_at, outcome="failed", error=type(error).__name__)

    def _put(self, telling: _Telling, ended_at: datetime, *, outcome: str, error: str = "") -> None:
        event = telling.event
        attributes: dict[str, str | int | float | bool] = {
            "bridge.stream": self._stream,
            "bridge.source": self._stream.partition(".")[0],
            "bridge.transport": self._transport.value,
            "bridge.bytes": len(event.payload),
            "bridge.outcome": outcome,
        }
        if event.sequence is not None:
            attributes["bridge.sequence"] = event.sequence
        kind = _KINDS.get(self._transport, "consumer")
        self._sink.put(
            TraceSpan(
                "heard", kind, telling.trace, self._began_at, ended_at, attributes, links=self._links, error=error
            )
        )


def _outcome(event: Event, receipt: Receipt, fresh: set[int]) -> str:
    """What became of the event, as far as the receipt of its submission tells."""
    if event.sequence in fresh:
        return "fresh"
    if event.sequence in receipt.conflicts:
        return "conflict"
    if receipt.held:
        return "held"
    if event.sequence is not None:
        return "duplicate"
    if fresh and receipt.duplicates:
        return "stored"  # new or not: which of the submission's events were is not told
    if fresh:
        return "fresh"
    return "duplicate" if receipt.duplicates else "sighting"


class _Answer:
    """Tells what became of it on its way to who asked."""

    __slots__ = ("_answer", "_told")

    def __init__(self, answer: Answer, told: Told) -> None:
        self._answer, self._told = answer, told

    def done(self) -> bool:
        return self._answer.done()

    def set_result(self, result: Receipt, /) -> None:
        self._answer.set_result(result)
        self._told.done(result)

    def set_exception(self, exception: Exception, /) -> None:
        self._answer.set_exception(exception)
        self._told.failed(exception)


class TracedDoor(Door):
    """The door, with somebody beside it who writes down what comes in. Where nobody wants that, it is not used."""

    def __init__(self, hearing: Hearing, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._hearing = hearing

    async def accept(
        self,
        stream: str,
        events: Sequence[Event],
        *,
        transport: Transport,
        reread_below: int = 0,
        audit: int | None = None,
    ) -> Receipt:
        """As the door's own."""
        told = self._hearing.begin(stream, events, transport, reread_below)
        accepting = super().accept(stream, events, transport=transport, reread_below=reread_below, audit=audit)
        if told is None:
            return await accepting
        try:
            receipt = await accepting
        except BridgeError as error:
            told.failed(error)
            raise
        told.done(receipt)
        return receipt

    def offer(self, stream: str, events: Sequence[Event], answer: Answer, *, transport: Transport) -> None:
        """As the door's own."""
        told = self._hearing.begin(stream, events, transport)
        if told is None:
            super().offer(stream, events, answer, transport=transport)
            return
        try:
            super().offer(stream, events, _Answer(answer, told), transport=transport)
        except BridgeError as error:
            told.failed(error)
            raise
