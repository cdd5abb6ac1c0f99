"""Reading a replay: page after page through the door, keeping what is needed to judge the read."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import TypeVar

from bridge.core.event import SEQUENCE_MAX, Event, Transport
from bridge.core.proof import Reading
from bridge.ingest import Door
from bridge.reconcile.limits import ReplayLimits
from bridge.sources.base import Page, Replay

T = TypeVar("T")


@dataclass(slots=True)
class ReadSoFar:
    """What a read gathered. ``venue_now`` is the venue's clock at its first answer."""

    since: int | None
    listed: list[int] = field(default_factory=list)
    fresh: set[int] = field(default_factory=set)
    conflicts: set[int] = field(default_factory=set)
    times: list[tuple[int, datetime]] = field(default_factory=list)
    pages: int = 0
    ended: bool = False
    whole: bool = True
    venue_now: datetime | None = None
    oldest_after: int | None = None

    def reading(self) -> Reading:
        return Reading(
            since=self.since,
            listed=tuple(self.listed),
            pages=self.pages,
            ended=self.ended,
            whole=self.whole,
            oldest_after=self.oldest_after,
        )

    @property
    def seen(self) -> set[int]:
        """The listed numbers, as a set."""
        return set(self.listed)

    def anchors(self, frontier: int) -> set[int]:
        """Numbers below the frontier that were stored before and are told again with the same content."""
        return {n for n in self.listed if n < frontier and n not in self.fresh and n not in self.conflicts}


class Reader:
    """Reads one numbered stream's replay into the door."""

    def __init__(self, replay: Replay, door: Door, stream: str, limits: ReplayLimits) -> None:
        self._replay = replay
        self._door = door
        self._stream = stream
        self._limits = limits
        self._heard_to = 0

    async def read(self, *, since: int | None, upto: int | None, urgent: bool = False) -> ReadSoFar:
        """Read everything above ``since`` until a number above ``upto`` was seen, or to the end.

        The next page is asked for while the last one is on its way into the database.

        Raises:
            VenueError: the venue could not be asked; the rows read before are kept.
        """
        so_far = ReadSoFar(since)
        page = await self._replay.page(since=since, limit=self._limits.page_max, urgent=urgent)
        so_far.venue_now = page.venue_now
        while True:
            cursor = self._note(so_far, page, upto)
            if cursor is None:
                await self._take_in(so_far, page.events)
                break
            taken, ahead = await asyncio.gather(
                self._take_in(so_far, page.events),
                self._replay.page(since=cursor, limit=self._limits.page_max, urgent=urgent),
                return_exceptions=True,
            )
            _result(taken)
            page = _result(ahead)
        return so_far

    async def read_whole(self, *, since: int | None, upto: int | None, head: int, urgent: bool = False) -> ReadSoFar:
        """Like ``read``, but a long window up to the known ``head`` is cut into parts, read side by side.

        Where more than one page was needed, the oldest retained number is asked for at the end.
        """
        low, high = since or 0, head if upto is None else upto
        parts = min(self._limits.side_by_side_max, (high - low) // (4 * self._limits.page_max))
        if parts < 2:
            so_far = await self.read(since=since, upto=upto, urgent=urgent)
        else:
            cuts = [low + (high - low) * part // parts for part in range(parts)]
            ends = [*cuts[1:], upto]
            reads = await asyncio.gather(
                *(self.read(since=cut or None, upto=end, urgent=urgent) for cut, end in zip(cuts, ends, strict=True)),
                return_exceptions=True,
            )
            so_far = _stitched([_result(read) for read in reads], ends)
        if so_far.pages > 1:
            so_far.oldest_after = await self.oldest_number()
        return so_far

    async def oldest(self) -> Page:
        """One page that holds the oldest retained row, if there is one."""
        return await self._replay.page(since=None, limit=1)

    async def oldest_number(self) -> int | None:
        """The oldest retained number, or None where nothing is retained."""
        events = (await self.oldest()).events
        return events[0].sequence if events else None

    def _note(self, so_far: ReadSoFar, page: Page, upto: int | None) -> int | None:
        """Add a page to the read; where the next page begins, or None when the read is over."""
        numbers = [event.sequence for event in page.events if event.sequence is not None]
        so_far.pages += 1
        so_far.listed += numbers
        so_far.times += [(e.sequence, e.occurred_at) for e in page.events if e.sequence and e.occurred_at]
        if page.malformed or len(numbers) < page.rows:
            so_far.whole = False
        if page.rows == 0 or page.more is False:
            so_far.ended = page.more is not True
            return None
        cursor = max(numbers, default=None)
        stuck = (cursor or 0) <= (so_far.since or 0) or so_far.pages >= self._limits.pages_per_read_max
        if cursor is None or stuck or not _ascending(so_far.listed[-len(numbers) - 1 :]):
            so_far.whole = False
            return None
        return None if upto is not None and cursor > upto else cursor

    async def _take_in(self, so_far: ReadSoFar, events: Sequence[Event]) -> None:
        if events:
            receipt = await self._door.accept(
                self._stream, events, transport=Transport.REPLAY, reread_below=self._heard_to + 1
            )
            self._heard_to = max(self._heard_to, *(event.sequence or 0 for event in events))
            so_far.fresh.update(receipt.fresh)
            so_far.conflicts.update(receipt.conflicts)


def _result(outcome: T | BaseException) -> T:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _stitched(parts: Sequence[ReadSoFar], ends: Sequence[int | None]) -> ReadSoFar:
    """Adjoining reads as one: each part counts up to where the next begins, and must have reached it."""
    whole = ReadSoFar(parts[0].since, venue_now=parts[0].venue_now, ended=parts[-1].ended)
    for part, end in zip(parts, ends, strict=True):
        if end is None or part is parts[-1]:
            reached = True
            whole.listed += part.listed
        else:
            reached = part.ended or (bool(part.listed) and part.listed[-1] > end)
            whole.listed += [number for number in part.listed if number <= end]
        whole.fresh |= part.fresh
        whole.conflicts |= part.conflicts
        whole.times += part.times
        whole.pages += part.pages
        whole.whole = whole.whole and part.whole and reached
    return whole


def _ascending(numbers: Sequence[int]) -> bool:
    return all(low < high for low, high in pairwise(numbers))


async def find_head(replay: Replay) -> Event | None:
    """The row with the highest number, by bisection over ``since``; None where nothing is retained.

    About two calls for each doubling of the number.
    """
    found = (await replay.page(since=None, limit=1)).events
    if not found or found[0].sequence is None:
        return None
    newest, step = found[0], 1
    low, high = found[0].sequence, SEQUENCE_MAX
    while low < high:
        probe = min(low + step, high) if step else (low + high) // 2
        events = (await replay.page(since=probe, limit=1)).events
        if events and events[0].sequence is not None and events[0].sequence > low:
            newest, low = events[0], events[0].sequence
            step *= 2
        else:
            high, step = probe, 0
    return newest
