"""A report as a sheet: one row for each hour of each stream, as CSV that a spreadsheet opens as it is."""

import csv
import io

from bridge.report.shape import HourLine, Report, StreamReport

COLUMNS = (
    *("stream", "hour", "assigned", "events", "void", "lost", "open_more", "late", "recovered", "conflicts", "gaps"),
    *("webhook_told", "webhook_first", "websocket_told", "websocket_first", "replay_told", "replay_first"),
    *("epoch", "frontier", "head", "open", "position", "chain"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_of(report: Report) -> str:
    """CSV as RFC 4180 has it, with a line of names. What is unknowable is empty."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows(_row(stream, line) for stream in report.streams for line in stream.hours)
    return out.getvalue()


def inert(text: str) -> str:
    """``text`` as a spreadsheet shows it, and does not calculate it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _row(stream: StreamReport, line: HourLine) -> list[object]:
    counts, standing = line.counts, line.standing
    heard = [number for way in (counts.webhook, counts.websocket, counts.replay) for number in (way.told, way.first)]
    return [
        *(inert(stream.stream), line.hour.strftime("%Y-%m-%dT%H:%M:%SZ")),
        *(counts.assigned, counts.events, counts.void, counts.lost, counts.open_more),
        *(counts.late, counts.recovered, counts.conflicts, counts.gaps, *heard),
        *(standing.epoch, standing.frontier, standing.head, standing.open, standing.position, standing.chain),
    ]
