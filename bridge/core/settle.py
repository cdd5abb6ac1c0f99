"""Settling: which log entries a stream may append now, and where its frontier comes to stand."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.coverage import Coverage
from bridge.core.span import Span


@dataclass(frozen=True, slots=True)
class Settled:
    """What to append, in order: an int is a stored event's number, a Span is a loss to be told."""

    frontier: int
    steps: tuple[int | Span, ...]


def settle(frontier: int, *, present: Sequence[int], proven: Coverage, lost: Coverage, until: int) -> Settled:
    """Walk from ``frontier`` over everything that is covered.

    ``present`` holds the numbers of all stored events in ``[frontier, until)``, ascending; nothing at or
    above ``until`` is decided. A number that is present is an event, whatever else is said of it; one that
    is proven and absent is void and is passed in silence; one that is lost and not proven is told.
    """
    steps: list[int | Span] = []
    lost_only = Coverage.of(part for span in lost.spans if span.stop > frontier for part in proven.missing(span))
    at = frontier
    index = 0
    while at < until:
        if index < len(present) and present[index] == at:
            steps.append(at)
            at += 1
            index += 1
            continue
        stop = min(present[index] if index < len(present) else until, until)
        void_to = min(proven.frontier(at), stop)
        if void_to > at:
            at = void_to
            continue
        lost_to = min(lost_only.frontier(at), stop)
        if lost_to == at:
            break
        steps.append(Span(at, lost_to))
        at = lost_to
    return Settled(at, tuple(steps))
