"""The audit: the whole retained window read again, slowly, through the door. It finds our own faults.

What differs becomes a conflict, what was missing becomes late: the door says so by itself.
"""

import structlog

from bridge.core.event import SEQUENCE_MAX, Transport
from bridge.ingest import Door
from bridge.reconcile.limits import ReplayLimits
from bridge.sources.base import Replay

log = structlog.get_logger()


class Audit:
    """One pass over the window, a page at a time, so that it never stands in the way of a gap."""

    def __init__(self, replay: Replay, door: Door, stream: str, limits: ReplayLimits) -> None:
        self._replay = replay
        self._door = door
        self._stream = stream
        self._limits = limits
        self._since: int | None = None
        self._rows = 0
        self._fresh = 0
        self._conflicts = 0

    async def step(self) -> bool:
        """Read one page; True when the pass is over.

        Raises:
            VenueError: the venue could not be asked; the pass goes on from the same page.
        """
        page = await self._replay.page(since=self._since, limit=self._limits.page_max)
        if page.events:
            receipt = await self._door.accept(
                self._stream, page.events, transport=Transport.REPLAY, reread_below=SEQUENCE_MAX
            )
            self._rows += page.rows
            self._fresh += len(receipt.fresh)
            self._conflicts += len(receipt.conflicts)
        last = max((event.sequence for event in page.events if event.sequence is not None), default=None)
        if last is not None and last > (self._since or 0) and page.more is not False:
            self._since = last
            return False
        log.info("audit.finished", stream=self._stream, rows=self._rows, fresh=self._fresh, conflicts=self._conflicts)
        self._since, self._rows, self._fresh, self._conflicts = None, 0, 0, 0
        return True
