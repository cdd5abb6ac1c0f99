"""What is said of many values in one."""

from collections.abc import Sequence
from statistics import median


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the ascending ``ordered`` lie, by nearest rank."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def spread(values: Sequence[float]) -> float:
    """(largest - smallest) / median: how much repetitions differ."""
    return (max(values) - min(values)) / median(values)
