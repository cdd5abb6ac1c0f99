"""What is kept of what the lists were asked: reads of holes, and audits with what they found.

It is for people. Where the database is away it is not kept, and the repair goes on. What an audit found is kept with
the entries that tell it, and not here.
"""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.core.errors import StoreUnavailable
from bridge.core.span import Span
from bridge.follow.mending import Looked
from bridge.follow.timed import TimedStream
from bridge.ingest.followed import EPOCH, Brought
from bridge.sources.loud import Loud
from bridge.store import audits, reads
from bridge.store.audits import Audit
from bridge.store.engine import store_errors
from bridge.store.reads import Read


class Keeper:
    """Keeps it, each in a transaction of its own."""

    def __init__(self, engine: AsyncEngine, clock: Clock, loud: Loud) -> None:
        self._engine = engine
        self._clock = clock
        self._loud = loud

    async def read(self, stream_id: int, read: Read) -> None:
        """Keep a read of a hole."""
        try:
            with store_errors():
                async with self._engine.begin() as connection:
                    await reads.insert(connection, stream_id=stream_id, epoch=EPOCH, made=[read])
        except StoreUnavailable as error:
            self._loud.say("follower.waiting", reason=str(error))

    async def audited_until(self, stream_id: int) -> int | None:
        """Up to when the newest audit has read that the venue answered, in microseconds; None where nobody knows."""
        try:
            with store_errors():
                async with self._engine.connect() as connection:
                    read_to = await audits.read_to(connection, stream_id=stream_id)
        except StoreUnavailable:
            return None
        return None if read_to is None else read_to * 1000

    async def audited(self, stream: TimedStream, began_at: datetime, looked: Looked) -> None:
        """Keep an audit; one that found something goes with that into the log."""
        first_ms, last_ms = looked.since_us // 1000, looked.until_us // 1000
        audit = Audit(
            began_at=began_at,
            ended_at=self._clock.now(),
            first=first_ms,
            last=last_ms,
            pages=1,
            rows=looked.rows,
            fresh=len(looked.found_us),
        )
        if looked.found_us:
            span = Span.inclusive(min(looked.found_us) // 1000, max(looked.found_us) // 1000)
            stream.audited.append(Brought(audit, span))
        else:
            await self._add(stream.stream_id, audit)

    async def failed(self, stream_id: int, began_at: datetime, why: str) -> None:
        """Keep an audit that the venue did not answer."""
        await self._add(stream_id, Audit(began_at=began_at, ended_at=self._clock.now(), error=why))

    async def _add(self, stream_id: int, audit: Audit) -> None:
        try:
            with store_errors():
                async with self._engine.begin() as connection:
                    await audits.add(connection, stream_id=stream_id, audit=audit)
        except StoreUnavailable as error:
            self._loud.say("follower.waiting", reason=str(error))
