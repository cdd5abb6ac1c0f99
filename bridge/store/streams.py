"""Streams: the row whose lock orders a log, and everything that the door must know before it decides."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, text

from bridge.store.direct import Executes


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as it stands.

    ``frontier`` is the first number that is not proven, ``head`` the highest known to exist, ``base`` the first
    number of the epoch that is the bridge's to prove; base and frontier are None until the venue was asked.
    ``epoch_began_at`` is the venue's time of a restart of its numbers, None in the first epoch.
    ``anchored_at`` is the venue's time of the newest thing below the frontier: what follows it may expire
    upstream from then on, one retention later. ``stalled_at`` is when the hole at the frontier appeared.
    ``void`` and ``lost`` count, over all epochs, the numbers that were passed because none was given out, and because
    nobody has what they stand for.
    ``forgotten_epoch`` and ``forgotten_below``: whatever was told before that number is told for good, although
    it is stored no longer.
    """

    id: int
    name: str
    source: str
    numbering: str
    epoch: int
    base: int | None
    frontier: int | None
    head: int
    position: int
    chain: bytes
    epoch_began_at: datetime | None
    anchored_at: datetime | None
    stalled_at: datetime | None
    gaps_open: int
    unmatched: int
    settle_s: float
    mismatches: int
    suspect_at: datetime | None
    void: int = 0
    lost: int = 0
    forgotten_epoch: int = 1
    forgotten_below: int = 0

    @property
    def behind_since(self) -> datetime | None:
        """What the frontier stands before, by when it showed: a hole, or a doubt of the numbering."""
        return min((at for at in (self.stalled_at, self.suspect_at) if at is not None), default=None)

    def is_forgotten(self, epoch: int, sequence: int) -> bool:
        """Whether a number that is not stored was told long ago, or is told of too late to be told."""
        return (epoch, sequence) < (self.forgotten_epoch, self.forgotten_below)


_COLUMNS = (
    "id, name, source, numbering, epoch, base, frontier, head, position, chain, epoch_began_at, anchored_at,"
    " stalled_at, gaps_open, unmatched, settle_s, mismatches, suspect_at, void, lost, forgotten_epoch,"
    " forgotten_below"
)

_ENSURE = text("""
INSERT INTO streams (name, source, numbering, base, frontier, settle_s)
VALUES (:name, :source, :numbering, :base, :base, :settle_s)
ON CONFLICT (name) DO NOTHING
""")

LOCK = text(f"SELECT {_COLUMNS} FROM streams WHERE id = :id FOR NO KEY UPDATE")

_READ = text(f"SELECT {_COLUMNS} FROM streams WHERE name = :name")

_LIST = text(f"SELECT {_COLUMNS} FROM streams ORDER BY name LIMIT :limit")

_SOME = text(f"SELECT {_COLUMNS} FROM streams WHERE id = ANY (CAST(:ids AS int[]))")

ASSIGNMENTS = """
    epoch = :epoch, base = :base, frontier = :frontier, head = :head, position = :position, chain = :chain,
    epoch_began_at = :epoch_began_at, anchored_at = :anchored_at, stalled_at = :stalled_at,
    gaps_open = :gaps_open, unmatched = :unmatched,
    settle_s = :settle_s, mismatches = :mismatches, suspect_at = :suspect_at, void = :void, lost = :lost
"""
"""What a transaction may change of its stream."""

_SAVE = text(f"UPDATE streams SET {ASSIGNMENTS} WHERE id = :id")


async def ensure(conn: Executes, *, name: str, source: str, numbering: str, settle_s: float) -> Stream:
    """The stream of that name, made if it is new. One that the bridge numbers itself begins at 1."""
    base = 1 if numbering == "bridge" else None
    values = {"name": name, "source": source, "numbering": numbering, "base": base, "settle_s": settle_s}
    await conn.execute(_ENSURE, values)
    stream = await read(conn, name)
    if stream is None:
        raise LookupError(f"stream {name} was not made")
    return stream


async def lock(conn: Executes, stream_id: int) -> Stream:
    """The stream, locked until the transaction ends: who holds it may append to its log."""
    return _stream((await conn.execute(LOCK, {"id": stream_id})).mappings().one())


async def read(conn: Executes, name: str) -> Stream | None:
    row = (await conn.execute(_READ, {"name": name})).mappings().one_or_none()
    return None if row is None else _stream(row)


async def listing(conn: Executes, *, limit: int = 1000) -> list[Stream]:
    """Streams by name, at most ``limit``."""
    return [_stream(row) for row in (await conn.execute(_LIST, {"limit": limit})).mappings()]


async def some(conn: Executes, ids: Sequence[int]) -> list[Stream]:
    """The streams of these ids, in no order."""
    return [_stream(row) for row in (await conn.execute(_SOME, {"ids": list(ids)})).mappings()]


async def save(conn: Executes, stream: Stream) -> None:
    """Write back what may change; the caller holds the lock."""
    await conn.execute(_SAVE, values_of(stream))


_NAMES = tuple(field.name for field in fields(Stream))


def values_of(stream: Stream) -> dict[str, Any]:
    """The columns of a stream by name. Not ``asdict``: that copies deeply, and this is done in every transaction."""
    return {name: getattr(stream, name) for name in _NAMES}


def _stream(row: RowMapping) -> Stream:
    return Stream(**row)
