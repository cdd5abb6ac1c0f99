"""The audit: the whole retained window read again, slowly, through the door, and compared. It finds our own faults.

What was missing becomes late, what differs becomes a conflict: the door says so by itself. What we hold and the venue
does not list is ours to say: nobody can prove it any more, and it is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.core.errors import BridgeError, VenueError
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


@dataclass(slots=True)
class _Look:
    """What the answers to one question come to. ``is_last``: nothing of this pass lies behind it."""

    listed: set[int] = field(default_factory=set)
    conflicts: set[int] = field(default_factory=set)
    unlisted: Sequence[int] = ()
    unlisted_in_all: int = 0
    malformed: int = 0
    is_last: bool = False


class Audit:
    """One pass over the window after another, a page at a time, so that it never stands in the way of a gap.

    How far it has got is a row: a sweep is gone on with by whoever holds the source's lease next. ``venue_now`` is
    the venue's clock at the newest answer, ours where it has not said.
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
        self._known_to = 0
        self.venue_now = clock.now()

    async def step(self, stream: Stream) -> audits.Audit:
        """Read one page; the pass, which is over once it has ended.

        Raises:
            VenueError: the venue could not be asked; the pass goes on from the same page.
            BridgeError: this pass was asked for, and another one has taken its place.
        """
        under_way = await self._under_way(stream)
        try:
            look = await self._look(stream, under_way)
        except VenueError as error:
            await self._save(replace(under_way, error=str(error)))
            raise
        found = Differing(sorted(look.conflicts), look.unlisted, look.unlisted_in_all)
        further = under_way.further(sorted(look.listed), found)
        if look.malformed and not look.listed:
            further = replace(further, error="no row of a page could be read")
        saved = await self._save(replace(further, ended_at=self._clock.now()) if look.is_last else further)
        if saved is None:
            return further  # somebody else has ended it: the next step shows what there is to go on with
        if saved.ended_at is not None:
            counts = {"fresh": saved.fresh, "conflicts": saved.conflicts, "unlisted": saved.unlisted}
            log.info("audit.finished", stream=stream.name, rows=saved.rows, error=saved.error, **counts)
        return saved

    async def give_up(self, why: str) -> None:
        """End the pass that is under way, if one is: nobody will go on with it."""
        if self._now is not None and self._now.ended_at is None:
            await self._save(replace(self._now, ended_at=self._clock.now(), error=why))

    async def _under_way(self, stream: Stream) -> audits.Audit:
        """The pass to go on with; a new one where there is none, or where the numbers began anew meanwhile."""
        mine = self._now
        with store_errors():
            async with self._engine.begin() as connection:
                found = await audits.under_way(connection, stream_id=stream.id, why=self._why)
                if self._why == "asked" and mine is not None and mine.ended_at is None:
                    if found is None or found.id != mine.id:
                        raise BridgeError(f"another comparison of {stream.name} with its venue has begun meanwhile")
                elif self._why == "asked":
                    found = None  # whoever asked for that one is gone
                if found is None or found.epoch != stream.epoch:
                    found = await audits.begin(
                        connection, stream_id=stream.id, epoch=stream.epoch, why=self._why, now=self._clock.now()
                    )
        if mine is None or found.id != mine.id:
            self._known_to = stream.head
        self._now = found
        return found

    async def _save(self, audit: audits.Audit) -> audits.Audit | None:
        with store_errors():
            async with self._engine.begin() as connection:
                saved = await audits.save(connection, audit)
        self._now = saved or self._now
        return saved

    async def _look(self, stream: Stream, under_way: audits.Audit) -> _Look:
        """One page into the door: what it listed, what differs, and whether there is nothing behind it."""
        look = _Look()
        await self._ask(stream, under_way, look)
        if look.unlisted:
            # One answer may have come short: what is said not to be there is asked for once more.
            await self._ask(stream, under_way, look)
        if look.unlisted:
            log.error("event.unlisted", stream=stream.name, events=look.unlisted_in_all, first=look.unlisted[0])
        return look

    async def _ask(self, stream: Stream, under_way: audits.Audit, look: _Look) -> None:
        """Ask for the page that follows what the pass has looked at, and add the answer to ``look``."""
        since = under_way.last
        page = await self._replay.page(since=since, limit=self._limits.page_max)
        self.venue_now = page.venue_now or self._clock.now()
        look.conflicts |= await self._take_in(stream, page.events, under_way.id)
        look.listed |= {event.sequence for event in page.events if event.sequence is not None}
        look.malformed += page.malformed
        look.is_last = self._is_last(page, max(look.listed, default=0), since or 0)
        look.unlisted, look.unlisted_in_all = await self._unlisted(stream, since, look)

    def _is_last(self, page: Page, reached: int, since: int) -> bool:
        """Whether the page ends the list, or, where the venue does not say so, what was known as the pass began."""
        if reached <= since or page.more is False:
            return True
        return page.more is None and page.rows < self._limits.page_max and reached >= self._known_to

    async def _take_in(self, stream: Stream, told: Sequence[Event], audit_id: int) -> set[int]:
        """Give rows to the door; the numbers that have other content here."""
        if not told:
            return set()
        receipt = await self._door.accept(
            stream.name, told, transport=Transport.REPLAY, reread_below=SEQUENCE_MAX, audit=audit_id
        )
        late, conflicts = set(receipt.late), set(receipt.conflicts)
        self._on_page(
            [
                Listed(_epoch_of(event, stream), event.sequence, event.sequence in conflicts, event.sequence in late)
                for event in told
                if event.sequence is not None
            ]
        )
        return conflicts

    async def _unlisted(self, stream: Stream, since: int | None, look: _Look) -> tuple[Sequence[int], int]:
        """What we hold of the page's stretch, or behind the last, and is not listed, though it is old and retained.

        A list without a row says nowhere where it begins: all that should be retained is missing from it.
        """
        if look.malformed:  # a row that cannot be read is listed all the same
            return (), 0
        after = since if since is not None else min(look.listed, default=1) - 1
        with store_errors():
            async with self._engine.connect() as connection:
                return await events.unlisted(
                    connection,
                    stream_id=stream.id,
                    epoch=stream.epoch,
                    after=after,
                    upto=SEQUENCE_MAX if look.is_last else max(look.listed),
                    listed=look.listed,
                    heard_before=self._clock.now() - timedelta(seconds=self._limits.settle_max_s),
                    retained_since=self.retained_since,
                    limit=NAMED_MAX,
                )

    @property
    def retained_since(self) -> datetime:
        """What happened after this time, by the venue's clock, is surely retained still."""
        return self.venue_now - timedelta(seconds=self._limits.retention_s - self._limits.margin_s)


def _epoch_of(event: Event, stream: Stream) -> int:
    """Whose number it is: what happened before the present epoch began is the one's before."""
    began_at = stream.epoch_began_at
    return stream.epoch - (began_at is not None and event.occurred_at is not None and event.occurred_at < began_at)
