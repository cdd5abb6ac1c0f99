"""What a report says to people, whatever it is written as: a sentence, and sheets of text, each row in words."""

from collections.abc import Sequence
from typing import NamedTuple

from bridge.core.timeline import moment
from bridge.report.shape import DestinationReport, LostRange, Report, StreamReport

# Seconds, minutes, hours: a lag of a day is not to be read from 86,400.
_MINUTE_S, _HOUR_S = 60, 3_600

ROWS_MAX = 500
NONE = "-"


class Row(NamedTuple):
    """``bad`` is what somebody has to look into."""

    cells: tuple[str, ...]
    bad: bool


class Sheet(NamedTuple):
    """``says`` explains it, and counts rows that are left out. Of the columns, the first and ``words`` are words."""

    title: str
    says: str
    columns: tuple[str, ...]
    rows: Sequence[Row]
    words: tuple[str, ...] = ()


def title_of(report: Report) -> str:
    return f"{report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC"


def summary_of(report: Report) -> str:
    """The period in a few words."""
    events = sum(one.counts.events for one in report.streams)
    lost = sum(one.counts.lost or 0 for one in report.streams)
    stretches = sum(one.counts.stretches_lost for one in report.streams)
    also = f" and {stretches:,} stretches of time" if stretches else ""
    conflicts = sum(one.counts.conflicts for one in report.streams)
    still = sum(one.gaps.open for one in report.streams)
    owed = sum(one.owed for one in report.destinations)
    return (
        f"Events: {events:,}, of {len(report.streams):,} streams. Lost: {lost:,}{also}. Conflicts: {conflicts:,}."
        f" Gaps open at the end: {still:,}. Owed to {len(report.destinations):,} destinations: {owed:,} entries."
    )


def sheets_of(report: Report) -> list[Sheet]:
    """Streams, how they were heard, losses, audits and destinations: those of which there are any."""
    streams = report.streams
    made = [_streams(streams), _hearing(streams), _losses(streams), _audits(streams)]
    made.append(_destinations(report.destinations))
    return [sheet for sheet in made if sheet.rows]


def _streams(streams: Sequence[StreamReport]) -> Sheet:
    columns = (
        *("stream", "complete", "assigned", "events", "void", "lost", "open", "late", "recovered", "conflicts"),
        "unmatched",
    )
    says = "Assigned numbers are each told, void, lost or still open. Streams without numbers have no such counts."
    for reason in sorted({one.why for one in streams if one.why is not None}):
        says += f" No completeness: {reason}."
    return _sheet("Streams", says, columns, [_stream(one) for one in streams])


def _stream(one: StreamReport) -> Row:
    counts = one.counts
    still = None if one.ended is None or counts.void is None else one.ended.open
    percent = NONE if one.complete_percent is None else f"{one.complete_percent:g} %"
    cells = (
        *(one.stream, percent, _told(counts.assigned), _told(counts.events), _told(counts.void), _told(counts.lost)),
        *(_told(still), _told(counts.late), _told(counts.recovered), _told(counts.conflicts), _told(one.unmatched)),
    )
    return Row(cells, bad=bool(counts.lost or counts.conflicts or one.gaps.lost))


def _hearing(streams: Sequence[StreamReport]) -> Sheet:
    columns = (
        *("stream", "webhook", "socket", "replay", "gaps", "still open", "superseded", "p95", "most behind"),
        "behind at the end",
    )
    says = (
        "How often each way told of events, and what healed. A superseded stretch has a snapshot in its place."
        " Behind is how long the frontier stood before a hole; of streams without numbers, behind the venue's time."
    )
    return _sheet("Hearing and healing", says, columns, [_heard(one) for one in streams])


def _heard(one: StreamReport) -> Row:
    counts, slowest = one.counts, max((line.p95_s for line in one.gaps.closed), default=None)
    cells = (
        *(one.stream, *(_told(way.told) for way in (counts.webhook, counts.websocket, counts.replay))),
        *(_told(one.gaps.opened), _told(one.gaps.open), _told(counts.superseded)),
        *(NONE if slowest is None else duration(slowest), duration(one.lag.most_s), duration(one.lag.at_end_s)),
    )
    return Row(cells, bad=False)


