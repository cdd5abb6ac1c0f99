"""Filling a stream's holes: what to ask the venue for, when, and what to make of the answer."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from bridge.clock import Clock
from bridge.core.channel import Channel, Repair, Told
from bridge.core.errors import VenueError
from bridge.core.retry import backoff_s
from bridge.core.sequel import Want
from bridge.core.span import Span
from bridge.core.timeline import micros, moment
from bridge.core.venue_clock import VenueClock
from bridge.follow.chained import ChainedStream
from bridge.follow.limits import FollowLimits
from bridge.follow.timed import SECOND_US, TimedStream
from bridge.sources.market import Line, MarketSource, Recalled
from bridge.store.reads import Read

ANSWERS_IN_A_ROW_MAX = 3
SLICES_MAX = 8
"""Answers that are put together to one: each may be as long as the adapter allows."""


Keep = Callable[[int, Read], Awaitable[None]]
"""Keeps a read of a hole: the stream's id, and what was asked and answered, in milliseconds of venue time."""


class Looked(NamedTuple):
    """What an audit looked at: from when to when, how many rows, and when those happened that had been missed."""

    since_us: int
    until_us: int
    rows: int
    found_us: Sequence[int]


async def _kept_by_nobody(_stream_id: int, _read: Read) -> None:
    """Where nobody wants to know."""


class Mender:
    """Mends one source's streams. One call at a time per stream; the source's own quota bounds them together."""

    def __init__(
        self,
        source: MarketSource,
        clock: Clock,
        venue_clock: VenueClock,
        limits: FollowLimits,
        keep: Keep = _kept_by_nobody,
    ) -> None:
        self._keep = keep
        self._source = source
        self._clock = clock
        self._venue_clock = venue_clock
        self._limits = limits
        self._not_before_s: dict[str, float] = {}
        self._failures: dict[str, int] = {}

    def is_due(self, stream: TimedStream | ChainedStream, now_us: int) -> bool:
        """Whether something can be done for the stream just now."""
        if self._clock.monotonic() < self._not_before_s.get(stream.name, 0.0):
            return False
        if isinstance(stream, ChainedStream):
            return stream.want() is not Want.NOTHING
        hole = stream.hole(now_us)
        if hole is None or stream.awaits_writing:
            return False
        hears = stream.hears_from_us is not None
        if stream.channel.repair is Repair.HISTORY:
            return now_us >= hole.stop + stream.lag_us
        return hears and now_us >= hole.stop + stream.settle_us

    async def mend(self, stream: TimedStream | ChainedStream, line: Line, now_us: int) -> None:
        """Do what can be done for the stream just now; a venue that does not answer is asked again later."""
        asked_at, why = self._clock.now(), _asking(stream)
        try:
            if isinstance(stream, ChainedStream):
                await self._fetch(stream, line)
            elif (hole := stream.hole(now_us)) is not None:
                await self._recall(stream, hole, now_us)
        except VenueError as error:
            stream.withhold(str(error))
            await self._keep(stream.stream_id, Read(asked_at, why, error=str(error)))
            failures = self._failures[stream.name] = self._failures.get(stream.name, 0) + 1
            pause_s = backoff_s(
                failures, first_s=self._limits.retry_first_s, max_s=self._limits.retry_max_s, jitter=1.0
            )
            self._not_before_s[stream.name] = self._clock.monotonic() + pause_s
        else:
            self._failures.pop(stream.name, None)

    async def audit(self, stream: TimedStream, audited_until_us: int | None = None) -> Looked | None:
        """Read again what is told already, as far as it is remembered; None where nothing can be read again.

        The window goes back from where the audit before ended, however long ago that was: nobody has looked since.
        """
        timeline = stream.timeline
        if timeline is None or stream.channel.repair is not Repair.HISTORY:
            return None
        until_us = timeline.frontier_us
        looked_at_us = until_us if audited_until_us is None else min(until_us, audited_until_us)
        window_us = int(self._limits.audit_window_s * SECOND_US)
        since_us = max(timeline.remembers_from_us, looked_at_us - window_us)
        if since_us >= until_us:
            return None
        answer = await self._source.recall(stream.channel, moment(since_us), moment(until_us))
        if answer.superseding:
            return None
        if answer.complete_from is not None:  # what lies before it may be missing from the answer
            since_us = min(max(since_us, micros(answer.complete_from)), until_us)
        return Looked(since_us, until_us, len(answer.told), stream.recalled(answer.told, before_us=until_us))

    async def _recall(self, stream: TimedStream, hole: Span, now_us: int) -> None:
        """Ask the lists for a hole until two answers agree; what no list can tell is given up."""
        if stream.channel.repair is Repair.NOTHING:
            stream.give_up(hole, "not heard, and the venue keeps no list of it")
            return
        pad_us = int(self._limits.overlap_s * SECOND_US)
        hears = stream.hears_from_us is not None
        for _ in range(ANSWERS_IN_A_ROW_MAX):
            asked_at = self._clock.now()
            answer = await self._recalled(stream.channel, moment(hole.start - pad_us), moment(hole.stop + pad_us))
            if answer.venue_now is not None:
                self._venue_clock.note(answer.venue_now, self._clock.monotonic())
            if stream.channel.repair is Repair.SNAPSHOT and not answer.superseding:
                stream.give_up(hole, "the next state stands for what was not heard")
                return
            withheld = stream.answered(hole, answer, asked_us=now_us)
            await self._keep(stream.stream_id, _tried(asked_at, hole, answer, stream.brought, withheld))
            if withheld is None:
                break
        if not hears and not stream.in_pieces:
            self._not_before_s[stream.name] = self._clock.monotonic() + self._limits.poll_every_s

    async def _recalled(self, channel: Channel, since: datetime, until: datetime) -> Recalled:
        """What the lists say of a stretch. An answer that begins too late may have been too long for one: then
        what lies before it is asked for on its own, for as long as that brings more."""
        answer = await self._source.recall(channel, since, until)
        for _ in range(SLICES_MAX):
            proven = answer.complete_from
            if answer.superseding or proven is None or proven <= since:
                break
            before = await self._source.recall(channel, since, proven)
            if before.superseding or before.complete_from is None or before.complete_from >= proven:
                break
            told = (*_between(before, None, proven), *_between(answer, proven, None))
            answer = replace(answer, told=told, complete_from=before.complete_from)
        return answer

    async def _fetch(self, stream: ChainedStream, line: Line) -> None:
        """Pull the numbers that are missing, or have a snapshot come. What is wanted is looked at now.

        The turn was waited for, and the line may be gone by now: an answer would make whole what nobody hears.
        """
        want = stream.want()
        if want is Want.NOTHING:
            return
        if want is Want.PULL:
            hole = stream.sequel.hole()
            first, last = hole if hole is not None else (0, 0)
            asked_at = self._clock.now()
            rows = await self._source.pull(stream.channel, first, last) if hole is not None else ()
            read = _fetched(asked_at, "pull", stream.missing_us, rows=len(rows))
            stream.pulled(rows)
            await self._keep(stream.stream_id, read)
            return
        asked_at, life = self._clock.now(), stream.sequel.lives
        told = await self._source.snapshot(stream.channel)
        if told is not None:
            read = _fetched(asked_at, "snapshot", stream.missing_us, rows=1)
            read = read._replace(withheld=stream.snapshot(told, life=life))
            await self._keep(stream.stream_id, read)
            return
        await line.resubscribe(stream.channel.series)
        self._not_before_s[stream.name] = self._clock.monotonic() + self._limits.snapshot_wait_s

    def subscribed(self, stream: TimedStream | ChainedStream) -> None:
        """The stream is heard anew. A snapshot that comes by itself after subscribing is waited for at first."""
        self._not_before_s.pop(stream.name, None)
        if isinstance(stream, ChainedStream) and stream.channel.repair is not Repair.PULL:
            self._not_before_s[stream.name] = self._clock.monotonic() + self._limits.snapshot_wait_s


