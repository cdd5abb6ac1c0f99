"""A venue without numbers that lies with a seed, a follower's parts over it, and the promises to hold them to.

Time is moved by hand in steps; the parts, the door and Postgres are the real ones.
"""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.channel import Channel, Model, Repair, Told
from bridge.core.errors import VenueError
from bridge.core.event import Event, Kind, LogEntry, digest_of
from bridge.core.timeline import micros, moment
from bridge.core.venue_clock import VenueClock
from bridge.follow.limits import FollowLimits
from bridge.follow.mending import Mender
from bridge.follow.opening import open_streams
from bridge.follow.timed import TimedStream
from bridge.ingest.followed import append
from bridge.sources.market import Recalled
from bridge.store import log, streams
from bridge.store.direct import taken_out

STEP_S = 0.1
START = datetime(2026, 2, 18, tzinfo=UTC)
LIMITS = FollowLimits(poll_every_s=2.0, retry_first_s=0.5, retry_max_s=2.0)


@dataclass(frozen=True)
class Lies:
    """What the venue does wrong. ``reach_s`` is how far back its lists go, ``late_s`` how late its frames may be.
    An answer of its lists holds the newest ``rows_max`` rows of what was asked for."""

    rate_per_s: float = 8.0
    twin_rate: float = 0.1
    cut_rate: float = 0.01
    dark_max_s: float = 12.0
    duplicate_rate: float = 0.1
    swallow_rate: float = 0.0
    error_rate: float = 0.2
    short_rate: float = 0.2
    late_s: float = 0.4
    deaf_after_ack_s: float = 0.6
    reach_s: float = 10_000.0
    rows_max: int = 1_000

    @classmethod
    def draw(cls, dice: Random) -> "Lies":
        """Everything at once, each more or less."""
        return cls(
            rate_per_s=dice.uniform(1, 20),
            twin_rate=dice.choice((0.0, 0.3)),
            cut_rate=dice.choice((0.0, 0.02, 0.05)),
            duplicate_rate=dice.choice((0.0, 0.3)),
            error_rate=dice.choice((0.0, 0.4)),
            short_rate=dice.choice((0.0, 0.4)),
            reach_s=dice.choice((10_000.0, 10_000.0, 5.0)),
        )


@dataclass(frozen=True)
class Assigned:
    """One event as the venue made it. ``content`` is what it looks like, ``listed_at`` when its lists show it."""

    content: str
    at: datetime
    listed_at: datetime


