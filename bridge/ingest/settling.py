"""Settling a stream within the door's transaction: evidence into coverage, coverage into log entries."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.core.coverage import Coverage
from bridge.core.event import Event, Kind
from bridge.core.settle import settle
from bridge.core.span import Span
from bridge.store import events, evidence, gaps
from bridge.store.direct import Executes
from bridge.store.entries import Entry
from bridge.store.events import Pending
from bridge.store.evidence import Evidence
from bridge.store.streams import Stream

ENTRIES_MAX = 5_000
"""Entries that one transaction may settle: it keeps the lock for a fraction of a second."""


@dataclass(frozen=True, slots=True)
class SettledStream:
    """The stream after settling; ``unsettled`` says that more is complete than this transaction took."""

    stream: Stream
    unsettled: bool
    entries: Sequence[Entry] = ()


async def settle_stream(
    connection: Executes,
    stream: Stream,
    *,
    fresh: Mapping[int, Event],
    found: Sequence[Evidence],
    walk: bool,
    now: datetime,
) -> SettledStream:
    """Settle everything that ``fresh`` events or ``found`` evidence made complete. The stream's lock is held."""
    head_before = stream.head
    stream = replace(stream, head=max(stream.head, *fresh) if fresh else stream.head)
    if stream.frontier is None:
        return SettledStream(stream, unsettled=False)
    found = [item for item in found if item.span.last >= stream.frontier]
    if found:
        await evidence.insert(connection, stream_id=stream.id, epoch=stream.epoch, found=found, now=now)
    if stream.suspect_at is not None or not (walk or found or stream.frontier in fresh):
        stalled = stream.stalled_at or (now if stream.head >= stream.frontier else None)
        return SettledStream(replace(stream, stalled_at=stalled), unsettled=False)
    if head_before < stream.frontier and not walk and not found:
        # Nothing was waiting: what is above the frontier is this batch, and no evidence reaches beyond it.
        pending = [
            Pending(number, event.digest, event.occurred_at, now, event.event_id)
            for number, event in sorted(fresh.items())
            if number >= stream.frontier
        ]
        return await _settle(connection, stream, pending, [], truncated=False, now=now)
    pending = await events.pending(
        connection, stream_id=stream.id, epoch=stream.epoch, frontier=stream.frontier, limit=ENTRIES_MAX
    )
    known = await evidence.above(connection, stream_id=stream.id, epoch=stream.epoch, frontier=stream.frontier)
    return await _settle(connection, stream, pending, known, truncated=len(pending) == ENTRIES_MAX, now=now)


async def _settle(
    connection: Executes,
    stream: Stream,
    pending: Sequence[Pending],
    known: Sequence[Evidence],
    *,
    truncated: bool,
    now: datetime,
) -> SettledStream:
    assert stream.frontier is not None
    by_number = {item.sequence: item for item in pending}
    if truncated:
        until = pending[-1].sequence + 1
    else:
        until = max(stream.head, *(item.span.last for item in known)) + 1 if known else stream.head + 1
    result = settle(
        stream.frontier,
        present=[item.sequence for item in pending],
        proven=Coverage.of(item.span for item in known if item.verdict == "proof"),
        lost=Coverage.of(item.span for item in known if item.verdict == "loss"),
        until=until,
    )
    told = [_entry(step, by_number, known) for step in result.steps]
    lost = sum(len(step) for step in result.steps if isinstance(step, Span))
    in_turn = sum(not isinstance(step, Span) for step in result.steps)
    moved = result.frontier > stream.frontier
    stream = replace(
        stream,
        frontier=result.frontier,
        void=stream.void + result.frontier - stream.frontier - in_turn - lost,
        lost=stream.lost + lost,
        anchored_at=_anchor(stream, result.steps, by_number),
        stalled_at=_stalled_at(stream, pending, result.frontier, now),
    )
    if moved and stream.gaps_open:
        closed = await gaps.close_passed(
            connection, stream_id=stream.id, epoch=stream.epoch, frontier=result.frontier, now=now
        )
        stream = replace(stream, gaps_open=stream.gaps_open - closed)
    return SettledStream(stream, unsettled=truncated and result.frontier == until, entries=told)


def _entry(step: int | Span, by_number: Mapping[int, Pending], known: Sequence[Evidence]) -> Entry:
    if isinstance(step, int):
        event = by_number[step]
        return Entry(Kind.EVENT, step, event.digest, event_id=event.event_id, received_at=event.received_at)
    detail = next((item.detail for item in known if item.verdict == "loss" and item.span.intersect(step)), {})
    told = {"first": step.first, "last": step.last, "reason": "lost", "evidence": detail}
    return Entry.told(Kind.GAP, json.dumps(told, separators=(",", ":")).encode())


def _anchor(stream: Stream, steps: Sequence[int | Span], by_number: Mapping[int, Pending]) -> datetime | None:
    """The venue's time up to which the stream is complete: it only grows."""
    times = [stream.anchored_at] if stream.anchored_at else []
    for step in reversed(steps):
        if isinstance(step, int):
            times.append(by_number[step].occurred_at or by_number[step].received_at)
            break
    return max(times, default=None)


def _stalled_at(stream: Stream, pending: Sequence[Pending], frontier: int, now: datetime) -> datetime | None:
    """When the hole at the frontier showed: the hearing of the first event behind it."""
    if stream.head < frontier:
        return None
    if frontier == stream.frontier and stream.stalled_at is not None:
        return stream.stalled_at
    return next((item.received_at for item in pending if item.sequence >= frontier), now)
