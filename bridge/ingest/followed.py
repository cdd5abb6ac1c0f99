"""The door for what the bridge numbers itself: settled events go into the log in the order they were settled.

One transaction under the stream's row lock, which first makes sure that the log still ends where the follower
believes: whoever was overtaken by another follower writes nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from bridge.core.errors import BridgeError
from bridge.core.event import Event, Kind, Transport
from bridge.core.lag import Lag
from bridge.core.span import Span
from bridge.store import audits, events, follows, gaps, streams
from bridge.store.audits import Audit
from bridge.store.direct import Executes
from bridge.store.entries import Entry
from bridge.store.finish import finish
from bridge.store.streams import Stream

EPOCH = 1
"""The bridge's own numbers never start anew."""


class Overtaken(BridgeError):
    """Another follower has written to the stream: what we know of it is old."""


class Saying(NamedTuple):
    """One entry to append: an event that somebody told, or words of the bridge's own as JSON ``data``.

    ``superseded``: they tell of a stretch that a snapshot stands for.
    """

    kind: Kind
    event: Event | None = None
    transport: Transport | None = None
    data: bytes = b""
    superseded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GapEnd:
    """How a gap in time ended."""

    state: str
    found: int
    lost_ms: int
    healed_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GapTurn:
    """What became of a stream's gap in time. ``gap_id`` is None for one that is not on record yet."""

    gap_id: int | None
    first_ms: int
    last_ms: int
    reads: int = 0
    withheld: str | None = None
    end: GapEnd | None = None


class Brought(NamedTuple):
    """An audit that found what the connection had swallowed, and from when to when that happened, in milliseconds."""

    audit: Audit
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """What is to be appended after ``position``, and how far the stream is then.

    ``heard`` counts what was heard by each transport, repetitions included. ``lag_us``: how far the stream was behind
    the venue's time at most since the chapter before; ``behind_us``: how far it is, where a gap holds it up.
    ``brought`` are the audits that brought some of the sayings: nobody reads of them before those are told.
    """

    position: int
    sayings: Sequence[Saying] = ()
    began_at: datetime | None = None
    settled_until: datetime | None = None
    last_number: int | None = None
    heard: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    gaps: Sequence[GapTurn] = ()
    lag_us: int = 0
    behind_us: int | None = None
    brought: Sequence[Brought] = ()


class Appended(NamedTuple):
    """The stream as saved, and the id of the gap that is open, if one is."""

    stream: Stream
    gap_id: int | None


async def append(connection: Executes, stream_id: int, chapter: Chapter, *, now: datetime) -> Appended:
    """Append ``chapter``; the caller owns the transaction. Raises Overtaken."""
    stream = await streams.lock(connection, stream_id)
    if stream.position != chapter.position:
        raise Overtaken(f"{stream.name} is at position {stream.position}, not at {chapter.position}")
    heard, entries = _numbered(chapter.sayings, stream.head + 1)
    if heard:
        await events.insert(connection, stream_id=stream_id, epoch=EPOCH, heard=heard, received_at=now)
    gap_id, opened = await _turn(connection, stream_id, chapter.gaps, now)
    await _put_down(connection, stream_id, chapter.brought, now)
    head = stream.head + len(heard)
    stream = replace(
        stream,
        head=head,
        frontier=head + 1,
        gaps_open=stream.gaps_open + opened,
        epoch_began_at=stream.epoch_began_at or chapter.began_at,
        anchored_at=chapter.settled_until or stream.anchored_at,
    )
    first = Counter(transport.value for _, transport in heard)
    saved = await finish(
        connection,
        stream,
        entries=entries,
        told=chapter.heard,
        first=first,
        superseded=sum(saying.superseded for saying in chapter.sayings),
        lag=_lag(chapter, now),
        now=now,
    )
    await follows.save(
        connection,
        stream_id=stream_id,
        settled_until=chapter.settled_until,
        last_number=chapter.last_number,
        dropped=chapter.dropped,
    )
    return Appended(saved, gap_id)


def _lag(chapter: Chapter, now: datetime) -> Lag:
    """By our own clock: the venue's may show something else, and only the distance counts."""
    behind_us = chapter.behind_us
    since = None if behind_us is None else now - timedelta(microseconds=behind_us)
    return Lag(chapter.lag_us // 1_000, since)


def _numbered(sayings: Sequence[Saying], first: int) -> tuple[list[tuple[Event, Transport]], list[Entry]]:
    """The events with their numbers from ``first`` on, and all entries in order."""
    heard: list[tuple[Event, Transport]] = []
    entries: list[Entry] = []
    for kind, event, transport, data, _ in sayings:
        if event is None or transport is None:
            entries.append(Entry.told(kind, data))
            continue
        number = first + len(heard)
        heard.append((event._replace(sequence=number), transport))
        entries.append(Entry(kind, number, event.digest))
    return heard, entries


async def _put_down(connection: Executes, stream_id: int, brought: Sequence[Brought], now: datetime) -> None:
    """What audits brought is a gap each that nobody knew of, until it was healed."""
    for audit, span in brought:
        await audits.add(connection, stream_id=stream_id, audit=audit)
        healed = [(span, audit.fresh)]
        await gaps.heal(connection, stream_id=stream_id, epoch=EPOCH, healed=healed, axis="time", now=now)


async def _turn(
    connection: Executes, stream_id: int, turns: Sequence[GapTurn], now: datetime
) -> tuple[int | None, int]:
    """Write down what became of the gaps; the id of the one left open, and by how many more are open."""
    gap_id: int | None = None
    opened = 0
    for turn in turns:
        gap_id = turn.gap_id
        if gap_id is None:
            gap_id, is_new = await gaps.open_time(
                connection, stream_id=stream_id, first_ms=turn.first_ms, last_ms=turn.last_ms, now=now
            )
            opened += is_new
        if turn.end is None:
            await gaps.note_time(
                connection, gap_id=gap_id, last_ms=turn.last_ms, reads=turn.reads, withheld=turn.withheld
            )
            continue
        await gaps.close_time(
            connection,
            gap_id=gap_id,
            last_ms=turn.last_ms,
            state=turn.end.state,
            reads=turn.reads,
            found=turn.end.found,
            lost_ms=turn.end.lost_ms,
            healed_by=turn.end.healed_by,
            now=now,
        )
        opened -= 1
        gap_id = None
    return gap_id, opened
