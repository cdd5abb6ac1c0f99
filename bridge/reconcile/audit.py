"""The audit: the whole retained window read again, slowly, through the door, and compared. It finds our own faults.

What was missing becomes late, what differs becomes a conflict: the door says so by itself. What we hold and the venue
does not list is ours to say: nobody can prove it any more, and it is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.core.errors import VenueError
from bridge.core.event import SEQUENCE_MAX, Event, Transport
from bridge.ingest import Door
from bridge.reconcile.limits import ReplayLimits
from bridge.sources.base import Page, Replay
from bridge.store import audits, events
from bridge.store.audits import NAMED_MAX, Differing, Why
from bridge.store.comparing import Listed
from bridge.store.engine import store_errors
from bridge.store.streams import Stream

log = structlog.get_logger()


class Audit:
    """One pass over the window after another, a page at a time, so that it never stands in the way of a gap.

    How far it has got is a row: a sweep is gone on with by whoever holds the source's lease next.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        door: Door,
        clock: Clock,
        replay: Replay,
        limits: ReplayLimits,
        *,
        why: Why = "sweep",
        on_page: Callable[[Sequence[Listed]], None] = lambda listed: None,
    ) -> None:
        self._engine = engine
        self._door = door
        self._clock = clock
        self._replay = replay
        self._limits = limits
        self._why: Why = why
        self._on_page = on_page
        self._now: audits.Audit | None = None

    async def step(self, stream: Stream) -> audits.Audit:
        """Read one page; the pass, which is over once it has ended.

        Raises:
            VenueError: the venue could not be asked; the pass goes on from the same page.
        """
        under_way = await self._under_way(stream)
        try:
            listed, differing, is_last = await self._page(stream, under_way.last)
        except VenueError as error:
            self._now = await self._save(replace(under_way, error=str(error)))
            raise
        further = under_way.further(listed, differing)
        if not is_last:
            self._now = await self._save(further)
            return self._now
        ended = await self._save(replace(further, ended_at=self._clock.now()))
        self._now = None
        counts = {"fresh": ended.fresh, "conflicts": ended.conflicts, "unlisted": ended.unlisted}
        log.info("audit.finished", stream=stream.name, rows=ended.rows, **counts)
        return ended

    async def give_up(self, why: str) -> None:
        """End the pass that is under way, if one is: nobody will go on with it."""
        if self._now is not None:
            await self._save(replace(self._now, ended_at=self._clock.now(), error=why))
            self._now = None

    async def _under_way(self, stream: Stream) -> audits.Audit:
        """The pass to go on with; a new one where there is none, or where the numbers began anew meanwhile."""
        found = self._now
        with store_errors():
            async with self._engine.begin() as connection:
                if found is None and self._why == "sweep":
                    found = await audits.under_way(connection, stream_id=stream.id, why=self._why)
                if found is None or found.epoch != stream.epoch:
                    found = await audits.begin(
                        connection, stream_id=stream.id, epoch=stream.epoch, why=self._why, now=self._clock.now()
                    )
        self._now = found
        return found

    async def _save(self, audit: audits.Audit) -> audits.Audit:
        with store_errors():
            async with self._engine.begin() as connection:
                await audits.save(connection, audit)
        return audit

    async def _page(self, stream: Stream, since: int | None) -> tuple[list[int], Differing, bool]:
        """One page into the door: what it listed, what differs, and whether there is nothing behind it."""
        page = await self._replay.page(since=since, limit=self._limits.page_max)
        listed = [event.sequence for event in page.events if event.sequence is not None]
        late, conflicts = await self._take_in(stream, page.events)
        unlisted, in_all = await self._unlisted(stream, page, since, listed, listed)
        if in_all:
            # One answer may have come short: what is said not to be there is asked for once more.
            again = await self._replay.page(since=since, limit=self._limits.page_max)
            more_late, more_conflicts = await self._take_in(stream, again.events)
            late, conflicts = late | more_late, conflicts | more_conflicts
            both = {*listed, *(event.sequence for event in again.events if event.sequence is not None)}
            unlisted, in_all = await self._unlisted(stream, page, since, listed, both)
        if in_all:
            log.error("event.unlisted", stream=stream.name, events=in_all, first=unlisted[0])
        differing = Differing(sorted(late), sorted(conflicts), unlisted, in_all)
        is_last = not listed or max(listed) <= (since or 0) or page.more is False
        return listed, differing, is_last

    async def _take_in(self, stream: Stream, told: Sequence[Event]) -> tuple[set[int], set[int]]:
        """Give rows to the door: the numbers that had been missing, and those with other content."""
        if not told:
            return set(), set()
        receipt = await self._door.accept(
            stream.name, told, transport=Transport.REPLAY, reread_below=SEQUENCE_MAX, audited=True
        )
        late, conflicts = set(receipt.late), set(receipt.conflicts)
        self._on_page(
            [
                Listed(_epoch_of(event, stream), event.sequence, event.sequence in conflicts, event.sequence in late)
                for event in told
                if event.sequence is not None
            ]
        )
        return late, conflicts

    async def _unlisted(
        self, stream: Stream, page: Page, since: int | None, listed: Sequence[int], known: Sequence[int] | set[int]
    ) -> tuple[list[int], int]:
        """What we hold between the page's ends and is not ``known`` to be listed, though it is old and retained."""
        if not listed or page.malformed:  # a row that cannot be read is listed all the same
            return [], 0
        now = self._clock.now()
        with store_errors():
            async with self._engine.connect() as connection:
                return await events.unlisted(
                    connection,
                    stream_id=stream.id,
                    epoch=stream.epoch,
                    after=min(listed) - 1 if since is None else since,
                    upto=max(listed),
                    listed=known,
                    heard_before=now - timedelta(seconds=self._limits.settle_max_s),
                    retained_since=(page.venue_now or now)
                    - timedelta(seconds=self._limits.retention_s - self._limits.margin_s),
                    limit=NAMED_MAX,
                )


def _epoch_of(event: Event, stream: Stream) -> int:
    """Whose number it is: what happened before the present epoch began is the one's before."""
    began_at = stream.epoch_began_at
    return stream.epoch - (began_at is not None and event.occurred_at is not None and event.occurred_at < began_at)
