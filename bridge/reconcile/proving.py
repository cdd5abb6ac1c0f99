"""One read, from the question to what the door is told: rows, proof, quiet, or loss."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.core.errors import VenueError
from bridge.core.plan import Ask
from bridge.core.proof import Candidate, Clause, Judgement, Known, judge
from bridge.ingest import Door, Finding
from bridge.reconcile.limits import ReplayLimits
from bridge.reconcile.losses import find_loss, forgotten, remembered
from bridge.reconcile.reading import Reader, ReadSoFar
from bridge.reconcile.watch import Watch
from bridge.store import events, gaps, reads
from bridge.store.engine import store_errors
from bridge.store.evidence import Evidence
from bridge.store.reads import Read
from bridge.store.streams import Stream

log = structlog.get_logger()

SETTLE_EASING = 0.998
"""What a raised settling time is multiplied by with each proof, down to the configured start."""
ORDINARY = frozenset({Clause.RIGHT_ANCHOR, Clause.SETTLED})
"""What a read fails by where there is nothing to prove, or not yet: most reads of a tail do."""
NUMBERS_MAX = 2_000_000
"""Stored numbers that one read is held against."""


class Prover:
    """Reads and judges for one stream."""

    def __init__(
        self, engine: AsyncEngine, door: Door, clock: Clock, reader: Reader, watch: Watch, limits: ReplayLimits
    ) -> None:
        self._engine = engine
        self._door = door
        self._clock = clock
        self._reader = reader
        self._watch = watch
        self._limits = limits

    def settled_to(self, stream: Stream) -> int:
        """The highest number that has settled by now."""
        return self._watch.horizon.settled_to(at=self._clock.monotonic(), settle_s=stream.settle_s)

    async def read(self, stream: Stream, ask: Ask) -> tuple[ReadSoFar, Judgement]:
        """Read what ``ask`` asks for, judge it, and tell the door.

        Raises:
            VenueError: the venue could not be asked.
        """
        assert stream.frontier is not None
        began_at, asked_at = self._clock.monotonic(), self._clock.now()
        settled_to = self.settled_to(stream)
        since = await self._left_edge(stream)
        try:
            so_far = await self._reader.read_whole(
                since=since, upto=ask.upto, head=stream.head, urgent=ask.why != "tail"
            )
        except VenueError as error:
            if stream.gaps_open:
                await self._keep(stream, Read(asked_at, ask.why, since, ask.upto, error=str(error)))
            raise
        settled_to = max(settled_to, _settled_by_age(so_far, self._limits))
        judgement = await self._judge(stream, so_far, settled_to)
        settle_s = self._learned_settle(stream, so_far, judgement)
        await self._conclude(stream, so_far, judgement, settle_s)
        if stream.gaps_open or set(judgement.failed) - ORDINARY:
            await self._keep(stream, _tried(asked_at, ask, so_far, judgement))
        if so_far.ended and so_far.listed:
            self._watch.looked_to = max(self._watch.looked_to, so_far.listed[-1])
            self._watch.looked_at = began_at
        log.info(
            "replay.read",
            stream=stream.name,
            why=ask.why,
            pages=so_far.pages,
            rows=len(so_far.listed),
            fresh=len(so_far.fresh),
            proven=[judgement.proven.first, judgement.proven.last] if judgement.proven else None,
            withheld=[clause.value for clause in judgement.failed] or None,
        )
        return so_far, judgement

    async def _left_edge(self, stream: Stream) -> int | None:
        """Where to read from, so that the overlap and at least one stored row are seen again."""
        assert stream.frontier is not None
        with store_errors():
            async with self._engine.connect() as connection:
                below = await events.last_below(
                    connection, stream_id=stream.id, epoch=stream.epoch, below=stream.frontier
                )
        edge = stream.frontier - 1 - self._limits.overlap
        if below is not None:
            edge = min(edge, below[0] - 1)
        return edge if edge > 0 else None

    async def _judge(self, stream: Stream, so_far: ReadSoFar, settled_to: int) -> Judgement:
        assert stream.frontier is not None
        highest = max(so_far.listed, default=stream.frontier)
        with store_errors():
            async with self._engine.connect() as connection:
                stored = await events.numbers(
                    connection,
                    stream_id=stream.id,
                    epoch=stream.epoch,
                    first=stream.frontier,
                    last=min(highest, max(settled_to, stream.frontier)),
                    limit=NUMBERS_MAX,
                )
        anchors = so_far.anchors(stream.frontier)
        venue_now = so_far.venue_now or self._clock.now()
        known = Known(
            frontier=stream.frontier,
            anchors=anchors,
            anchored_in_time=await self._anchored_in_time(stream, venue_now) if not anchors else False,
            stored=self._to_be_listed(stream, so_far, stored),
            fresh=so_far.fresh,
            settled_to=settled_to,
        )
        return judge(so_far.reading(), known, self._watch.candidate)

    def _to_be_listed(self, stream: Stream, so_far: ReadSoFar, stored: Sequence[tuple[int, datetime]]) -> list[int]:
        """The stored numbers that a read must list to be believed.

        What a replay still does not know after the longest settling time it will never know: that is said,
        and does not hold up the rest.
        """
        old, seen = self._clock.now() - timedelta(seconds=self._limits.settle_max_s), so_far.seen
        unlisted = [number for number, heard_at in stored if heard_at <= old and number not in seen]
        if unlisted:
            log.error("event.unlisted", stream=stream.name, events=len(unlisted), first=unlisted[0])
        return [number for number, heard_at in stored if heard_at > old]

    async def _anchored_in_time(self, stream: Stream, venue_now: datetime) -> bool:
        """No stored row is left to see again, yet nothing that could follow the frontier is forgotten."""
        assert stream.frontier is not None
        if not remembered(stream.anchored_at, venue_now, self._limits):
            return False
        with store_errors():
            async with self._engine.connect() as connection:
                below = await events.last_below(
                    connection, stream_id=stream.id, epoch=stream.epoch, below=stream.frontier
                )
        return below is None or forgotten(below[1], venue_now, self._limits)

    def _learned_settle(self, stream: Stream, so_far: ReadSoFar, judgement: Judgement) -> float | None:
        """Twice the lateness just observed if that is more; eased with each proof. None: as it is.

        A row is late by at least the time from the first hearing of a higher number to the last look that
        should have listed it and did not.
        """
        lateness_s = 0.0
        for number in so_far.fresh:
            behind = self._watch.horizon.known_since(number + 1)
            if number < self._watch.looked_to and behind is not None:
                lateness_s = max(lateness_s, self._watch.looked_at - behind)
        wanted = min(self._limits.settle_max_s, 2 * lateness_s)
        if wanted > stream.settle_s:
            log.warning("settle.raised", stream=stream.name, settle_s=wanted, lateness_s=lateness_s)
            return wanted
        if judgement.proven is not None and stream.settle_s > self._limits.settle_s:
            return max(self._limits.settle_s, stream.settle_s * SETTLE_EASING)
        return None

    async def _conclude(
        self, stream: Stream, so_far: ReadSoFar, judgement: Judgement, settle_s: float | None
    ) -> None:
        """Give the door what the read proved; where the left anchor is gone, find out what is lost."""
        assert stream.frontier is not None
        self._watch.candidate = judgement.candidate
        finding = Finding(stream.epoch, settle_s=settle_s)
        if judgement.proven is not None:
            proof = Evidence(judgement.proven, "proof", _detail(so_far, judgement.candidate))
            finding = replace(finding, evidence=(proof,))
        elif so_far.ended and so_far.whole and not any(n >= stream.frontier for n in so_far.listed):
            finding = replace(finding, quiet_until=await self._quiet_until(stream, so_far))
        if finding != Finding(stream.epoch):
            await self._door.record(stream.name, finding)

    async def _keep(self, stream: Stream, read: Read) -> None:
        """Keep a read that concerned a gap, or should have proved something, and count it for the gaps it reached."""
        assert stream.frontier is not None
        with store_errors():
            async with self._engine.begin() as connection:
                await reads.insert(connection, stream_id=stream.id, epoch=stream.epoch, made=[read])
                if stream.gaps_open and read.error is None:
                    upto = stream.frontier if read.reached is None else read.reached
                    await gaps.note_read(
                        connection, stream_id=stream.id, epoch=stream.epoch, upto=upto, withheld=read.withheld
                    )

    async def _quiet_until(self, stream: Stream, so_far: ReadSoFar) -> datetime | None:
        """Nothing followed the frontier: complete up to shortly before the venue's present. None: no news."""
        if so_far.venue_now is None or stream.frontier is None or stream.head >= stream.frontier:
            return None
        if not so_far.anchors(stream.frontier) and not await self._anchored_in_time(stream, so_far.venue_now):
            return None
        until = so_far.venue_now - timedelta(seconds=self._limits.settle_max_s)
        stale = stream.anchored_at is None or until - stream.anchored_at > timedelta(seconds=self._limits.every_s)
        return until if stale else None

    async def _expired_to(self, stream: Stream, venue_now: datetime) -> int:
        """The highest number at or above the frontier that is stored, and past the venue's retention with all below.

        The one below the frontier where there is none.
        """
        assert stream.frontier is not None
        expired = venue_now - timedelta(seconds=self._limits.retention_s)
        with store_errors():
            async with self._engine.connect() as connection:
                young = await events.first_since(
                    connection, stream_id=stream.id, epoch=stream.epoch, lowest=stream.frontier, since=expired
                )
                last = await events.last_below(
                    connection,
                    stream_id=stream.id,
                    epoch=stream.epoch,
                    below=stream.head + 1 if young is None else young,
                )
        return max(stream.frontier - 1, 0 if last is None else last[0])

    async def declare_loss(self, stream: Stream, so_far: ReadSoFar) -> bool:
        """Where the venue has forgotten what follows the frontier, say so after a second look; True if lost."""
        venue_now = so_far.venue_now or self._clock.now()
        oldest, expired_to = await self._reader.oldest_number(), await self._expired_to(stream, venue_now)
        loss = find_loss(stream, oldest, so_far.listed, expired_to)
        if loss is None or self._watch.loss != loss:
            self._watch.loss = loss
            return False
        self._watch.loss = None
        detail = {
            "oldest_retained": loss.stop,
            "anchored_at": stream.anchored_at.isoformat() if stream.anchored_at else None,
            "asked_at": venue_now.isoformat(),
            "retention_s": self._limits.retention_s,
        }
        log.error("gap.lost", stream=stream.name, first=loss.first, last=loss.last, **detail)
        await self._door.record(stream.name, Finding(stream.epoch, (Evidence(loss, "loss", detail),)))
        return True


