"""One transaction of the door, under the stream's row lock: store, compare, prove, settle, count.

Nothing here waits for anything but Postgres, and nothing is decided that does not show in the log's order.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.core.event import Event, Kind, Transport
from bridge.ingest import epochs, repeats
from bridge.ingest.settling import settle_stream
from bridge.ingest.submission import Finding, Receipt, StreamSpec, Submission
from bridge.store import entries, events, evidence, heard, sightings, streams, sweeps, variants
from bridge.store.entries import Entry
from bridge.store.sightings import Match
from bridge.store.streams import Stream


@dataclass(frozen=True, slots=True)
class Committed:
    """What a transaction did. ``unsettled`` says that more is complete than one transaction may settle."""

    stream: Stream
    appended: int
    rang: bool
    unsettled: bool
    receipts: list[Receipt]


HELD = -1
"""In place of a submission's index, for events that waited in the database."""


@dataclass(slots=True)
class _Telling:
    """One event of the batch, and whose it is."""

    submission: int
    event: Event
    transport: Transport


@dataclass(slots=True)
class _Batch:
    """A batch taken apart: the first telling of each number, later ones of the same, and those without one."""

    first: dict[int, _Telling] = field(default_factory=dict)
    again: list[_Telling] = field(default_factory=list)
    unnumbered: dict[str, _Telling] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)


async def commit(
    connection: AsyncConnection,
    spec: StreamSpec,
    stream_id: int,
    submissions: Sequence[Submission],
    *,
    now: datetime,
    walk: bool,
) -> Committed:
    """Take in ``submissions``, in their order; the caller owns the transaction. ``walk`` settles in any case."""
    before = stream = await streams.lock(connection, stream_id)
    told: list[Entry] = []
    for submission in submissions:
        if submission.epoch is not None:
            stream = await epochs.open_epoch(connection, stream, submission.epoch, now)
    findings = [item.finding for item in submissions if item.finding and item.finding.epoch == stream.epoch]
    for finding in findings:
        stream = _learn(stream, finding)
    decided = any(item.epoch for item in submissions) or any(finding.same_epoch for finding in findings)
    batch = _take_apart(submissions, stream)
    if decided:
        _take_again(batch, await variants.take_held(connection, stream_id=stream.id))
    fresh: set[int] = set()
    outcome = repeats.Outcome()
    sealed = epochs.take_sealed(stream, batch.first, _event_of)
    if sealed:
        heard_late = [(telling.event, telling.transport) for telling in sealed]
        told.extend(await epochs.recover(connection, stream, heard_late, now))
    if not decided and any(epochs.is_stranger(stream, item.event) for item in batch.first.values()):
        stream = replace(stream, suspect_at=stream.suspect_at or now)
    if batch.first:
        if stream.suspect_at is not None:
            outcome.held = await repeats.hold(connection, stream, _all(batch), now)
        else:
            await epochs.drop_sealed(connection, stream, batch.first, _event_of)
            fresh = await _store(connection, stream, batch, now)
            again = _repeated(batch, fresh)
            stream, outcome = await repeats.compare(connection, stream, spec, again, now, decided=decided)
            stream = await _tell_late(connection, stream, spec, fresh, batch, told, now)
    told.extend(outcome.entries)
    stream, matched = await _sight(connection, stream, batch, fresh, now)
    stream = await _append(connection, stream, told, now)
    settled = await settle_stream(
        connection,
        stream,
        fresh={number: batch.first[number].event for number in fresh},
        found=[item for finding in findings for item in finding.evidence],
        walk=walk or bool(findings),
        now=now,
    )
    await _count(connection, stream.id, batch, fresh, now)
    await streams.save(connection, settled.stream)
    return Committed(
        stream=settled.stream,
        appended=settled.stream.position - before.position,
        rang=bool(batch.unnumbered),
        unsettled=settled.unsettled,
        receipts=_receipts(submissions, batch, fresh, outcome, matched),
    )


def _learn(stream: Stream, finding: Finding) -> Stream:
    """The stream with everything of ``finding`` but its evidence, which settling takes in."""
    if finding.base is not None and stream.base is None:
        base = finding.base
        stream = replace(stream, base=base.number, frontier=base.number, anchored_at=base.anchored_at)
    if finding.quiet_until is not None and stream.frontier is not None and stream.head < stream.frontier:
        stream = replace(stream, anchored_at=max(stream.anchored_at or finding.quiet_until, finding.quiet_until))
    if finding.same_epoch:
        stream = replace(stream, suspect_at=None, mismatches=0)
    if finding.settle_s is not None:
        stream = replace(stream, settle_s=finding.settle_s)
    return stream


def _take_apart(submissions: Sequence[Submission], stream: Stream) -> _Batch:
    batch = _Batch()
    next_number = stream.head + 1
    for index, submission in enumerate(submissions):
        if submission.transport is None:
            continue
        batch.told[submission.transport.value] += len(submission.events)
        for event in submission.events:
            if stream.numbering == "bridge":
                event = event._replace(sequence=next_number)
                next_number += 1
            telling = _Telling(index, event, submission.transport)
            if event.sequence is None:
                batch.unnumbered.setdefault(event.event_id, telling)
            elif event.sequence in batch.first:
                batch.again.append(telling)
            else:
                batch.first[event.sequence] = telling
    return batch


