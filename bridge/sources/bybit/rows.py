"""What was read of the venue's lists for one answer: each event once, and how far back nothing is missing."""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bridge.core.channel import Told
from bridge.sources.base import Malformed
from bridge.sources.bybit.lists import Listing
from bridge.sources.market import Recalled

MILLISECOND = timedelta(milliseconds=1)

Read = Callable[[bytes], Told]


@dataclass(slots=True)
class Rows:
    """At most about ``most`` rows are read. What cannot be read is counted, and proves nothing any more."""

    most: int
    told: dict[str, Told] = field(default_factory=dict)
    count: int = 0
    malformed: int = 0
    oldest: datetime | None = None
    venue_now: datetime | None = None

    def take(self, rows: Iterable[bytes], read: Read) -> None:
        """Read ``rows``."""
        for row in rows:
            self.count += 1
            try:
                told = read(row)
            except Malformed:
                self.malformed += 1
                continue
            self.told.setdefault(told.event.event_id, told)
            at = told.event.occurred_at
            self.oldest = at if self.oldest is None or (at is not None and at < self.oldest) else self.oldest

    async def fill(self, pages: AsyncGenerator[Listing, None], read: Read) -> bool:
        """Read all ``pages``; False if they are more than allowed."""
        async with aclosing(pages):
            async for listing in pages:
                self.note(listing.venue_now)
                self.take(listing.rows, read)
                if self.count >= self.most and listing.cursor:
                    return False
        return True

    def join(self, part: "Rows") -> None:
        """Add what another reading brought."""
        for event_id, told in part.told.items():
            self.told.setdefault(event_id, told)
        self.count += part.count
        self.malformed += part.malformed
        self.note(part.venue_now)

    def note(self, venue_now: datetime | None) -> None:
        """The venue's clock; the first answer's counts."""
        self.venue_now = self.venue_now or venue_now

    @property
    def after_oldest(self) -> datetime | None:
        """From here on nothing is missing of a list that goes back in time and was cut somewhere in a millisecond."""
        return None if self.oldest is None else self.oldest + MILLISECOND

    def keep(self, wanted: Callable[[datetime], bool]) -> None:
        """Leave out the events whose time is not ``wanted``."""
        self.told = {
            event_id: told
            for event_id, told in self.told.items()
            if told.event.occurred_at is not None and wanted(told.event.occurred_at)
        }

    def recalled(self, complete_from: datetime | None, *, superseding: bool = False) -> Recalled:
        """The answer."""
        proven = None if self.malformed else complete_from
        return Recalled(tuple(self.told.values()), proven, superseding, self.venue_now)
