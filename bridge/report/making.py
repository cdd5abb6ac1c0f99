"""Making a report: hours as they were counted, gaps as they stood at its end. No event and no entry is read."""

from collections import defaultdict
from collections.abc import Sequence
from fnmatch import fnmatchcase

from bridge.core.errors import BridgeError
from bridge.report.auditing import audited
from bridge.report.delivering import delivering
from bridge.report.period import HOUR, Period
from bridge.report.shape import (
    Counts,
    GapBar,
    GapCounts,
    GapLine,
    Heard,
    HourLine,
    LostRange,
    Report,
    Standing,
    StreamReport,
    sealed,
)
from bridge.store import gap_figures, hours, streams
from bridge.store.direct import Executes
from bridge.store.gap_figures import Figures
from bridge.store.hours import Hour
from bridge.store.streams import Stream

STREAMS_MAX = 10_000
HOURS_MAX = 250_000
PIECE = 200
"""Of so many streams at once the database is asked."""
LOST_MAX = 1_000
BARS_MAX = 200
BARS_IN_ALL_MAX = 20_000
NOT_NUMBERED = "the venue does not number these events, so nobody can count what it never told"
NOTHING_PASSED = "no number was settled in this period"


async def make(conn: Executes, period: Period, *, glob: str = "*", destination: str = "*") -> Report:
    """The report of the streams whose names match ``glob``, and of the destinations that match ``destination``.

    The caller's transaction is what it sees.

    Raises:
        BridgeError: there are too many streams, hours or destinations for one report.
    """
    found = await streams.listing(conn, limit=STREAMS_MAX + 1)
    if len(found) > STREAMS_MAX:
        raise BridgeError(f"more than {STREAMS_MAX:,} streams: ask for some of them")
    wanted = [stream for stream in found if fnmatchcase(stream.name, glob)]
    rows = len(wanted) * ((period.until - period.since) // HOUR)
    if rows > HOURS_MAX:
        raise BridgeError(f"{rows:,} hours of streams are too many: ask for a shorter period, or for some streams")
    told: list[StreamReport] = []
    bars_max = max(1, min(BARS_MAX, BARS_IN_ALL_MAX // max(1, len(wanted))))
    for at in range(0, len(wanted), PIECE):
        piece = wanted[at : at + PIECE]
        told += await audited(conn, piece, await _streams(conn, piece, period, bars_max=bars_max), period)
    sent = await delivering(conn, period, glob=destination, stream_ids=[stream.id for stream in wanted])
    return sealed(Report(since=period.since, until=period.until, streams=told, destinations=sent))


async def _streams(conn: Executes, piece: Sequence[Stream], period: Period, *, bars_max: int) -> list[StreamReport]:
    ids = [stream.id for stream in piece]
    before = await hours.before(conn, ids, since=period.since)
    read = defaultdict[str, list[Hour]](list)
    for hour in await hours.read(conn, ids, since=period.since, until=period.until):
        read[hour.stream].append(hour)
    figures = await gap_figures.figures(
        conn, ids, since=period.since, until=period.until, lost_max=LOST_MAX, bars_max=bars_max
    )
    return [_stream(one, before.get(one.name), read[one.name], figures[one.id]) for one in piece]


def _stream(stream: Stream, before: Hour | None, read: Sequence[Hour], figures: Figures) -> StreamReport:
    numbered = stream.numbering == "venue"
    lines, last = [], before
    for hour in read:
        lines.append(HourLine(hour.hour, _counts([hour], last, numbered=numbered), _standing(hour)))
        last = hour
    counts = _counts(read, before, numbered=numbered)
    percent, why = _completeness(counts)
    return StreamReport(
        stream=stream.name,
        source=stream.source,
        numbered_by=stream.numbering,
        complete_percent=percent,
        why=why,
        counts=counts,
        began=None if before is None else _standing(before),
        ended=None if last is None else _standing(last),
        hours=lines,
        gaps=_gaps(figures),
        unmatched=figures.unmatched,
    )


def _gaps(figures: Figures) -> GapCounts:
    in_all = sum(line.gaps for line in figures.ended if line.state == "lost")
    return GapCounts(
        opened=figures.opened,
        open=figures.open,
        closed=[GapLine(*line) for line in figures.ended],
        lost=[LostRange(*one) for one in figures.lost],
        lost_more=max(0, in_all - len(figures.lost)),
        timeline=[GapBar(*bar) for bar in figures.bars],
        timeline_more=figures.bars_in_all - len(figures.bars),
    )


def _counts(read: Sequence[Hour], before: Hour | None, *, numbered: bool) -> Counts:
    """What ``read`` comes to, which follows ``before``."""
    end = read[-1] if read else before
    void = _grown(end, before, "void")
    lost = _grown(end, before, "lost")
    open_more = _grown(end, before, "open")
    events = sum(hour.events for hour in read)
    return Counts(
        assigned=events + void + lost + open_more if numbered else None,
        events=events,
        void=void if numbered else None,
        lost=lost if numbered else None,
        open_more=open_more if numbered else None,
        late=sum(hour.late for hour in read),
        recovered=sum(hour.recovered for hour in read),
        conflicts=sum(hour.conflicts for hour in read),
        gaps=sum(hour.gaps for hour in read),
        webhook=_heard(read, "webhook"),
        websocket=_heard(read, "websocket"),
        replay=_heard(read, "replay"),
    )


def _grown(end: Hour | None, before: Hour | None, name: str) -> int:
    return int(getattr(end, name, 0)) - int(getattr(before, name, 0))


def _heard(read: Sequence[Hour], way: str) -> Heard:
    told = sum(getattr(hour, way) for hour in read)
    first = sum(getattr(hour, f"first_{way}") for hour in read)
    return Heard(told, first, told - first)


def _standing(hour: Hour) -> Standing:
    return Standing(hour.epoch, hour.frontier, hour.head, hour.open, hour.position, hour.chain.hex())


def _completeness(counts: Counts) -> tuple[float | None, str | None]:
    """In percent, cut off and never rounded up to what it is not; and why there is none."""
    if counts.void is None or counts.lost is None:
        return None, NOT_NUMBERED
    passed = counts.events + counts.void + counts.lost
    if not passed:
        return None, NOTHING_PASSED
    return (passed - counts.lost) * 1_000_000 // passed / 10_000, None
