"""What a report says, as it is written to JSON. Times are UTC; ``since`` is in the period and ``until`` is not."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec


class Heard(msgspec.Struct, frozen=True):
    """Of one transport: how many events it told, how many of them it told first, and how many were repetitions."""

    told: int
    first: int
    again: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What a stretch of time came to.

    ``assigned`` numbers are each in one class: told in their turn (``events``), never given out (``void``), gone for
    good (``lost``), or not settled yet, which is ``open_more`` than at the beginning, or fewer if negative. The four
    are None where the venue numbers nothing. ``late`` and ``recovered`` were told after their turn: taken for void,
    or for lost. ``gaps`` counts entries of the log that name what is missing.
    """

    assigned: int | None
    events: int
    void: int | None
    lost: int | None
    open_more: int | None
    late: int
    recovered: int
    conflicts: int
    gaps: int
    webhook: Heard
    websocket: Heard
    replay: Heard


class Standing(msgspec.Struct, frozen=True):
    """A stream at the end of an hour. ``chain`` is the value at ``position``; ``open`` counts unsettled numbers."""

    epoch: int
    frontier: int | None
    head: int
    open: int
    position: int
    chain: str


class HourLine(msgspec.Struct, frozen=True):
    hour: datetime
    counts: Counts
    standing: Standing


class GapLine(msgspec.Struct, frozen=True):
    """Gaps that ended alike: ``state``, by what (``healed_by``), and how long after they were opened."""

    state: str
    healed_by: str | None
    gaps: int
    p50_s: float
    p95_s: float
    max_s: float


class LostRange(msgspec.Struct, frozen=True):
    """A gap that ended with something lost. ``axis``: ``sequence``, or ``time`` in milliseconds since 1970."""

    epoch: int
    first: int
    last: int
    axis: str
    lost: int
    opened_at: datetime
    closed_at: datetime


class GapBar(msgspec.Struct, frozen=True):
    """One gap on the time line, as the period left it: ``open`` where it ended later, or not at all."""

    opened_at: datetime
    closed_at: datetime | None
    state: str
    healed_by: str | None


class GapCounts(msgspec.Struct, frozen=True, kw_only=True):
    """``open``: how many were so when the period ended. ``lost`` names at most 1,000; ``lost_more`` counts others.

    ``timeline`` has the gaps that were open at some time of the period: at most 200 of a stream, and fewer where
    there are more than a hundred streams; ``timeline_more`` counts others.
    """

    opened: int
    open: int
    closed: Sequence[GapLine]
    lost: Sequence[LostRange]
    lost_more: int
    timeline: Sequence[GapBar]
    timeline_more: int


class AuditCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The audits of a stream that ended in the period; ``failed`` of the ``passes`` could not be finished.

    Of ``rows`` that the venue listed, ``fresh`` had been missed, and ``conflicts`` have other content. ``unlisted``
    counts what we hold and the venue did not list, in each pass anew. ``last_at``: when the last one was finished.
    """

    passes: int = 0
    failed: int = 0
    rows: int = 0
    fresh: int = 0
    conflicts: int = 0
    unlisted: int = 0
    last_at: datetime | None = None


class StreamReport(msgspec.Struct, frozen=True, kw_only=True):
    """``complete_percent`` of the passed numbers have an event or are void; None for the reason in ``why``.

    ``unmatched`` deliveries without a number, of those received in the period, have not been found to be any event.
    """

    stream: str
    source: str
    numbered_by: str
    complete_percent: float | None
    why: str | None
    counts: Counts
    began: Standing | None
    ended: Standing | None
    hours: Sequence[HourLine]
    gaps: GapCounts
    unmatched: int
    audits: AuditCounts = AuditCounts()


class Deliveries(msgspec.Struct, frozen=True, kw_only=True):
    """What a destination was sent in a stretch of time.

    ``delivered`` entries were accepted, ``first_try`` of them the first time that they were posted. ``attempts`` are
    POSTs, and ``failed`` those of them that were not accepted. ``parked`` were laid aside, ``expired`` deleted
    undelivered. ``p50_ms`` and ``p99_ms`` are bounds from above, to 1.42 times, of the time from when an entry
    was heard to its acceptance; None where nothing was delivered.
    """

    delivered: int
    first_try: int
    attempts: int
    failed: int
    parked: int
    expired: int
    p50_ms: float | None
    p99_ms: float | None


class DestinationHour(msgspec.Struct, frozen=True):
    hour: datetime
    deliveries: Deliveries


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """How far a destination was with a stream when the period ended, and ``chain``, the log's value there.

    ``owed``: how many positions of the log it had not dealt with, those included that its filter leaves out.
    ``oldest_at``: when the first of them was written, None where none was, or it is deleted. ``chain`` is None where
    nobody had written it down yet.
    """

    stream: str
    position: int
    chain: str | None
    owed: int
    oldest_at: datetime | None


class DestinationReport(msgspec.Struct, frozen=True, kw_only=True):
    """``first_try_percent`` of what was delivered went out in a POST that followed no failure; None if nothing was.

    ``streams`` names at most 1,000; ``streams_more`` counts others.
    """

    destination: str
    deliveries: Deliveries
    first_try_percent: float | None
    owed: int
    oldest_at: datetime | None
    streams: Sequence[Acknowledged]
    streams_more: int
    hours: Sequence[DestinationHour]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """``digest``: SHA-256, in hex, of the report's JSON with an empty digest. The same log gives the same one."""

    since: datetime
    until: datetime
    streams: Sequence[StreamReport]
    destinations: Sequence[DestinationReport] = ()
    digest: str = ""


def sealed(report: Report) -> Report:
    """The report with its own digest."""
    bare = msgspec.structs.replace(report, digest="")
    return msgspec.structs.replace(report, digest=hashlib.sha256(msgspec.json.encode(bare)).hexdigest())
