"""Coverage as a strip: a window of a stream's numbers, or of its time, cut into pieces that are each of one kind.

Pure geometry. Every piece lies on a scale from 0 to ``SCALE``, whatever the window is wide.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from bridge.core.coverage import Coverage
from bridge.core.span import Span

SCALE = 1_000


class Mark(StrEnum):
    """What a piece is. Of a cell that holds several kinds, the first in this order is shown."""

    OPEN = "open"
    LOST = "lost"
    SUPERSEDED = "superseded"
    WAITING = "waiting"
    PROVEN = "proven"
    VOID = "void"


class Piece(NamedTuple):
    """A part of the strip."""

    x: float
    width: float
    mark: Mark


class Held(NamedTuple):
    """Events that are stored of a cell: below the frontier, and from it on."""

    told: int
    waiting: int


NOTHING = Held(0, 0)


@dataclass(frozen=True, slots=True)
class Strip:
    """A drawn window. ``totals`` counts what it shows, in numbers or in milliseconds; ``cell`` is one step of it."""

    window: Span
    cell: int
    pieces: tuple[Piece, ...]
    totals: Mapping[Mark, int]


def window_of(base: int, head: int, *, numbers_max: int) -> Span | None:
    """The last ``numbers_max`` numbers up to ``head``, none below ``base``; None where there is none yet."""
    first = max(base, head + 1 - numbers_max)
    return Span(first, head + 1) if first <= head else None


def cell_of(window: Span, *, cells_max: int) -> int:
    """How many numbers one cell holds, so that there are at most ``cells_max``."""
    return -(-len(window) // cells_max)


def over_numbers(window: Span, cell: int, *, frontier: int, held: Mapping[int, Held], lost: Coverage) -> Strip:
    """A window of numbers. ``held`` is by the cell's place, 0 being the first; none of it is among the ``lost``.

    Below the frontier every number is an event, lost, or void. From it on what is not stored is still open: what a
    read has proven there already counts once the frontier has passed.
    """
    cells: list[tuple[Span, Mark]] = []
    opened = gone = waiting = told = void = 0
    for place in range(-(-len(window) // cell)):
        start = window.start + place * cell
        span = Span(start, min(start + cell, window.stop))
        of_cell = _of_cell(span, frontier, held.get(place, NOTHING), lost)
        opened, gone, waiting = opened + of_cell.open, gone + of_cell.lost, waiting + of_cell.waiting
        told, void = told + of_cell.proven, void + of_cell.void
        cells.append((span, of_cell.mark))
    totals = {
        Mark.OPEN: opened,
        Mark.LOST: gone,
        Mark.WAITING: waiting,
        Mark.PROVEN: told,
        Mark.VOID: void,
    }
    return Strip(window, cell, _pieces(window, cells), totals)


def over_time(window: Span, *, began: int | None, settled: int | None, holes: Iterable[tuple[Span, Mark]]) -> Strip:
    """A window of time, in milliseconds: proven up to ``settled`` but for ``holes``, and waiting from there on.

    Of holes that overlap, the more serious counts. Before ``began`` there is nothing.
    """
    told = list(holes)
    begin = window.stop if began is None else max(began, window.start)
    until = begin if settled is None else min(max(settled, begin), window.stop)
    plain = [(Mark.PROVEN, begin, until), (Mark.WAITING, until, window.stop)]
    laid: list[tuple[Span, Mark]] = []
    taken = Coverage()
    for mark in Mark:
        spans = [span for span, what in told if what is mark]
        spans += [Span(start, stop) for what, start, stop in plain if what is mark and start < stop]
        mine = Coverage.of(spans).within(window)
        for span in mine.spans:
            laid += [(free, mark) for free in taken.missing(span)]
        taken |= mine
    laid.sort()
    totals = dict.fromkeys(Mark, 0)
    for span, mark in laid:
        totals[mark] += len(span)
    return Strip(window, 1, _pieces(window, laid), totals)


class _Cell(NamedTuple):
    """How many of its numbers are what."""

    open: int
    lost: int
    waiting: int
    proven: int
    void: int

    @property
    def mark(self) -> Mark:
        """The first kind, in the order of ``Mark``, that there is any of."""
        if self.open:
            return Mark.OPEN
        if self.lost:
            return Mark.LOST
        if self.waiting:
            return Mark.WAITING
        return Mark.PROVEN if self.proven else Mark.VOID


def _of_cell(span: Span, frontier: int, held: Held, lost: Coverage) -> _Cell:
    below = max(0, min(span.stop, frontier) - span.start)
    gone = len(lost.within(Span(span.start, span.start + below))) if below and lost.spans else 0
    return _Cell(len(span) - below - held.waiting, gone, held.waiting, held.told, below - held.told - gone)


def _pieces(window: Span, parts: Iterable[tuple[Span, Mark]]) -> tuple[Piece, ...]:
    """Neighbours of one kind become one piece."""
    merged: list[tuple[Span, Mark]] = []
    for span, mark in parts:
        if merged and merged[-1][1] is mark and merged[-1][0].stop == span.start:
            merged[-1] = Span(merged[-1][0].start, span.stop), mark
        else:
            merged.append((span, mark))
    unit = SCALE / len(window)
    return tuple(
        Piece(round((span.start - window.start) * unit, 2), round(len(span) * unit, 2), mark) for span, mark in merged
    )
