"""Letting a destination have entries again, or pass over some: by position, number, time, or from the beginning."""

from dataclasses import dataclass
from datetime import datetime

from bridge.operate.acting import Acting, printable
from bridge.operate.faults import Conflict, Invalid, Unknown
from bridge.store import rewind as store
from bridge.store.managed import Managed
from bridge.store.rewind import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be delivered next: exactly one of these. ``time`` is when an entry was appended to the log."""

    position: int | None = None
    sequence: int | None = None
    epoch: int | None = None
    time: datetime | None = None
    beginning: bool = False


@dataclass(frozen=True, slots=True)
class Moved:
    """A cursor before and after: what comes next is the entry behind ``position``."""

    stream: str
    was: int
    position: int
    head: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rewind would do, of ``streams`` in all: ``moves`` are the first of them."""

    streams: int
    moves: list[Moved]


async def preview(act: Acting, name: str, target: Target, *, stream: str | None = None, limit: int) -> Preview:
    """What ``rewind`` would do at this moment, on ``limit`` streams at most. Raises what it raises."""
    _check(target, stream)
    found = await act.known(name)
    places = await _places(act, found, stream)
    moves = []
    for place in places[:limit]:
        position = max(await _position(act, place, target), place.forgotten)
        moves.append(Moved(place.stream, place.position, position, place.head))
    return Preview(len(places), moves)


async def rewind(act: Acting, name: str, target: Target, *, stream: str | None = None) -> list[Moved]:
    """Move the destination's cursor on one stream, or on all of them; whoever delivers at this moment is fenced.

    Raises:
        Unknown: no such destination, or it takes no such stream.
        Invalid: not exactly one target, or one that means something on one stream only.
    """
    _check(target, stream)
    found = await act.destination(name)
    moved = []
    for place in await _places(act, found, stream):
        position = await store.move(act.conn, found.id, place, await _position(act, place, target), now=act.now)
        moved.append(Moved(place.stream, place.position, position, place.head))
    detail = [{"stream": one.stream, "from": one.was, "to": one.position} for one in moved]
    await act.note("destination.rewound", name, moved=detail)
    return moved


async def _places(act: Acting, found: Managed, stream: str | None) -> list[Place]:
    places = [] if stream is not None and "\0" in stream else await store.places(act.conn, found.id, stream)
    if not places and stream is not None:
        raise Unknown(f"the destination {found.name} takes no stream {printable(stream)}")
    if not places:
        raise Conflict(f"the destination {found.name} takes no stream yet")
    return places


def _check(target: Target, stream: str | None) -> None:
    chosen = [target.position is not None, target.sequence is not None, target.time is not None, target.beginning]
    if sum(chosen) != 1:
        raise Invalid(("", "exactly one of position, sequence, time and beginning is needed"))
    if stream is None and (target.position is not None or target.sequence is not None):
        raise Invalid(("stream", "is needed with a position or a sequence: each stream counts its own"))
    if target.epoch is not None and target.sequence is None:
        raise Invalid(("epoch", "goes with a sequence"))
    if target.position is not None and target.position < 1:
        raise Invalid(("position", "must be 1 or more"))


async def _position(act: Acting, place: Place, target: Target) -> int:
    """The position before what is to be delivered next. Raises Invalid for one behind the end."""
    if target.position is not None and target.position - 1 > place.head:
        raise Invalid(("position", f"{place.stream} ends at position {place.head}"))
    if target.position is not None:
        return target.position - 1
    if target.sequence is not None:
        epoch = place.epoch if target.epoch is None else target.epoch
        return await store.before_sequence(act.conn, place, epoch, target.sequence)
    if target.time is not None:
        return await store.before_time(act.conn, place, target.time)
    return place.forgotten
