"""A run of numbers on a venue's number line."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The half-open run ``[start, stop)``; never empty."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if self.start >= self.stop:
            raise ValueError(f"empty span [{self.start}, {self.stop})")

    @classmethod
    def inclusive(cls, first: int, last: int) -> "Span":
        """The run from ``first`` to ``last``, both ends included."""
        return cls(first, last + 1)

    @property
    def first(self) -> int:
        return self.start

    @property
    def last(self) -> int:
        return self.stop - 1

    def __len__(self) -> int:
        return self.stop - self.start

    def __contains__(self, number: int) -> bool:
        return self.start <= number < self.stop

    def intersect(self, other: "Span") -> "Span | None":
        """The numbers in both, or None."""
        start, stop = max(self.start, other.start), min(self.stop, other.stop)
        return Span(start, stop) if start < stop else None