def _asking(stream: TimedStream | ChainedStream) -> str:
    """What a read of the stream asks for now, as its record says."""
    if isinstance(stream, TimedStream):
        return "lists"
    return "pull" if stream.want() is Want.PULL else "snapshot"


def _tried(asked_at: datetime, hole: Span, answer: Recalled, brought: int, withheld: str | None) -> Read:
    """What is kept of a list's answer to a hole; times are inclusive, in milliseconds."""
    first_ms, last_ms = hole.start // 1000, max(hole.start, hole.stop - 1) // 1000
    return Read(
        at=asked_at,
        why="lists",
        since=first_ms,
        upto=last_ms,
        reached=last_ms,
        pages=1,
        rows=len(answer.told),
        fresh=brought,
        proven_first=first_ms if withheld is None else None,
        proven_last=last_ms if withheld is None else None,
        withheld=withheld,
    )


def _fetched(asked_at: datetime, why: str, missing_us: tuple[int, int] | None, *, rows: int) -> Read:
    """What is kept of an answer to what a chain wants: of its hole, by which the gap knows it, where it has one."""
    first_ms, last_ms = (None, None) if missing_us is None else (missing_us[0] // 1000, missing_us[1] // 1000)
    return Read(asked_at, why, since=first_ms, upto=last_ms, reached=last_ms, pages=1, rows=rows)


def _between(answer: Recalled, since: datetime | None, until: datetime | None) -> Iterator[Told]:
    for told in answer.told:
        at = told.event.occurred_at
        if at is None or ((since is None or at >= since) and (until is None or at < until)):
            yield told