def _settled_by_age(so_far: ReadSoFar, limits: ReplayLimits) -> int:
    """The highest listed number whose time, by the venue's own clock, is further back than any settling.

    A time that is older than what the venue retains says nothing and is not believed.
    """
    if so_far.venue_now is None:
        return 0
    newest = so_far.venue_now - timedelta(seconds=limits.settle_max_s + 1)
    oldest = so_far.venue_now - timedelta(seconds=limits.retention_s)
    return max((number for number, at in so_far.times if oldest < at <= newest), default=0)


def _tried(asked_at: datetime, ask: Ask, so_far: ReadSoFar, judgement: Judgement) -> Read:
    """What is kept of a read."""
    proven = judgement.proven
    return Read(
        at=asked_at,
        why=ask.why,
        since=so_far.since,
        upto=ask.upto,
        reached=max(so_far.listed, default=None),
        pages=so_far.pages,
        rows=len(so_far.listed),
        fresh=len(so_far.fresh),
        proven_first=None if proven is None else proven.first,
        proven_last=None if proven is None else proven.last,
        withheld=", ".join(clause.value for clause in judgement.failed) or None,
    )


def _detail(so_far: ReadSoFar, claim: Candidate | None) -> dict[str, object]:
    return {
        "since": so_far.since,
        "pages": so_far.pages,
        "rows": len(so_far.listed),
        "asked_at": so_far.venue_now.isoformat() if so_far.venue_now else None,
        "looks": 1 if claim is None else 2,
    }
