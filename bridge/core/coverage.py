"""Coverage: the set of numbers of a stream that are proven complete.

Evidence only ever adds to it. Union is commutative, associative and idempotent, which is why
order, duplicates and replays of evidence do no harm.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.core.span import Span


@dataclass(frozen=True, slots=True)
class Coverage:
    """A set of numbers as ascending, disjoint spans that do not touch."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, spans: Iterable[Span]) -> "Coverage":
        """The union of ``spans``, in any order, overlapping or not."""
        merged: list[Span] = []
        for span in sorted(spans):
            if merged and span.start <= merged[-1].stop:
                if span.stop > merged[-1].stop:
                    merged[-1] = Span(merged[-1].start, span.stop)
            else:
                merged.append(span)
        return cls(tuple(merged))

    @classmethod
    def of_numbers(cls, numbers: Iterable[int]) -> "Coverage":
        """The coverage that the presence of single events gives."""
        merged: list[Span] = []
        for number in sorted(set(numbers)):
            if merged and number == merged[-1].stop:
                merged[-1] = Span(merged[-1].start, number + 1)
            else:
                merged.append(Span(number, number + 1))
        return cls(tuple(merged))

    def __or__(self, other: "Coverage") -> "Coverage":
        return Coverage.of((*self.spans, *other.spans))

    def __contains__(self, number: int) -> bool:
        return self._span_of(number) is not None

    def __len__(self) -> int:
        return sum(len(span) for span in self.spans)

    def frontier(self, base: int) -> int:
        """The first number at or above ``base`` that is not covered."""
        span = self._span_of(base)
        return base if span is None else span.stop

    def missing(self, within: Span) -> tuple[Span, ...]:
        """The maximal runs of ``within`` that are not covered, ascending."""
        holes: list[Span] = []
        at = within.start
        for span in self.spans:
            if span.stop <= at:
                continue
            if span.start >= within.stop:
                break
            if span.start > at:
                holes.append(Span(at, span.start))
            at = span.stop
        if at < within.stop:
            holes.append(Span(at, within.stop))
        return tuple(holes)

    def within(self, window: Span) -> "Coverage":
        """The part of it that lies in ``window``."""
        parts = (span.intersect(window) for span in self.spans)
        return Coverage(tuple(part for part in parts if part is not None))

    def _span_of(self, number: int) -> Span | None:
        index = bisect_right(self.spans, number, key=lambda span: span.start) - 1
        return self.spans[index] if index >= 0 and number in self.spans[index] else None
