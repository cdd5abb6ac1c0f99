"""Latencies as counts in buckets, each √2 times as wide as the one before: they add up, and have percentiles.

A bucket is known by its number. Bucket 0 ends at 1 ms, bucket ``i`` at ``2 ** (i / 2)`` ms; the last has no end.
"""

import math
from collections.abc import Sequence

BUCKETS = 64
"""The last but one ends at 25 days."""


def bucket_of(latency_s: float) -> int:
    """The number of the bucket to which a latency belongs; what is negative counts as none."""
    ms = latency_s * 1000
    return 0 if ms <= 1 else min(BUCKETS - 1, math.ceil(2 * math.log2(ms)))


def percentile_ms(counts: Sequence[int], share: float) -> float | None:
    """What ``share`` of the counted latencies do not exceed, at most √2 times too much; None where there are none."""
    wanted, passed = share * sum(counts), 0
    for bucket, count in enumerate(counts):
        passed += count
        if count and passed >= wanted:
            return round(2 ** (bucket / 2), 1)
    return None
