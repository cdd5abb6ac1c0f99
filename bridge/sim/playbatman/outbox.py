"""Webhook attempts: what is due, what is tried again, what is dropped for ever.

All chances are drawn when a row is assigned, so how often somebody asks changes nothing.
"""

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from bridge.sim.playbatman.facts import uuid_of
from bridge.sim.playbatman.faults import Faults
from bridge.sim.playbatman.row import Row, contradicting, spaced, webhook_bare, webhook_row

BACKOFF_S = (1.0, 5.0, 25.0)


@dataclass(frozen=True, slots=True)
class Webhook:
    """One registered receiver; an empty ``events`` wants every type."""

    webhook_id: str
    url: str
    secret: str
    events: tuple[str, ...]
    description: str
    created_at: datetime

    def __repr__(self) -> str:
        return f"Webhook({self.webhook_id!r}, {self.url!r})"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt (1 is the first) to hand ``body`` to ``webhook``."""

    delivery_id: str
    webhook: Webhook
    row: Row
    attempt: int
    body: bytes


class Outbox:
    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._due: list[tuple[datetime, int, Delivery]] = []
        self._ticket = 0
        self._in_flight = 0
        self.counts: Counter[str] = Counter()
        self.conflicted: set[tuple[int, int]] = set()

    def schedule(self, row: Row, webhooks: Sequence[Webhook], faults: Faults) -> None:
        """Plan the deliveries of ``row``: lost at once, once, or more than once."""
        for webhook in webhooks:
            if webhook.events and row.event_type not in webhook.events:
                continue
            if self._rng.random() < faults.webhook_loss_rate:
                self.counts["lost"] += 1
                continue
            self._plan(row, webhook, self._body(row, webhook, faults), faults)
            if self._rng.random() < faults.webhook_duplicate_rate:
                self.counts["duplicated"] += 1
                self._plan(row, webhook, self._body(row, webhook, faults), faults)
            if self._rng.random() < faults.webhook_conflict_rate:
                self.conflicted.add(row.key)
                self._plan(row, webhook, webhook_row(row, payload=contradicting(row.payload)), faults)

    def _body(self, row: Row, webhook: Webhook, faults: Faults) -> bytes:
        rng = self._rng
        if rng.random() < faults.webhook_bare_rate:
            body = webhook_bare(row, webhook.webhook_id)
        else:
            body = webhook_row(row, numbered=rng.random() >= faults.webhook_unnumbered_rate)
        return spaced(body) if rng.random() < faults.webhook_spaced_rate else body

    def _plan(self, row: Row, webhook: Webhook, body: bytes, faults: Faults) -> None:
        held_s = faults.webhook_delay_s + self._rng.uniform(0.0, faults.webhook_reorder_s)
        delivery = Delivery(uuid_of(self._rng), webhook, row, 1, body)
        self._push(row.visible_at + timedelta(seconds=held_s), delivery)

    def _push(self, at: datetime, delivery: Delivery) -> None:
        self._ticket += 1
        heapq.heappush(self._due, (at, self._ticket, delivery))

    def due(self, now: datetime, *, limit: int | None = None) -> list[Delivery]:
        """Take the attempts due at ``now``; each must come back through ``settled``."""
        taken: list[Delivery] = []
        while self._due and self._due[0][0] <= now and (limit is None or len(taken) < limit):
            taken.append(heapq.heappop(self._due)[2])
        self._in_flight += len(taken)
        self.counts["attempted"] += len(taken)
        return taken

    def settled(self, delivery: Delivery, ok: bool, now: datetime, faults: Faults) -> None:
        """The outcome of one attempt: accepted, planned again, or dropped for ever."""
        self._in_flight -= 1
        if ok:
            self.counts["accepted"] += 1
        elif delivery.attempt >= faults.webhook_attempts_max:
            self.counts["dropped"] += 1
        else:
            again = replace(delivery, attempt=delivery.attempt + 1)
            self._push(now + timedelta(seconds=BACKOFF_S[delivery.attempt - 1]), again)

    @property
    def pending(self) -> int:
        """Attempts planned or under way."""
        return len(self._due) + self._in_flight
