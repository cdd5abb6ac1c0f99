"""Latencies as counts in buckets, each √2 times as wide as the one before: they add up, and have percentiles.

A bucket is known by its number. Bucket 0 ends at 1 ms, bucket ``i`` at ``2 ** (i / 2)`` ms; the last has no end.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence

BUCKETS = 64
"""The last but one ends at 25 days."""

BOUNDS = (6, 10, 12, 14, 16, 18, 20, 22, 24, 28, 32, 36, 40, 44, 48)
"""The buckets whose ends are boundaries of the few into which measurements are put: 8 ms to 4 hours 40 minutes."""
BOUNDS_S = tuple(2 ** (bucket / 2) / 1000 for bucket in BOUNDS)


def bucket_of(latency_s: float) -> int:
    """The number of the bucket to which a latency belongs; what is negative counts as none."""
    ms = latency_s * 1000
    return 0 if ms <= 1 else min(BUCKETS - 1, math.ceil(2 * math.log2(ms)))


def bounded(bucket: int) -> float:
    """Which of ``BOUNDS_S`` a bucket is below, in seconds; infinity above all of them."""
    place = bisect_left(BOUNDS, bucket)
    return BOUNDS_S[place] if place < len(BOUNDS) else math.inf


def percentile_ms(counts: Sequence[int], share: float) -> float | None:
    """What ``share`` of the counted latencies do not exceed, at most √2 times too much; None where there are none."""
    wanted, passed = share * sum(counts), 0
    for bucket, count in enumerate(counts):
        passed += count
        if count and passed >= wanted:
            return round(2 ** (bucket / 2), 1)
    return None
