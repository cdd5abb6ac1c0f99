"""What a report says, as it is written to JSON. Times are UTC; ``since`` is in the period and ``until`` is not.

What has a default is not in reports that were kept before it was counted.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec


class Heard(msgspec.Struct, frozen=True, gc=False):
    """Of one transport: how many events it told, how many it was the first to tell, and how many were repetitions.

    ``first`` counts when an event is stored. One that had to wait, until its turn or for a doubt, may be stored in a
    later hour than it was told in: there ``again``, which is ``told`` less ``first``, is negative.
    """

    told: int
    first: int
    again: int


class Counts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a stretch of time came to.

    ``assigned`` numbers are each in one class: told in their turn (``events``), never given out (``void``), gone for
    good (``lost``), or not settled yet, which is ``open_more`` than at the beginning, or fewer if negative. The four
    are None where the venue numbers nothing. ``late`` and ``recovered`` were told after their turn: taken for void,
    or for lost; they stay in that class. ``gaps`` counts entries of the log that name what is missing, and
    ``superseded`` those of them whose stretch a snapshot stands for.
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
    superseded: int = 0
    webhook: Heard
    websocket: Heard
    replay: Heard

    @property
    def stretches_lost(self) -> int:
        """How many stretches of time are lost where nobody can say how many events: the venue numbers none."""
        return self.gaps - self.superseded if self.lost is None else 0


class Standing(msgspec.Struct, frozen=True, gc=False):
    """A stream at the end of an hour. ``chain`` is the value at ``position``; ``open`` counts unsettled numbers."""

    epoch: int
    frontier: int | None
    head: int
    open: int
    position: int
    chain: str


class Lag(msgspec.Struct, frozen=True, gc=False):
    """How long the frontier stood before a hole or a doubt at most, and how long it had stood when the time ended.

    Where the bridge numbers the events: how far it was behind the venue's time.
    """

    most_s: float = 0.0
    at_end_s: float = 0.0


class GapTurns(msgspec.Struct, frozen=True, gc=False):
    """How many gaps opened in an hour, and how many ended in it as what."""

    opened: int = 0
    recovered: int = 0
    void: int = 0
    superseded: int = 0
    lost: int = 0


NO_LAG, NO_TURNS = Lag(), GapTurns()


class HourLine(msgspec.Struct, frozen=True, gc=False):
    """An hour in which something was stored, gaps opened or ended, or the frontier stood before a hole."""

    hour: datetime
    counts: Counts
    standing: Standing
    lag: Lag = NO_LAG
    gaps: GapTurns = NO_TURNS


class GapLine(msgspec.Struct, frozen=True):
    """Gaps that ended alike: ``state``, by what (``healed_by``), and how long after they were opened."""

    state: str
    healed_by: str | None
    gaps: int
    p50_s: float
    p95_s: float
    max_s: float


class LostRange(msgspec.Struct, frozen=True):
    """What is gone for good, as the log tells of it. ``axis``: ``sequence``, or ``time`` in milliseconds since 1970.

    Both ends are 0 where nobody knows the time. ``closed_at`` is when that was decided and ``position`` where the log
    says so. ``evidence`` is who or what says that it can be had no more, in at most 300 characters.
    """

    epoch: int
    first: int
    last: int
    axis: str
    lost: int
    closed_at: datetime
    position: int | None = None
    evidence: str = ""


class GapBar(msgspec.Struct, frozen=True):
    """One gap on the time line, as the period left it: ``open`` where it ended later, or not at all."""

    opened_at: datetime
    closed_at: datetime | None
    state: str
    healed_by: str | None


class GapCounts(msgspec.Struct, frozen=True, kw_only=True):
    """``open``: how many were so when the period ended.

    ``lost`` names at most 1,000 ranges of a stream, and 20,000 in all; ``lost_more`` counts others, and those whose
    entry retention has deleted.
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
    lag: Lag = NO_LAG
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
    streams: Sequence[StreamReport] = ()
    destinations: Sequence[DestinationReport] = ()
    digest: str = ""
