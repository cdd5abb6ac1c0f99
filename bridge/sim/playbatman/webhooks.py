"""The webhook sender: many attempts side by side over kept connections, each outcome told to the venue."""

import asyncio

from bridge.clock import Clock
from bridge.core.delivery import Answered
from bridge.egress import Egress, HttpEgress
from bridge.sim.playbatman.outbox import Delivery
from bridge.sim.playbatman.signing import Signing
from bridge.sim.playbatman.venue import Venue

TIMEOUT_S = 10.0
FIRST_SENT_MAX = 1_000_000


class Sender:
    """Keeps ``side_by_side_max`` attempts going; what finds no room stays with the venue, still due."""

    def __init__(
        self,
        venue: Venue,
        *,
        clock: Clock,
        signing: Signing,
        side_by_side_max: int,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._venue = venue
        self._clock = clock
        self._signing = signing
        self._side_by_side_max = side_by_side_max
        self._timeout_s = timeout_s
        self._waiting: asyncio.Queue[Delivery] = asyncio.Queue(2 * side_by_side_max)
        self._first_sent_at_s: dict[tuple[int, int], float] = {}

    def offer(self) -> int:
        """Take as many due attempts as there is room for; returns how many."""
        room = self._waiting.maxsize - self._waiting.qsize()
        due = self._venue.deliveries_due(self._clock.now(), limit=room)
        for delivery in due:
            self._waiting.put_nowait(delivery)
        return len(due)

    def first_sent_at_s(self, key: tuple[int, int]) -> float | None:
        """Unix seconds of the first attempt for the row with this (epoch, sequence)."""
        return self._first_sent_at_s.get(key)

    async def run(self) -> None:
        """Send for ever."""
        async with (
            HttpEgress(self._clock, idle_per_origin_max=self._side_by_side_max) as egress,
            asyncio.TaskGroup() as workers,
        ):
            for _ in range(self._side_by_side_max):
                workers.create_task(self._work(egress))

    async def _work(self, egress: Egress) -> None:
        while True:
            delivery = await self._waiting.get()
            ok = await self._attempt(egress, delivery)
            self._venue.delivered(delivery, ok, self._clock.now())

    async def _attempt(self, egress: Egress, delivery: Delivery) -> bool:
        """One POST; any 2xx is success, everything else and silence is not."""
        outcome = await egress.post(
            delivery.webhook.url,
            self._headers(delivery),
            delivery.body,
            timeout_s=self._timeout_s,
            allow_private=True,
        )
        return isinstance(outcome, Answered) and 200 <= outcome.status < 300

    def _headers(self, delivery: Delivery) -> dict[str, str]:
        sent_at_s = self._clock.now().timestamp()
        if len(self._first_sent_at_s) < FIRST_SENT_MAX:
            self._first_sent_at_s.setdefault(delivery.row.key, sent_at_s)
        timestamp_s = int(sent_at_s)
        signature = self._signing.signature(delivery.body, secret=delivery.webhook.secret, timestamp_s=timestamp_s)
        return {
            "Content-Type": "application/json",
            self._signing.header: signature,
            "X-Webhook-Event": delivery.row.event_type,
            "X-Webhook-Delivery": delivery.delivery_id,
            "X-Webhook-Timestamp": str(timestamp_s),
        }
