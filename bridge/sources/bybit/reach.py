"""How the venue's lists are asked: what a topic spans, how far back, in which windows. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.sources.bybit.channels import Topic
from bridge.sources.bybit.kinds import CATEGORIES
from bridge.sources.bybit.values import millis

WINDOW_MS_MAX = 7 * 86_400_000 - 1
"""A list takes no longer span than seven days; both its ends count."""
KEPT = timedelta(days=730)
UNFILLED_KEPT = timedelta(hours=24)
"""How long the lists show an order that ended without a fill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What one source asks for. ``overlap_s``: how much earlier than it was asked to.

    ``category`` is that of the public topics; ``categories`` and ``settle_coins`` are what a private topic of all
    products spans. ``order_lookback_s``: how old an order that changes may be, as the history may go by its birth.
    """

    category: str
    categories: tuple[str, ...] = CATEGORIES
    settle_coins: tuple[str, ...] = ("USDT", "USDC")
    account_type: str = "UNIFIED"
    overlap_s: float = 30.0
    order_lookback_s: float = 3_600.0
    rows_max: int = 50_000

    def of(self, topic: Topic) -> tuple[str, ...]:
        """The products whose lists tell of a private ``topic``."""
        return (topic.category,) if topic.category else self.categories

    def coins(self, category: str) -> tuple[dict[str, str], ...]:
        """The restrictions to ask with, one after the other: linear lists demand one."""
        return tuple({"settleCoin": coin} for coin in self.settle_coins) if category == "linear" else ({},)

    def earlier(self, since: datetime) -> datetime:
        """``since`` with the overlap."""
        return since - timedelta(seconds=self.overlap_s)


def windows(since: datetime, until: datetime) -> Iterator[tuple[int, int]]:
    """The span in windows that a list takes, the newest first, in milliseconds, both ends inclusive."""
    first_ms, last_ms = millis(max(since, until - KEPT)), millis(until) + 1
    while last_ms >= first_ms:
        start_ms = max(first_ms, last_ms - WINDOW_MS_MAX)
        yield start_ms, last_ms
        last_ms = start_ms - 1