def _take_again(batch: _Batch, held: Sequence[tuple[Event, Transport]]) -> None:
    """Add what was held until its epoch was decided; it belongs to no submission."""
    for event, transport in held:
        assert event.sequence is not None
        telling = _Telling(HELD, event, transport)
        if event.sequence in batch.first:
            batch.again.append(telling)
        else:
            batch.first[event.sequence] = telling


def _event_of(telling: _Telling) -> Event:
    return telling.event


def _all(batch: _Batch) -> list[tuple[Event, Transport]]:
    return [(telling.event, telling.transport) for telling in (*batch.first.values(), *batch.again)]


def _repeated(batch: _Batch, fresh: set[int]) -> list[tuple[Event, Transport]]:
    tellings = [telling for number, telling in batch.first.items() if number not in fresh]
    return [(telling.event, telling.transport) for telling in (*tellings, *batch.again)]


async def _store(connection: AsyncConnection, stream: Stream, batch: _Batch, now: datetime) -> set[int]:
    """Insert in order of number: two batches in different orders would deadlock."""
    rows = [(batch.first[number].event, batch.first[number].transport) for number in sorted(batch.first)]
    return await events.insert(connection, stream_id=stream.id, epoch=stream.epoch, heard=rows, received_at=now)


async def _tell_late(
    connection: AsyncConnection,
    stream: Stream,
    spec: StreamSpec,
    fresh: set[int],
    batch: _Batch,
    told: list[Entry],
    now: datetime,
) -> Stream:
    """What turned up below the frontier is told at the next position, and refutes the proof that missed it."""
    if stream.frontier is None or stream.base is None:
        return stream
    lowest = 0 if spec.tell_below_base else stream.base
    late = sorted(number for number in fresh if lowest <= number < stream.frontier)
    if not late:
        return stream
    lost = await evidence.losses(
        connection, stream_id=stream.id, epoch=stream.epoch, lowest=late[0], highest=late[-1]
    )
    lateness_s = 0.0
    for number in late:
        kind = Kind.RECOVERED if number in lost else Kind.LATE
        told.append(Entry(kind, number, batch.first[number].event.digest))
        next_at = await events.next_received(connection, stream_id=stream.id, epoch=stream.epoch, sequence=number)
        if kind is Kind.LATE and next_at is not None:
            lateness_s = max(lateness_s, (now - next_at).total_seconds())
    await evidence.refute(connection, stream_id=stream.id, epoch=stream.epoch, sequences=late, now=now)
    return replace(stream, settle_s=min(spec.settle_max_s, max(stream.settle_s, 2 * lateness_s)))


async def _sight(
    connection: AsyncConnection, stream: Stream, batch: _Batch, fresh: set[int], now: datetime
) -> tuple[Stream, int]:
    """Keep what carries no number, and match it with its numbered row, whichever of the two came first."""
    unmatched = stream.unmatched
    new_ids: list[str] = []
    if batch.unnumbered:
        seen = [(item.event, item.transport) for _, item in sorted(batch.unnumbered.items())]
        new_ids = await sightings.insert(connection, stream_id=stream.id, seen=seen, received_at=now)
        unmatched += len(new_ids)
        await sweeps.ring(connection, stream=stream.name, now=now)
    if unmatched:
        matches = [Match(batch.first[n].event.event_id, stream.epoch, n) for n in sorted(fresh)]
        if new_ids:
            known = await events.by_id(connection, stream_id=stream.id, event_ids=new_ids)
            matches += [Match(event_id, epoch, number) for event_id, (epoch, number) in known.items()]
        if matches:
            unmatched -= await sightings.match(connection, stream_id=stream.id, matches=matches)
    return replace(stream, unmatched=unmatched), len(new_ids)


async def _append(connection: AsyncConnection, stream: Stream, told: Sequence[Entry], now: datetime) -> Stream:
    if not told:
        return stream
    position, chain = await entries.append(
        connection,
        stream_id=stream.id,
        epoch=stream.epoch,
        position=stream.position,
        chain=stream.chain,
        entries=told,
        appended_at=now,
    )
    return replace(stream, position=position, chain=chain)


async def _count(connection: AsyncConnection, stream_id: int, batch: _Batch, fresh: set[int], now: datetime) -> None:
    if batch.told:
        first = Counter(batch.first[number].transport.value for number in fresh)
        await heard.count(connection, stream_id=stream_id, events=batch.told, first=first, now=now)


def _receipts(
    submissions: Sequence[Submission], batch: _Batch, fresh: set[int], outcome: repeats.Outcome, sighted: int
) -> list[Receipt]:
    mine: list[list[int]] = [[] for _ in submissions]
    for number in fresh:
        if batch.first[number].submission != HELD:
            mine[batch.first[number].submission].append(number)
    receipts = []
    for submission, numbers in zip(submissions, mine, strict=True):
        numbered = [event.sequence for event in submission.events if event.sequence is not None]
        receipts.append(
            Receipt(
                fresh=tuple(sorted(numbers)),
                duplicates=len(numbered) - len(numbers),
                conflicts=tuple(number for number in numbered if number in outcome.conflicts),
                sightings=sighted,
                held=outcome.held,
            )
        )
    return receipts
