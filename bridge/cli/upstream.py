"""The venue's side of a comparison: an audit that is asked for now, its rows in a file until they are compared."""

import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import IO

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.app import parts
from bridge.cli import show
from bridge.cli.venue import opened
from bridge.clock import Clock
from bridge.config import Settings
from bridge.config.playbatman import PlayBatman as NumberedSource
from bridge.core.errors import BridgeError, VenueError
from bridge.ingest import Door
from bridge.reconcile.audit import Audit
from bridge.sources.playbatman.channels import EVENTS
from bridge.store import audits, streams
from bridge.store.comparing import Listed, Upstream
from bridge.store.streams import Stream

QUOTA_SHARE = 0.25
"""Of ``replay.requests_per_s``: the bridge that runs beside it is to keep most of what the venue allows."""
_ROW = struct.Struct("<iq??")
_ROWS_AT_ONCE = 10_000


class Spool:
    """Rows of a venue's list on disk, in the order they came."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, listed: Sequence[Listed]) -> None:
        self._file.write(b"".join(_ROW.pack(*row) for row in listed))

    def rows(self) -> Iterator[Listed]:
        """All of them, from the first."""
        self._file.seek(0)
        while chunk := self._file.read(_ROW.size * _ROWS_AT_ONCE):
            yield from (Listed(*row) for row in _ROW.iter_unpack(chunk))


@contextmanager
def spool() -> Iterator[Spool]:
    """A spool for as long as the block lasts; nobody else sees its file."""
    with tempfile.TemporaryFile() as file:
        yield Spool(file)


async def reread(
    engine: AsyncEngine, settings: Settings, clock: Clock, name: str, kept: Spool
) -> tuple[audits.Audit, Upstream]:
    """Read again what the venue retains of the stream, through the door, and keep its list.

    Raises:
        BridgeError: this stream cannot be audited by its numbers, or not now.
        VenueError: the venue could not be asked, or not read; what was read is stored, and the pass is given up.
    """
    stream = await _ready(engine, name)
    configured = await _configured(engine, settings, stream)
    limits = parts.replay_limits(configured)
    async with (
        Door(engine, clock, parts.stream_specs(settings)) as door,
        opened(configured, clock, quota_share=QUOTA_SHARE) as source,
    ):
        audit = Audit(engine, door, clock, source.replay, limits, why="asked", on_page=kept.add)
        try:
            while (done := await audit.step(stream)).ended_at is None:
                stream = await _ready(engine, name)
        except BridgeError as error:
            await audit.give_up(str(error))
            raise
    if done.error is not None:
        raise VenueError(f"the venue's list was not read to its end: {done.error}")
    return done, Upstream(
        kept.rows(),
        heard_before=done.began_at - timedelta(seconds=limits.settle_max_s),
        retained_since=audit.retained_since,
    )


async def _ready(engine: AsyncEngine, name: str) -> Stream:
    """The stream as it is now. Raises BridgeError where nothing of it can be compared."""
    async with engine.connect() as connection:
        stream = await streams.read(connection, name)
    if stream is None:
        raise BridgeError(f"there is no stream {show.plain(name)}: see 'bridge status'")
    if stream.suspect_at is not None:
        raise BridgeError(f"{name} is frozen, its numbering is in doubt: see 'bridge epoch'")
    if stream.numbering == "venue" and stream.frontier is None:
        raise BridgeError(f"{name} has not begun: nothing was asked of the venue yet")
    return stream


async def _configured(engine: AsyncEngine, settings: Settings, stream: Stream) -> NumberedSource:
    """The source whose replay tells the stream. Raises BridgeError where there is none, with what to do instead."""
    if stream.numbering != "venue":
        raise BridgeError(await _instead(engine, stream))
    configured = settings.numbered.get(stream.source)
    if configured is None or EVENTS.stream_of(stream.source) != stream.name:
        raise BridgeError(f"no source is configured here that tells {stream.name}")
    return configured


async def _instead(engine: AsyncEngine, stream: Stream) -> str:
    """What stands in for an audit by numbers where the venue has none."""
    async with engine.connect() as connection:
        found = await audits.listing(connection, stream_id=stream.id, limit=1)
    why = f"the venue does not number {stream.name}, so its list cannot be laid beside ours number by number."
    if not found:
        return f"{why} Where it has lists, the worker reads them again at intervals; no such audit has ended yet."
    last = found[0]
    at = "" if last.ended_at is None else f" of {last.ended_at:%Y-%m-%d %H:%M:%S} UTC"
    outcome = f"failed: {last.error}" if last.error else f"looked at {last.rows} rows and found {last.fresh} missed"
    return f"{why} The worker reads its lists again at intervals: the last audit{at} {outcome}."
