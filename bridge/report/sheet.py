"""A report as sheets: a row for each hour of each stream, or of each destination, as CSV that a spreadsheet opens."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from bridge.report.shape import DestinationHour, HourLine, StreamReport
from bridge.report.written import Written

COLUMNS = (
    *("stream", "hour", "assigned", "events", "void", "lost", "open_more", "late", "recovered", "conflicts", "gaps"),
    *("webhook_told", "webhook_first", "websocket_told", "websocket_first", "replay_told", "replay_first"),
    *("epoch", "frontier", "head", "open", "position", "chain"),
    *("superseded", "lag_s", "lag_at_end_s"),
    *("gaps_opened", "gaps_recovered", "gaps_void", "gaps_superseded", "gaps_lost"),
)
ROWS_AT_ONCE = 1_000
DELIVERY_COLUMNS = (
    *("destination", "hour", "delivered", "first_try", "attempts", "failed", "parked", "expired"),
    *("p50_ms", "p99_ms"),
)
_FORMULA = ("=", "+", "-", "@", "\u2212")


def csv_of(report: Written) -> Iterator[bytes]:
    """The hours of streams, as RFC 4180 has it, with a line of names. What is unknowable is empty."""
    return _written(COLUMNS, (_row(stream, line) for stream in report.streams() for line in stream.hours))


def deliveries_csv_of(report: Written) -> Iterator[bytes]:
    """The hours of destinations, likewise."""
    rows = (_delivered(one.destination, line) for one in report.destinations() for line in one.hours)
    return _written(DELIVERY_COLUMNS, rows)


def inert(text: str) -> str:
    """``text`` as a spreadsheet shows it, and does not calculate it: full-width signs, and what is blank before, too.

    Names of streams and destinations can only begin with a minus; a form for others is to be safe all the same.
    """
    begins = unicodedata.normalize("NFKC", text).lstrip().startswith(_FORMULA) or text[:1].isspace()
    return f"'{text}" if begins else text


def _row(stream: StreamReport, line: HourLine) -> list[object]:
    counts, standing, gaps = line.counts, line.standing, line.gaps
    heard = [number for way in (counts.webhook, counts.websocket, counts.replay) for number in (way.told, way.first)]
    return [
        *(inert(stream.stream), line.hour.strftime("%Y-%m-%dT%H:%M:%SZ")),
        *(counts.assigned, counts.events, counts.void, counts.lost, counts.open_more),
        *(counts.late, counts.recovered, counts.conflicts, counts.gaps, *heard),
        *(standing.epoch, standing.frontier, standing.head, standing.open, standing.position, standing.chain),
        *(counts.superseded, line.lag.most_s, line.lag.at_end_s),
        *(gaps.opened, gaps.recovered, gaps.void, gaps.superseded, gaps.lost),
    ]


def _delivered(destination: str, line: DestinationHour) -> list[object]:
    told = line.deliveries
    return [
        *(inert(destination), line.hour.strftime("%Y-%m-%dT%H:%M:%SZ"), told.delivered, told.first_try),
        *(told.attempts, told.failed, told.parked, told.expired, told.p50_ms, told.p99_ms),
    ]


def _written(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """In pieces of so many rows."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for nth, row in enumerate(rows, start=1):
        writer.writerow(row)
        if nth % ROWS_AT_ONCE == 0:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode()
