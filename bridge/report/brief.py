"""A report without its streams' hours: what people are shown of it, in bounded memory."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec

from bridge.report.shape import Report
from bridge.report.written import Written

WAYS = ("webhook", "websocket", "replay")


class Brief(NamedTuple):
    """``report`` has no hours of streams; ``heard`` counts over all of them, by transport and hour."""

    report: Report
    heard: Mapping[str, Mapping[datetime, int]]


def brief_of(written: Written) -> Brief:
    """In one pass over the report."""
    heard = {way: Counter[datetime]() for way in WAYS}
    streams = []
    for stream in written.streams():
        for line in stream.hours:
            for way in WAYS:
                heard[way][line.hour] += getattr(line.counts, way).told
        streams.append(msgspec.structs.replace(stream, hours=()))
    destinations = [msgspec.structs.replace(one, streams=()) for one in written.destinations()]
    report = Report(
        since=written.since, until=written.until, streams=streams, destinations=destinations, digest=written.digest
    )
    return Brief(report, heard)