class Market:
    """The venue and the follower's parts. ``channel`` says what kind of events it has."""

    def __init__(self, engine: AsyncEngine, *, seed: int, lies: Lies, channel: Channel, shift_s: float = 0.0) -> None:
        self.engine = engine
        self.lies = lies
        self.channel = channel
        self.dice = Random(seed)
        self.venue_at = START
        # Ours goes at its own pace from a start of its own: promises must not depend on it.
        self.clock = ManualClock(START + timedelta(seconds=shift_s))
        self.venue_clock = VenueClock()
        self.assigned: list[Assigned] = []
        self.up = False
        self.short: set[tuple[datetime, datetime]] = set()
        self.heard_from: datetime | None = None
        self.dark_until = START
        self.pipe: list[tuple[datetime, Told]] = []
        self.stream: TimedStream | None = None
        self.mender = Mender(self, self.clock, self.venue_clock, LIMITS)  # type: ignore[arg-type]  # only recall is asked

    # The venue

    async def recall(self, channel: Channel, since: datetime, until: datetime) -> Recalled:
        """What the lists show: late, short now and then, and only as far back as they reach."""
        if self.dice.random() < self.lies.error_rate:
            raise VenueError("the venue answered HTTP 500")
        reaches = self.venue_at - timedelta(seconds=self.lies.reach_s)
        rows = [
            one for one in self.assigned if max(since, reaches) <= one.at < until and one.listed_at <= self.venue_at
        ]
        question = since, until
        if question not in self.short and self.dice.random() < self.lies.short_rate:  # never twice in a row
            self.short.add(question)
            rows = [one for one in rows if self.dice.random() < 0.7]
        else:
            self.short.discard(question)
        complete_from = max(since, reaches)
        if len(rows) > self.lies.rows_max:  # the adapter keeps the newest of so many
            rows = rows[-self.lies.rows_max :]
            complete_from = rows[0].at + timedelta(microseconds=1)
        told = tuple(self._told(one) for one in rows)
        return Recalled(told, complete_from, venue_now=self.venue_at)

    def _told(self, one: Assigned) -> Told:
        payload = json.dumps({"content": one.content}).encode()
        return Told(self.channel.series, Event(one.content, "trade", "X", payload, digest_of(payload), None, one.at))

    def _assign(self) -> None:
        if self.dice.random() >= self.lies.rate_per_s * STEP_S:
            return
        at = self.venue_at.replace(microsecond=self.venue_at.microsecond // 100_000 * 100_000)
        number = len(self.assigned)
        one = Assigned(f"c{number}", at, at + timedelta(seconds=self.dice.uniform(0, self.channel.lag_s)))
        self.assigned.append(one)
        self._push(one)
        if self.channel.model is Model.NONE and self.dice.random() < self.lies.twin_rate:
            twin = replace(one)
            self.assigned.append(twin)
            self._push(twin)

    def _push(self, one: Assigned) -> None:
        if self.heard_from is None or self.venue_at < self.heard_from or self.dice.random() < self.lies.swallow_rate:
            return
        told = self._told(one)
        arrives = self.venue_at + timedelta(seconds=self.dice.uniform(0, self.lies.late_s))
        self.pipe.append((arrives, told))
        if self.channel.model is not Model.NONE and self.dice.random() < self.lies.duplicate_rate:
            self.pipe.append((arrives, told))

    def _connect(self) -> None:
        assert self.stream is not None
        if self.up and self.dice.random() < self.lies.cut_rate:
            self.up, self.heard_from, self.pipe = False, None, []
            self.dark_until = self.venue_at + timedelta(seconds=self.dice.uniform(0.2, self.lies.dark_max_s))
            self.stream.unheard()
        elif not self.up and self.venue_at >= self.dark_until:
            self.up = True
            # Acknowledged, and yet it takes a moment until the venue really tells.
            self.heard_from = self.venue_at + timedelta(seconds=self.dice.uniform(0, self.lies.deaf_after_ack_s))
            self.venue_clock.note(self.venue_at, self.clock.monotonic())
            self.stream.subscribed(self._now_us())
            self.mender.subscribed(self.stream)

    # The bridge

    def _now_us(self) -> int:
        known = self.venue_clock.at(self.clock.monotonic())
        assert known is not None
        return micros(known)

    async def begin(self) -> None:
        """Start, or start again after a kill, from what the database knows."""
        opened = await open_streams(self.engine, "m", [self.channel], LIMITS)
        stream = opened[self.channel.series]
        assert isinstance(stream, TimedStream)
        self.stream = stream
        self.up, self.heard_from, self.pipe = False, None, []
        self.mender = Mender(self, self.clock, self.venue_clock, LIMITS)  # type: ignore[arg-type]  # as above

    async def run(self, seconds: float) -> None:
        for step in range(round(seconds / STEP_S)):
            self.venue_at += timedelta(seconds=STEP_S)
            self.clock.advance(STEP_S)
            self._connect()
            self._assign()
            await self._hear(step)

    async def _hear(self, step: int) -> None:
        assert self.stream is not None
        arrived = [told for at, told in self.pipe if at <= self.venue_at]
        self.pipe = [(at, told) for at, told in self.pipe if at > self.venue_at]
        self.dice.shuffle(arrived)
        for told in arrived:
            self.stream.live(told)
        if self.up and step % 5 == 0:
            self.venue_clock.note(self.venue_at, self.clock.monotonic())
            self.stream.alive(micros(self.venue_at))
        if self.venue_clock.known and self.mender.is_due(self.stream, self._now_us()):
            await self.mender.mend(self.stream, None, self._now_us())  # type: ignore[arg-type]  # no line is asked here
        await self.write()

    async def write(self) -> None:
        assert self.stream is not None
        while (chapter := self.stream.chapter(100)) is not None:
            async with taken_out(self.engine) as connection, connection.transaction():
                done = await append(connection, self.stream.stream_id, chapter, now=self.clock.now())
            self.stream.written(done.stream.position, done.gap_id)
            if not chapter.sayings:
                break

    async def calm(self) -> None:
        """No more faults, until everything that can be mended is."""
        self.lies = replace(self.lies, cut_rate=0.0, error_rate=0.0, short_rate=0.0, swallow_rate=0.0, dark_max_s=0.3)
        self.dark_until = min(self.dark_until, self.venue_at)
        await self.run(30)

    # The promises

    async def entries(self) -> list[LogEntry]:
        assert self.stream is not None
        async with self.engine.connect() as connection:
            return await log.read(
                connection, stream_id=self.stream.stream_id, stream=f"m.{self.channel.series}", after=0, limit=100_000
            )

    async def check(self) -> None:
        """Once, in order, and nothing skipped below the frontier that is not told as missing."""
        assert self.stream is not None
        assert self.stream.timeline is not None
        entries = await self.entries()
        held = [entry for entry in entries if entry.kind in (Kind.EVENT, Kind.LATE, Kind.RECOVERED)]
        ids = [entry.event_id for entry in held]
        assert len(ids) == len(set(ids)), "an event is told twice"
        turns = [(entry.occurred_at, entry.event_id) for entry in held if entry.kind is Kind.EVENT]
        assert turns == sorted(turns), "events are told out of order"
        gaps = [json.loads(entry.payload) for entry in entries if entry.kind is Kind.GAP]
        spans = [(datetime.fromisoformat(gap["from"]), datetime.fromisoformat(gap["to"])) for gap in gaps]
        base, frontier = await self._base(), moment(self.stream.timeline.frontier_us)
        owed = [one for one in self.assigned if base <= one.at < frontier]
        counts: dict[str, int] = {}
        for event_id in ids:
            counts[event_id.split("#")[0]] = counts.get(event_id.split("#")[0], 0) + 1
        for one in owed:
            wanted = sum(1 for other in owed if other.content == one.content)
            told_missing = any(start - timedelta(milliseconds=1) <= one.at < stop for start, stop in spans)
            assert counts.get(one.content, 0) == wanted or told_missing, f"{one} is skipped in silence"

    async def check_whole(self) -> None:
        """Nothing is open any more, and the frontier is where the venue is."""
        assert self.stream is not None
        assert self.stream.timeline is not None
        assert not self.stream.unfinished or self.stream.timeline.waiting < 100
        lag = self.venue_at - moment(self.stream.timeline.frontier_us)
        assert lag < timedelta(seconds=2, microseconds=self.stream.settle_us)

    async def _base(self) -> datetime:
        async with self.engine.connect() as connection:
            stream = await streams.read(connection, f"m.{self.channel.series}")
        assert stream is not None
        assert stream.epoch_began_at is not None
        return stream.epoch_began_at


KEYED = Channel(
    series="trade", topic="trade", model=Model.KEYED, repair=Repair.HISTORY, id_fields=("id",), scope="symbol",
    settle_s=1.0, lag_s=2.0,
)  # fmt: skip
TWINS = replace(KEYED, model=Model.NONE)
UNLISTED = replace(KEYED, repair=Repair.NOTHING)
