"""The replay's answers, honest and not: one page for one query, decided without I/O."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import msgspec

from bridge.sim.bucket import TokenBucket
from bridge.sim.playbatman.row import Row
from bridge.sim.playbatman.venue import Venue

LIMIT_DEFAULT = 100
LIMIT_MAX = 1000


@dataclass(frozen=True, slots=True)
class Query:
    """What a reader asked; ``limit`` is already within bounds."""

    since: int | None
    limit: int
    event_type: str | None
    market_id: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send, and how many seconds to wait before."""

    status: int
    body: bytes
    retry_after_s: int | None = None
    delay_s: float = 0.0


def success(told: object) -> bytes:
    return msgspec.json.encode({"success": True, "data": told})


def failure(code: str, text: str) -> bytes:
    return msgspec.json.encode({"success": False, "error": {"code": code, "message": text}})


class Replay:
    """Draws one fault per call from the venue's faults, from dice of its own."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._rng = Random(f"{venue.seed}:replay")
        self._kept_back: set[tuple[int, int]] = set()
        self._bucket = TokenBucket()
        self.requests = 0

    def refusal(self, now: datetime) -> Answer | None:
        """429 when the caller is too fast, for every route with a key."""
        wait_s = self._bucket.wait_s(now, self._venue.faults.requests_per_s)
        return _throttled(max(1, math.ceil(wait_s))) if wait_s else None

    def answer(self, query: Query, now: datetime) -> Answer:
        """One page, or one of the ways not to give it."""
        self.requests += 1
        faults = self._venue.faults
        delay_s = faults.slow_s if self._drawn(faults.slow_rate) else 0.0
        if self._drawn(faults.error_rate):
            return Answer(500, failure("INTERNAL_ERROR", "Something went wrong"), delay_s=delay_s)
        if self._drawn(faults.throttle_rate):
            return _throttled(faults.throttle_retry_after_s)
        if self._drawn(faults.empty_page_rate):
            return Answer(200, self._page([], query, has_more=False), delay_s=delay_s)
        copied_at = now
        if self._drawn(faults.replay_lag_rate):
            copied_at = now - timedelta(seconds=self._rng.uniform(0.0, faults.replay_lag_max_s))
        rows, has_more = self._rows(query, copied_at)
        return Answer(200, self._page(rows, query, has_more=has_more), delay_s=delay_s)

    def _drawn(self, rate: float) -> bool:
        return rate > 0 and self._rng.random() < rate

    def _rows(self, query: Query, at: datetime) -> tuple[list[Row], bool]:
        faults = self._venue.faults
        rows = self._venue.read(
            at,
            since=query.since,
            limit=query.limit + 1,
            event_type=query.event_type,
            market_id=query.market_id,
        )
        has_more = len(rows) > query.limit
        del rows[query.limit :]
        if len(rows) > 1 and self._drawn(faults.short_page_rate):
            del rows[self._rng.randint(1, len(rows) - 1) :]
            has_more = True
        if len(rows) > 2 and self._drawn(faults.missing_row_rate):
            missing = self._rng.randint(1, len(rows) - 2)
            if rows[missing].key not in self._kept_back:
                self._kept_back.add(rows[missing].key)
                del rows[missing]
        return rows, has_more

    def _page(self, rows: list[Row], query: Query, *, has_more: bool) -> bytes:
        last = rows[-1].sequence if rows else query.since or 0
        tail: dict[str, object] = {
            "hasMore": has_more,
            "nextSequence": last,
            "lastSequence": last,
            "latestSequence": self._venue.counter,
            "count": len(rows),
            "total": len(rows),
        }
        told = b"".join(
            b',"%b":%b' % (name.encode(), msgspec.json.encode(tail[name])) for name in self._venue.faults.tail
        )
        return b'{"success":true,"data":{"events":[%b]%b}}' % (b",".join([row.encoded for row in rows]), told)


def _throttled(retry_after_s: int) -> Answer:
    return Answer(429, failure("RATE_LIMITED", "Too many requests"), retry_after_s=retry_after_s)