def _losses(streams: Sequence[StreamReport]) -> Sheet:
    rows = [
        Row(
            (
                *(one.stream, str(lost.epoch), *bounds(lost), f"{lost.closed_at:%Y-%m-%d %H:%M:%S}"),
                *(NONE if lost.position is None else str(lost.position), lost.evidence or NONE),
            ),
            bad=True,
        )
        for one in streams
        for lost in one.gaps.lost
    ]
    columns = ("stream", "epoch", "from", "to", "lost", "decided", "position", "evidence")
    more = sum(one.gaps.lost_more for one in streams)
    says = "What can no longer be had, who says so, and the position of the log that tells of it."
    sheet = _sheet("Lost for good", f"{says} {more:,} more are only counted." if more else says, columns, rows)
    return sheet._replace(words=("evidence",))


def bounds(lost: LostRange) -> tuple[str, str, str]:
    """From where to where it goes, both included, and how much it is; of a time that nobody knows, nothing."""
    if lost.axis == "sequence":
        return str(lost.first), str(lost.last), _told(lost.lost)
    if not lost.last:
        return NONE, NONE, NONE
    begin, end = (f"{moment(at * 1_000):%Y-%m-%d %H:%M:%S}" for at in (lost.first, lost.last))
    return begin, end, duration(lost.lost / 1_000)


def duration(seconds: float) -> str:
    """So long, in the unit that a person would use."""
    if seconds < 2 * _MINUTE_S:
        return f"{seconds:,.1f} s"
    if seconds < 2 * _HOUR_S:
        return f"{seconds / _MINUTE_S:,.1f} min"
    return f"{seconds / _HOUR_S:,.1f} h"


def _audits(streams: Sequence[StreamReport]) -> Sheet:
    rows = [
        Row(
            (
                *(one.stream, _told(audits.passes), _told(audits.failed), _told(audits.rows), _told(audits.fresh)),
                *(_told(audits.conflicts), _told(audits.unlisted)),
                NONE if audits.last_at is None else f"{audits.last_at:%Y-%m-%d %H:%M:%S}",
            ),
            bad=bool(audits.fresh or audits.conflicts or audits.unlisted),
        )
        for one in streams
        if (audits := one.audits).passes
    ]
    columns = ("stream", "passes", "failed", "rows", "missed", "conflicts", "unlisted", "last")
    says = "The venue's own list, read again and laid beside ours. Unlisted is ours, and not on it."
    return _sheet("Audits", says, columns, rows)


def _destinations(destinations: Sequence[DestinationReport]) -> Sheet:
    columns = (
        *("destination", "delivered", "first try", "attempts", "failed", "p50", "p99", "owed", "oldest", "parked"),
        "expired",
    )
    says = "Latencies run from when an entry was heard until it was accepted. Owed is what was not dealt with."
    return _sheet("Destinations", says, columns, [_destination(one) for one in destinations])


def _destination(one: DestinationReport) -> Row:
    told = one.deliveries
    percent = NONE if one.first_try_percent is None else f"{one.first_try_percent:g} %"
    cells = (
        *(one.destination, _told(told.delivered), percent, _told(told.attempts), _told(told.failed)),
        *(NONE if ms is None else f"{ms:,.1f} ms" for ms in (told.p50_ms, told.p99_ms)),
        *(_told(one.owed), NONE if one.oldest_at is None else f"{one.oldest_at:%m-%d %H:%M:%S}"),
        *(_told(told.parked), _told(told.expired)),
    )
    return Row(cells, bad=bool(told.parked or told.expired))


def _sheet(title: str, says: str, columns: tuple[str, ...], rows: Sequence[Row]) -> Sheet:
    """With what is bad first where not all of it has room."""
    if len(rows) > ROWS_MAX:
        kept = sorted(rows, key=lambda row: not row.bad)[:ROWS_MAX]
        return Sheet(title, f"{says} {len(rows) - ROWS_MAX:,} more are not shown here.", columns, kept)
    return Sheet(title, says, columns, rows)


def _told(number: int | None) -> str:
    return NONE if number is None else f"{number:,}"
