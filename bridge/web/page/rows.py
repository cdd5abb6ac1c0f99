"""Streams as lines of a table: how each stands, in a word, and the strip of what is proven of it lately."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import floor
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.exceptions import HTTPException
from starlette.requests import Request

from bridge.clock import Clock
from bridge.core.coverage import Coverage
from bridge.core.duration import seconds
from bridge.core.span import Span
from bridge.core.strip import Mark, Strip, cell_of, over_numbers, over_time, window_of
from bridge.store import board, connections, stance, strips
from bridge.store.condition import FINE, NOT_HEARD, Condition, condition
from bridge.store.connections import UNATTENDED, Connection
from bridge.store.stance import Stance
from bridge.store.strips import Window
from bridge.web.pull import ABSENT, name_of

MILLISECOND = timedelta(milliseconds=1)
TIME_SHOWN = timedelta(hours=1)
BAD = (UNATTENDED, NOT_HEARD, "refused")


class Size(NamedTuple):
    """How much of a stream its strip shows, and how finely."""

    numbers_max: int
    cells_max: int


SMALL = Size(1_000, 100)
LARGE = Size(5_000, 500)


class Line(NamedTuple):
    """One stream. ``level`` is ``good``, ``warn`` or ``bad``; ``says`` is the strip in words."""

    stance: Stance
    connection: Connection | None
    condition: Condition
    level: str
    share: str
    strip: Strip | None
    says: str

    @property
    def name(self) -> str:
        return self.stance.stream.name


async def lines(conn: AsyncConnection, ids: Sequence[int], *, now: datetime, size: Size = SMALL) -> list[Line]:
    """The streams of these ids, in their order."""
    stances = await stance.some(conn, ids)
    sockets = {one.source: one for one in await connections.listing(conn)}
    drawn = await _strips(conn, stances, now, size)
    return [_line(one, sockets.get(one.stream.source), drawn.get(one.stream.id), now) for one in stances]


async def line_of(connection: AsyncConnection, request: Request, clock: Clock) -> Line:
    """The stream that the path names. Raises HTTPException."""
    stream_id = await board.id_of(connection, name_of(request))
    found = [] if stream_id is None else await lines(connection, [stream_id], now=clock.now(), size=LARGE)
    if not found:
        raise HTTPException(404, ABSENT)
    return found[0]


def level_of(found: Condition) -> str:
    """How much a condition matters."""
    if found.word == FINE:
        return "good"
    return "bad" if found.word in BAD or found.word.startswith("suspect") else "warn"


def _line(one: Stance, socket: Connection | None, strip: Strip | None, now: datetime) -> Line:
    found = condition(one, socket, now)
    share = one.completeness.share
    percent = "–" if share is None else f"{floor(share * 10_000) / 100:g} %"
    return Line(one, socket, found, level_of(found), percent, strip, "" if strip is None else says(one, strip))


async def _strips(conn: AsyncConnection, stances: Sequence[Stance], now: datetime, size: Size) -> Mapping[int, Strip]:
    windows = [made for one in stances if (made := _window(one, size)) is not None]
    held, lost = await strips.held(conn, windows), await strips.lost(conn, windows)
    drawn = {
        one.stream_id: over_numbers(
            Span.inclusive(one.first, one.last),
            one.cell,
            frontier=one.frontier,
            held=held.get(one.stream_id, {}),
            lost=Coverage.of(lost.get(one.stream_id, ())),
        )
        for one in windows
    }
    in_time = [one for one in stances if one.axis == "time" and one.follow is not None]
    since = now - TIME_SHOWN
    gaps = await strips.in_time(conn, [one.stream.id for one in in_time], since_ms=_ms(since))
    for one in in_time:
        began, settled = one.stream.epoch_began_at, one.settled_until
        # One that is younger than that has not much to show on the scale of an hour.
        begin = since if began is None or began >= now else max(since, began)
        drawn[one.stream.id] = over_time(
            Span(min(_ms(begin), _ms(now) - 1), _ms(now)),
            began=None if began is None else _ms(began),
            settled=None if settled is None else _ms(settled),
            holes=[(span, Mark(state)) for span, state in gaps.get(one.stream.id, ())],
        )
    return drawn


def _window(one: Stance, size: Size) -> Window | None:
    stream = one.stream
    if one.axis != "sequence" or stream.base is None or stream.frontier is None:
        return None
    window = window_of(stream.base, max(stream.head, stream.frontier - 1), numbers_max=size.numbers_max)
    if window is None:
        return None
    cell = cell_of(window, cells_max=size.cells_max)
    return Window(stream.id, stream.epoch, window.first, window.last, stream.frontier, cell)


def says(one: Stance, strip: Strip) -> str:
    """The strip in words, for those who do not see it."""
    if one.axis == "time":
        told = [f"{seconds(count / 1000)} {mark}" for mark, count in strip.totals.items() if count]
        shown_s = len(strip.window) / 1000
        scale = "hour" if shown_s >= TIME_SHOWN.total_seconds() else seconds(shown_s)
        return f"The last {scale}: {', '.join(told) or 'nothing yet'}."
    told = [f"{count:,} {mark}" for mark, count in strip.totals.items() if count]
    return f"Numbers {strip.window.first:,} to {strip.window.last:,}: {', '.join(told)}."


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
