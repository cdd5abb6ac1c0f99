"""Traces across processes: ids that every process computes alike, and the header that carries them on.

An event is heard by one process and delivered by another, hours later perhaps. Nothing is stored for its trace: the
ids are made of what both know, and whether a trace is recorded is read off its id.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from struct import Struct
from typing import NamedTuple

from bridge.core.event import LogEntry
from bridge.core.signature import Headers

HEADER = "traceparent"
"""The header of W3C Trace Context."""

_HALF = (1 << 64) - 1
_NAME = HEADER.encode()
_TEXT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_TEXT_BYTES_MAX = 512
_IDS = Struct(">QQQ").unpack_from
_SAMPLED = 1
_KNOWN_MAX = 4_096
"""What was just heard settles next, and is delivered next: its ids need not be made again."""


class Trace(NamedTuple):
    """A trace's id, and the id of its root span: the settling of the event."""

    trace_id: int
    root_id: int


class Remote(NamedTuple):
    """A span of somebody else's, as a ``traceparent`` names it."""

    trace_id: int
    span_id: int
    is_sampled: bool


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which traces are recorded: ``ratio`` of them, by their ids alone, as OpenTelemetry's own ratio sampler does."""

    ratio: float
    _bound: int

    @classmethod
    def of(cls, ratio: float) -> "Sampling":
        """``ratio`` from 0, none, to 1, all."""
        if not 0 <= ratio <= 1:
            raise ValueError("a ratio lies between 0 and 1")
        return cls(ratio, round(ratio * (1 << 64)))

    def takes(self, trace: Trace) -> bool:
        return trace.trace_id & _HALF < self._bound


def of_event(stream: str, event_id: str, sequence: int | None) -> Trace:
    """The trace of a venue's event: by its id, which every way of hearing tells; by its number where it has no id."""
    return _made("event", stream, event_id) if event_id else _made("number", stream, str(sequence))


def of_own(stream: str, position: int) -> Trace:
    """The trace of an entry of the bridge's own: a gap, a conflict, an epoch."""
    return _made("position", stream, str(position))


def of_entry(entry: LogEntry) -> Trace:
    """The trace of an entry of the log."""
    if entry.sequence is None:
        return of_own(entry.stream, entry.position)
    return of_event(entry.stream, entry.event_id, entry.sequence)


def of_notice(stream: str, identity: str) -> Trace:
    """The trace of what a destination is told outside of the log."""
    return _made("notice", stream, identity)


@lru_cache(maxsize=_KNOWN_MAX)
def _made(kind: str, stream: str, name: str) -> Trace:
    digest = sha256(f"bridge trace\0{kind}\0{stream}\0{name}".encode()).digest()
    high, low, root_id = _IDS(digest)
    # An id of zeros says that there is none.
    return Trace(high << 64 | low or 1, root_id or 1)


def traceparent(trace_id: int, span_id: int, *, sampled: bool) -> str:
    """The header's text. ``sampled`` says whether the span is recorded."""
    return f"00-{trace_id:032x}-{span_id:016x}-{_SAMPLED if sampled else 0:02x}"


def parse_traceparent(text: bytes) -> Remote | None:
    """The span that ``text`` names; None where it is no ``traceparent``.

    A later version of the header is read as far as this one goes.
    See https://www.w3.org/TR/trace-context/#versioning-of-traceparent.
    """
    found = _TEXT.fullmatch(text) if len(text) <= _TEXT_BYTES_MAX else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more is not None):
        return None
    remote = Remote(int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & _SAMPLED))
    return remote if remote.trace_id and remote.span_id else None


def remote_of(headers: Headers) -> Remote | None:
    """The span that a request's headers name; None where they name none, or two."""
    given: Sequence[bytes] = [value for name, value in headers if name == _NAME]
    return parse_traceparent(given[0]) if len(given) == 1 else None
