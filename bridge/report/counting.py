"""What a stream's hours come to: each by itself, in one pass, and their sums. Pure: rows in, lines out."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from bridge.core.lag import ms_between
from bridge.report.period import HOUR, Period
from bridge.report.shape import NO_LAG, NO_TURNS, Counts, GapTurns, Heard, HourLine, Lag, Standing
from bridge.store.hours import Hour

_MS = 1_000
_NOTHING = Heard(0, 0, 0)
_QUIET = Counts(
    assigned=0, events=0, void=0, lost=0, open_more=0, late=0, recovered=0, conflicts=0, gaps=0,
    webhook=_NOTHING, websocket=_NOTHING, replay=_NOTHING,
)  # fmt: skip
_QUIET_UNNUMBERED = msgspec.structs.replace(_QUIET, assigned=None, void=None, lost=None, open_more=None)


def lines_of(
    read: Sequence[Hour],
    before: Hour | None,
    turns: Mapping[datetime, GapTurns],
    *,
    numbered: bool,
    period: Period,
    now: datetime,
) -> list[HourLine]:
    """The hours of a period by time. ``read`` follows ``before``; ``turns`` are gaps, by the hour.

    Where nothing was stored for hours while the frontier stood behind, there is a line for each of them all the same.
    """
    lines: list[HourLine] = []
    rows = {row.hour: row for row in read}
    last = before
    for hour in _hours(rows, before, turns, period, now):
        row = rows.get(hour)
        end = min(hour + HOUR, now)
        if row is not None:
            counts = counts_of(row, last, numbered=numbered)
            last = row
        elif last is not None:
            counts = _QUIET if numbered else _QUIET_UNNUMBERED
        else:
            continue
        most_ms = last.lag_ms if row is not None else 0
        lines.append(HourLine(hour, counts, standing_of(last), _lag(most_ms, last, end), turns.get(hour, NO_TURNS)))
    return lines


def _hours(
    rows: Mapping[datetime, Hour],
    before: Hour | None,
    turns: Mapping[datetime, GapTurns],
    period: Period,
    now: datetime,
) -> Iterator[datetime]:
    """Those that have a line, by time."""
    stands = before is not None and before.behind_since is not None
    if not stands and not turns and all(row.behind_since is None for row in rows.values()):
        yield from rows
        return
    hour = period.since if before is None else max(period.since, before.hour + HOUR)
    while hour < period.until:
        row = rows.get(hour)
        if row is not None or hour in turns or (stands and hour <= now):
            yield hour
        stands = row.behind_since is not None if row is not None else stands
        hour += HOUR


def counts_of(row: Hour, before: Hour | None, *, numbered: bool) -> Counts:
    """What one hour came to, which follows ``before``."""
    void = row.void - (before.void if before is not None else 0)
    lost = row.lost - (before.lost if before is not None else 0)
    open_more = row.open - (before.open if before is not None else 0)
    return Counts(
        assigned=row.events + void + lost + open_more if numbered else None,
        events=row.events,
        void=void if numbered else None,
        lost=lost if numbered else None,
        open_more=open_more if numbered else None,
        late=row.late,
        recovered=row.recovered,
        conflicts=row.conflicts,
        gaps=row.gaps,
        superseded=row.superseded,
        webhook=Heard(row.webhook, row.first_webhook, row.webhook - row.first_webhook),
        websocket=Heard(row.websocket, row.first_websocket, row.websocket - row.first_websocket),
        replay=Heard(row.replay, row.first_replay, row.replay - row.first_replay),
    )


def sum_of(lines: Sequence[HourLine], *, numbered: bool) -> Counts:
    """A period comes to what its hours come to."""
    if not lines:
        return _QUIET if numbered else _QUIET_UNNUMBERED
    columns = zip(*(msgspec.structs.astuple(line.counts) for line in lines), strict=True)
    return Counts(**{name: _sum(column) for name, column in zip(Counts.__struct_fields__, columns, strict=True)})


def _sum(column: Sequence[Any]) -> Any:
    if column[0] is None:
        return None
    if isinstance(column[0], Heard):
        return Heard(*map(sum, zip(*map(msgspec.structs.astuple, column), strict=True)))
    return sum(column)


def standing_of(row: Hour) -> Standing:
    return Standing(row.epoch, row.frontier, row.head, row.open, row.position, row.chain.hex())


def lag_of(lines: Sequence[HourLine], last: Hour | None, *, period: Period, now: datetime) -> Lag:
    """How far behind it was in a period, and at its end, which ``last`` has left as it is."""
    at_end_s = _lag(0, last, min(period.until, now)).at_end_s if last is not None else 0.0
    return Lag(max((line.lag.most_s for line in lines), default=0.0), at_end_s)


def _lag(most_ms: int, row: Hour, end: datetime) -> Lag:
    if row.behind_since is None and not most_ms:
        return NO_LAG  # nearly always
    at_end_ms = 0 if row.behind_since is None else ms_between(row.behind_since, end)
    return Lag(max(most_ms, at_end_ms) / _MS, at_end_ms / _MS)
