"""Making a report: hours as they were counted, gaps as they stood at its end, and what the log says is lost.

No event is read, and of the log nothing but the entries that tell of a loss.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase

from bridge.report.auditing import audited
from bridge.report.counting import lag_of, lines_of, standing_of, sum_of
from bridge.report.delivering import delivering
from bridge.report.losing import range_of
from bridge.report.period import HOUR, NotReportable, Period
from bridge.report.shape import Counts, GapBar, GapCounts, GapLine, GapTurns, StreamReport
from bridge.report.written import Writing, Written
from bridge.store import cursors, gap_figures, hours, losses, streams
from bridge.store.direct import Executes
from bridge.store.gap_figures import Figures
from bridge.store.hours import Hour
from bridge.store.losses import Loss
from bridge.store.streams import Stream

STREAMS_MAX = 10_000
HOURS_MAX = 250_000
PIECE = 200
"""Of so many streams at once the database is asked."""
LOST_MAX = 1_000
LOST_IN_ALL_MAX = 20_000
BARS_MAX = 200
BARS_IN_ALL_MAX = 20_000
NOT_NUMBERED = "the venue does not number these events, so nobody can count what it never told"
NOT_KEPT = "not all hours of this period are kept: what is counted begins later"
NOTHING_PASSED = "no number was settled in this period"


async def make(conn: Executes, period: Period, *, now: datetime, glob: str = "*", destination: str = "*") -> Written:
    """The report of the streams whose names match ``glob``, and of the destinations that match ``destination``.

    The caller's transaction is what it sees. ``now`` matters to a period that is not over: what lags, lags until now.

    Raises:
        NotReportable: there are too many streams, hours or destinations for one report.
    """
    found = await cursors.streams(conn)
    # In Python's order: that of names in a database is a matter of its locale, and the digest is not.
    wanted = [found[name] for name in sorted(found) if fnmatchcase(name, glob)]
    if len(wanted) > STREAMS_MAX:
        raise NotReportable(f"more than {STREAMS_MAX:,} streams: ask for some of them")
    rows = len(wanted) * ((period.until - period.since) // HOUR)
    if rows > HOURS_MAX:
        raise NotReportable(f"{rows:,} hours of streams are too many: ask for a shorter period, or for some streams")
    writing = Writing(period.since, period.until)
    bars_max = max(1, min(BARS_MAX, BARS_IN_ALL_MAX // max(1, len(wanted))))
    lost_left = LOST_IN_ALL_MAX
    for at in range(0, len(wanted), PIECE):
        piece = sorted(await streams.some(conn, wanted[at : at + PIECE]), key=lambda stream: stream.name)
        made = await _streams(conn, piece, period, now, bars_max, lost_left)
        for stream in await audited(conn, piece, made, period):
            lost_left -= len(stream.gaps.lost)
            writing.stream(stream)
    async for one in delivering(conn, period, glob=destination, stream_ids=wanted):
        writing.destination(one)
    return writing.sealed()


async def _streams(
    conn: Executes, piece: Sequence[Stream], period: Period, now: datetime, bars_max: int, lost_max: int
) -> list[StreamReport]:
    ids = [stream.id for stream in piece]
    before = await hours.before(conn, ids, since=period.since)
    read = defaultdict[str, list[Hour]](list)
    for hour in await hours.read(conn, ids, since=period.since, until=period.until):
        read[hour.stream].append(hour)
    # What is left of hours that retention has deleted is how the last of them ended: a beginning, and no more.
    left = await hours.oldest(conn, [one.id for one in piece if one.name not in before])
    left = {name: hour for name, hour in left.items() if not hour.is_first}
    for name, hour in left.items():
        if hour.hour < period.until:
            before[name], read[name] = hour, read[name][1:]
    figures = await gap_figures.figures(conn, ids, since=period.since, until=period.until, bars_max=bars_max)
    # What the log says in the period is between where it stood when the period began, and when it ended.
    told = {
        one.id: (before[one.name].position if one.name in before else 0, read[one.name][-1].position)
        for one in piece
        if any(hour.gaps for hour in read[one.name])
    }
    lost = await losses.read(conn, told, each_max=LOST_MAX, in_all_max=lost_max)
    return [
        _stream(
            one, before.get(one.name), read[one.name], figures[one.id], lost.get(one.id, ()), period, now,
            is_whole=one.name not in left,
        )
        for one in piece
    ]  # fmt: skip


def _stream(
    stream: Stream,
    before: Hour | None,
    read: Sequence[Hour],
    figures: Figures,
    lost: Sequence[Loss],
    period: Period,
    now: datetime,
    *,
    is_whole: bool,
) -> StreamReport:
    numbered = stream.numbering == "venue"
    last = read[-1] if read else before
    turns = {hour: GapTurns(*counted) for hour, counted in figures.turns.items()}
    lines = lines_of(read, before, turns, numbered=numbered, period=period, now=now)
    counts = sum_of(lines, numbered=numbered)
    percent, why = _completeness(counts) if is_whole else (None, NOT_KEPT)
    return StreamReport(
        stream=stream.name,
        source=stream.source,
        numbered_by=stream.numbering,
        complete_percent=percent,
        why=why,
        counts=counts,
        began=None if before is None else standing_of(before),
        ended=None if last is None else standing_of(last),
        hours=lines,
        gaps=_gaps(figures, lost, counts),
        unmatched=figures.unmatched,
        lag=lag_of(lines, last, period=period, now=now),
    )


def _gaps(figures: Figures, lost: Sequence[Loss], counts: Counts) -> GapCounts:
    return GapCounts(
        opened=figures.opened,
        open=figures.open,
        closed=[GapLine(*line) for line in figures.ended],
        lost=[range_of(one) for one in lost],
        lost_more=max(0, counts.gaps - counts.superseded - len(lost)),
        timeline=[GapBar(*bar) for bar in figures.bars],
        timeline_more=figures.bars_in_all - len(figures.bars),
    )


def _completeness(counts: Counts) -> tuple[float | None, str | None]:
    """In percent, cut off and never rounded up to what it is not; and why there is none."""
    if counts.void is None or counts.lost is None:
        return None, NOT_NUMBERED
    passed = counts.events + counts.void + counts.lost
    if not passed:
        return None, NOTHING_PASSED
    return (passed - counts.lost) * 1_000_000 // passed / 10_000, None
