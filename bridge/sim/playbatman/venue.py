"""The venue itself, without I/O: hands out numbers, commits some of them late, and knows the truth.

Time is an argument and every chance comes from the seed. It never learns who listens, nor how.
"""

import heapq
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

from bridge.sim.playbatman.facts import Trading, uuid_of
from bridge.sim.playbatman.faults import Faults
from bridge.sim.playbatman.frames import Frame, frame_of, frames_of
from bridge.sim.playbatman.ledger import Ledger
from bridge.sim.playbatman.outbox import Delivery, Outbox, Webhook
from bridge.sim.playbatman.row import Row, row_of, unix_ms

MARKETS = ("0b7e3a52-0000-4000-8000-00000000aa01", "0b7e3a52-0000-4000-8000-00000000aa02")
FRAMES_WAITING_MAX = 100_000
TRADES_SEEN_MAX = 10_000


class Venue:
    """One counter shared by ``operators`` operators; the first of them is us.

    ``in_process`` registers a receiver without an address, so that ``deliveries_due`` works at once.
    """

    def __init__(
        self,
        *,
        seed: int,
        start: datetime,
        faults: Faults,
        operators: int = 3,
        markets: Sequence[str] = MARKETS,
        retention_s: float = 86400,
        in_process: bool = True,
    ) -> None:
        if start.tzinfo is None:
            raise ValueError("a venue starts at an aware time")
        if operators < 1:
            raise ValueError("operators must be at least 1: we are one of them")
        self.start = start
        self.seed = seed
        self.faults = faults
        self.markets = tuple(markets)
        self.retention_s = retention_s
        self._operators = operators
        self._numbers = Random(f"{seed}:numbers")
        self._ids = Random(f"{seed}:ids")
        self.operator_id = uuid_of(self._ids)
        self._trading = Trading(Random(f"{seed}:facts"), operator_id=self.operator_id, markets=self.markets)
        self._ledger = Ledger()
        self._outbox = Outbox(Random(f"{seed}:webhooks"))
        self._frames: list[tuple[datetime, int, Row]] = []
        self._frame_ticket = 0
        self._trades_seen: dict[str, None] = {}
        self.epoch = 1
        self.counter = 0
        self.webhooks: tuple[Webhook, ...] = ()
        self._down_until = self._silent_until = start
        if in_process:
            self.register("", now=start)

    # What happens.

    def emit(self, now: datetime, count: int = 1) -> list[Row]:
        """``count`` rows of ours, and between them the numbers of others and the burnt ones."""
        rows: list[Row] = []
        for _ in range(count):
            self._advance()
            row = self._assign(now, commit_after_s=self._lateness_s())
            self._outbox.schedule(row, self.webhooks, self.faults)
            self._frame_ticket += 1
            heapq.heappush(self._frames, (row.visible_at, self._frame_ticket, row))
            rows.append(row)
        while len(self._frames) > FRAMES_WAITING_MAX:
            heapq.heappop(self._frames)
        return rows

    def seed_history(self, count: int, age_s: float, *, now: datetime | None = None) -> None:
        """``count`` rows spread over the last ``age_s`` seconds, before any ``emit``; for replay alone."""
        end = self.start if now is None else now
        begin = end - timedelta(seconds=age_s)
        newest = self._ledger.head()
        if newest is not None and newest.assigned_at > begin:
            raise ValueError("history comes before what was emitted")
        for nth in range(count):
            self._advance()
            at = begin + timedelta(seconds=age_s * nth / count)
            self._assign(at, commit_after_s=0.0)

    def reset_counter(self) -> None:
        """Numbers start again from 1; the replay forgets the rows of the old numbering."""
        self.epoch += 1
        self.counter = 0
        self._ledger.open_epoch()

    def _advance(self) -> None:
        """Move the counter to our next number, past those of others and the burnt ones."""
        self.counter += 1
        if self.faults.contiguous:
            return
        share = self.faults.others_share
        foreign = (self._operators - 1) / self._operators if share is None else share
        while self._numbers.random() < self.faults.burnt_rate or self._numbers.random() < foreign:
            self.counter += 1

    def _lateness_s(self) -> float:
        if self._numbers.random() >= self.faults.late_commit_rate:
            return 0.0
        return self._numbers.uniform(0.0, self.faults.late_commit_max_s)

    def _assign(self, now: datetime, *, commit_after_s: float) -> Row:
        fact = self._trading.fact(unix_ms(now))
        row = row_of(
            sequence=self.counter,
            epoch=self.epoch,
            event_id=uuid_of(self._ids),
            operator_id=self.operator_id,
            event_type=fact.event_type,
            market_id=fact.market_id,
            payload=fact.payload,
            assigned_at=now,
            visible_at=now + timedelta(seconds=commit_after_s),
            retention_s=self.retention_s,
        )
        self._ledger.add(row)
        return row

    # What is true.

    def assigned(self) -> list[Row]:
        """Every row of ours, committed or about to be, in order of (epoch, sequence)."""
        return self._ledger.rows()

    def assigned_after(self, ordinal: int, limit: int) -> list[Row]:
        return self._ledger.after(ordinal, limit)

    @property
    def assigned_count(self) -> int:
        return len(self._ledger)

    @property
    def head(self) -> Row | None:
        return self._ledger.head()

    def uncommitted(self, now: datetime) -> int:
        """How many rows have a number and cannot be read yet."""
        return self._ledger.uncommitted(now)

    @property
    def conflicted(self) -> frozenset[tuple[int, int]]:
        """(epoch, sequence) of every row of which a webhook says something else."""
        return frozenset(self._outbox.conflicted)

    # What is heard.

    def read(
        self,
        now: datetime,
        *,
        since: int | None,
        limit: int,
        event_type: str | None = None,
        market_id: str | None = None,
    ) -> list[Row]:
        """What an honest replay answers at ``now``; the lies are told in ``replay``."""
        return self._ledger.read(now, since=since, limit=limit, event_type=event_type, market_id=market_id)

    def register(
        self,
        url: str,
        *,
        now: datetime,
        events: Sequence[str] = (),
        description: str = "",
        secret: str | None = None,
    ) -> Webhook:
        """A receiver for every row assigned from here on; a secret is made up unless given."""
        own = f"{self._ids.getrandbits(256):064x}" if secret is None else secret
        webhook = Webhook(uuid_of(self._ids), url, own, tuple(events), description, now)
        self.webhooks += (webhook,)
        return webhook

    def unregister(self, webhook_id: str) -> bool:
        """Stop planning for this receiver; what is planned already is still tried."""
        before = len(self.webhooks)
        self.webhooks = tuple(w for w in self.webhooks if w.webhook_id != webhook_id)
        return len(self.webhooks) < before

    def deliveries_due(self, now: datetime, *, limit: int | None = None) -> list[Delivery]:
        """Webhook attempts due at ``now``; none while the venue is down. Report each to ``delivered``."""
        return [] if self.is_down(now) else self._outbox.due(now, limit=limit)

    def delivered(self, delivery: Delivery, ok: bool, now: datetime) -> None:
        """The outcome of an attempt: after a failure 1, 5 (and 25) seconds, then dropped for ever."""
        self._outbox.settled(delivery, ok, now, self.faults)

    @property
    def pending_deliveries(self) -> int:
        return self._outbox.pending

    @property
    def delivery_counts(self) -> dict[str, int]:
        """accepted, attempted, dropped, duplicated, lost."""
        return dict(self._outbox.counts)

    def frames_due(self, now: datetime) -> list[bytes]:
        """Socket frames for rows committed since the last call; while silent they are lost."""
        return [frame.body for frame in self.frames_of_markets_due(now)]

    def frames_of_markets_due(self, now: datetime) -> list[Frame]:
        """The same, each with the market whose subscribers get it."""
        rows = []
        while self._frames and self._frames[0][0] <= now:
            rows.append(heapq.heappop(self._frames)[2])
        if self.is_down(now) or self.is_silent(now):
            return []
        frames = [frame for row in rows for frame in frames_of(row, trades_seen=self._trades_seen)]
        while len(self._trades_seen) > TRADES_SEEN_MAX:
            del self._trades_seen[next(iter(self._trades_seen))]
        return frames

    def snapshot(self, market_id: str, now: datetime) -> list[bytes]:
        """What a subscriber may be told at once: prices and one book. Draws nothing from the venue's dice."""
        rng = Random(f"{self.seed}:snapshot:{market_id}:{unix_ms(now)}")
        aside = Trading(rng, operator_id=self.operator_id, markets=(market_id,))
        names = {"PRICE_UPDATED": "PRICE_UPDATE", "ORDER_BOOK_UPDATE": "ORDERBOOK_UPDATE"}
        return [frame_of(names[kind], told) for kind, told in aside.snapshot(market_id, unix_ms(now))]

    # What is broken.

    def go_down(self, now: datetime, seconds: float) -> None:
        self._down_until = now + timedelta(seconds=seconds)

    def go_silent(self, now: datetime, seconds: float) -> None:
        self._silent_until = now + timedelta(seconds=seconds)

    def is_down(self, now: datetime) -> bool:
        """REST and sockets refuse; webhooks wait; numbers are handed out all the same."""
        return now < self._down_until or self._within(now, self.faults.down_every_s, self.faults.down_s)

    def is_silent(self, now: datetime) -> bool:
        """Sockets stay open and say nothing, not even PONG."""
        return now < self._silent_until or self._within(now, self.faults.silence_every_s, self.faults.silence_s)

    def cuts(self, now: datetime) -> int:
        """How many times the sockets have been cut by the clock until ``now``."""
        every_s = self.faults.cut_every_s
        return int((now - self.start).total_seconds() // every_s) if every_s else 0

    def _within(self, now: datetime, every_s: float, seconds: float) -> bool:
        elapsed_s = (now - self.start).total_seconds()
        return bool(every_s) and elapsed_s >= every_s and elapsed_s % every_s < seconds
