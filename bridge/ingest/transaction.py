"""One transaction of the door, under the stream's row lock: store, compare, prove, settle, count.

Nothing here waits for anything but Postgres, and nothing is decided that does not show in the log's order.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bridge.core.event import Kind
from bridge.core.lag import Lag
from bridge.ingest import audited, epochs, once, repeats
from bridge.ingest.batch import Batch
from bridge.ingest.settling import settle_stream
from bridge.ingest.submission import Finding, Receipt, StreamSpec, Submission
from bridge.store import events, evidence, sightings, streams, sweeps, variants
from bridge.store.direct import Executes
from bridge.store.entries import Entry
from bridge.store.finish import Finished, finished
from bridge.store.plain import Foreseen, Unforeseen
from bridge.store.sightings import Match
from bridge.store.streams import Stream


@dataclass(frozen=True, slots=True)
class Committed:
    """What a transaction did.

    ``entries`` were appended, in their order, ``completed_by`` says what had been missing before: the transport that
    told of it, or what is known in its place. ``told`` counts events by transport, ``remarks`` the entries that are
    no plain events, by kind.
    ``unsettled`` says that more is complete than one transaction may settle. ``version`` is that of the stream's row.
    """

    stream: Stream
    version: int
    appended: int
    entries: Sequence[Entry]
    completed_by: str
    told: dict[str, int]
    remarks: dict[str, int]
    unsettled: bool
    receipts: list[Receipt]


@dataclass(slots=True)
class _Transaction:
    """What the steps of one transaction hand on to each other."""

    connection: Executes
    spec: StreamSpec
    stream: Stream
    now: datetime
    batch: Batch = field(default_factory=Batch)
    decided: bool = False
    fresh: set[int] = field(default_factory=set)
    late: set[int] = field(default_factory=set)
    outcome: repeats.Outcome = field(default_factory=repeats.Outcome)
    entries: list[Entry] = field(default_factory=list)
    first_sealed: Counter[str] = field(default_factory=Counter)
    sighted: int = 0

    @property
    def undoubted(self) -> bool:
        """Whether nobody asks if the numbering began anew: that was just decided, or the numbers are our own."""
        return self.decided or self.stream.numbering == "bridge"

    def receipts(self, submissions: Sequence[Submission]) -> list[Receipt]:
        """What became of each submission."""
        outcome = self.outcome
        return self.batch.receipts(
            submissions,
            fresh=self.fresh,
            late=self.late,
            conflicts=outcome.conflicts,
            sightings=self.sighted,
            held=outcome.held,
        )


async def commit(
    connection: Executes,
    spec: StreamSpec,
    stream_id: int,
    submissions: Sequence[Submission],
    *,
    now: datetime,
    walk: bool,
) -> Committed:
    """Take in ``submissions``, in their order; the caller owns the transaction. ``walk`` settles in any case."""
    before = await streams.lock(connection, stream_id)
    work = _Transaction(connection, spec, before, now)
    findings = await _learn(work, submissions)
    await _recover_sealed(work)
    await _store(work)
    work.batch.count_late(work.fresh)
    await _tell_late(work)
    await _sight(work)
    settled = await settle_stream(
        connection,
        work.stream,
        fresh={number: work.batch.first[number].event for number in work.fresh},
        found=[item for finding in findings for item in finding.evidence],
        walk=walk or bool(findings),
        now=now,
    )
    told = [*work.entries, *work.outcome.entries, *settled.entries]
    after, version = await finished(
        connection,
        settled.stream,
        entries=told,
        told=work.batch.told,
        first=work.first_sealed + Counter(work.batch.first[number].transport.value for number in work.fresh),
        lag=Lag.between(before.behind_since, settled.stream.behind_since, now),
        now=now,
    )
    return Committed(
        stream=after,
        version=version,
        appended=after.position - before.position,
        entries=told,
        completed_by=_completed_by(work, before, findings),
        told=dict(work.batch.told),
        remarks=dict(Counter(entry.kind.value for entry in told if entry.kind is not Kind.EVENT)),
        unsettled=settled.unsettled,
        receipts=work.receipts(submissions),
    )


async def commit_plain(
    connection: Executes, spec: StreamSpec, last: Finished, submissions: Sequence[Submission], *, now: datetime
) -> Committed | None:
    """``commit`` and its transaction in one statement, where all it needs is known since ``last``.

    The same thought is thought, over what is remembered. None: it asked for more, or somebody else has been at the
    stream since; nothing was done.
    """
    head = last.stream.head
    for submission in submissions:
        if submission.transport is None or any((event.sequence or head + 1) <= head for event in submission.events):
            return None
    foreseen = Foreseen(last.stream, last.version)
    try:
        committed = await commit(foreseen, spec, last.stream.id, submissions, now=now, walk=False)
    except Unforeseen:
        return None
    version = await foreseen.carry_out(connection)
    return None if version is None else replace(committed, version=version)


async def _learn(work: _Transaction, submissions: Sequence[Submission]) -> list[Finding]:
    """Take in what readers found out, and with a decision on the epoch what was held for it."""
    for submission in submissions:
        if submission.epoch is not None:
            work.stream, told = await epochs.open_epoch(work.connection, work.stream, submission.epoch, work.now)
            work.entries += told
            work.decided = True
    findings = [item.finding for item in submissions if item.finding and item.finding.epoch == work.stream.epoch]
    for finding in findings:
        work.stream = _with(work.stream, finding)
        work.decided = work.decided or finding.same_epoch
    known = await once.known_numbers(work.connection, work.stream, work.spec, submissions)
    work.batch = Batch.of(submissions, work.stream, known)
    if work.decided:
        work.batch.add_held(await variants.take_held(work.connection, stream_id=work.stream.id))
    return findings


def _with(stream: Stream, finding: Finding) -> Stream:
    """The stream with everything of ``finding`` but its evidence, which settling takes in."""
    if finding.base is not None and stream.base is None:
        base = finding.base
        stream = replace(stream, base=base.number, frontier=base.number, anchored_at=base.anchored_at)
    if finding.quiet_until is not None and stream.frontier is not None and stream.head < stream.frontier:
        quiet_until = max(stream.anchored_at or finding.quiet_until, finding.quiet_until)
        stream = replace(stream, anchored_at=quiet_until)
    if finding.same_epoch:
        stream = replace(stream, suspect_at=None, mismatches=0)
    if finding.settle_s is not None:
        stream = replace(stream, settle_s=finding.settle_s)
    return stream


def _completed_by(work: _Transaction, before: Stream, findings: Sequence[Finding]) -> str:
    """What the frontier had waited for: a transport, or a verdict; empty where this transaction does not tell."""
    missing = before.frontier
    if missing is None:
        return ""
    if missing in work.fresh:
        return work.batch.first[missing].transport.value
    found = (item for finding in findings for item in finding.evidence if missing in item.span)
    return next((item.verdict for item in found), "")


async def _recover_sealed(work: _Transaction) -> None:
    """Events that are older than the present epoch go into the sealed one."""
    sealed = epochs.take_sealed(work.stream, work.batch.first)
    sealed = [one for one in sealed if not work.stream.is_forgotten(work.stream.epoch - 1, one[0].sequence or 0)]
    if sealed:
        told = await epochs.recover(work.connection, work.stream, sealed, work.now)
        fresh = {entry.sequence for entry in told}
        work.entries += told
        work.first_sealed.update(transport.value for event, transport in sealed if event.sequence in fresh)


async def _store(work: _Transaction) -> None:
    """Insert what is new and compare what is not; freeze the stream where its numbering is in doubt."""
    first = work.batch.first
    if not first:
        return
    if not work.undoubted and any(epochs.is_stranger(work.stream, telling.event) for telling in first.values()):
        work.stream = replace(work.stream, suspect_at=work.stream.suspect_at or work.now)
    forgotten = await repeats.forgotten(work.connection, work.stream, first)
    if not work.undoubted:
        work.stream = repeats.doubted(work.stream, work.spec, [first[n].event for n in forgotten], work.now)
    if work.stream.suspect_at is not None:
        work.outcome.held = await repeats.hold(work.connection, work.stream, work.batch.numbered(), work.now)
        return
    work.batch.drop(forgotten)
    await epochs.drop_sealed(work.connection, work.stream, first)
    work.fresh = await events.insert(
        work.connection,
        stream_id=work.stream.id,
        epoch=work.stream.epoch,
        heard=work.batch.ascending(),
        received_at=work.now,
    )
    work.stream, work.outcome = await repeats.compare(
        work.connection,
        work.stream,
        work.spec,
        work.batch.repeated(work.fresh),
        work.now,
        decided=work.undoubted,
    )


async def _tell_late(work: _Transaction) -> None:
    """What turned up below the frontier is told at the next position, and refutes the proof that missed it.

    What the audit found so is a gap that nobody knew of, until it was healed.
    """
    stream, connection = work.stream, work.connection
    if stream.frontier is None or stream.base is None:
        return
    lowest = 0 if work.spec.tell_below_base else stream.base
    late = sorted(number for number in work.fresh if lowest <= number < stream.frontier)
    if not late:
        return
    lost = await evidence.losses(
        connection, stream_id=stream.id, epoch=stream.epoch, lowest=late[0], highest=late[-1]
    )
    lateness_s = 0.0
    for number in late:
        kind = Kind.RECOVERED if number in lost else Kind.LATE
        event = work.batch.first[number].event
        entry = Entry(kind, number, event.digest, event_id=event.event_id, received_at=work.now)
        work.entries.append(entry)
        next_at = await events.next_received(connection, stream_id=stream.id, epoch=stream.epoch, sequence=number)
        if kind is Kind.LATE and next_at is not None:
            lateness_s = max(lateness_s, (work.now - next_at).total_seconds())
    await evidence.refute(connection, stream_id=stream.id, epoch=stream.epoch, sequences=late, now=work.now)
    await audited.put_down(connection, stream, {number: work.batch.first[number].audit for number in late}, work.now)
    work.late = set(late)
    settle_s = min(work.spec.settle_max_s, max(stream.settle_s, 2 * lateness_s))
    work.stream = replace(stream, settle_s=settle_s)


async def _sight(work: _Transaction) -> None:
    """Keep what carries no number, and match it with its numbered row, whichever of the two came first."""
    stream, batch = work.stream, work.batch
    if work.spec.once:
        fresh = [(batch.first[n].event, batch.first[n].transport) for n in sorted(work.fresh)]
        await once.remember(work.connection, stream, fresh, work.now)
        return
    unmatched = stream.unmatched
    new_ids: list[str] = []
    if batch.unnumbered:
        seen = [(item.event, item.transport) for _, item in sorted(batch.unnumbered.items())]
        new_ids = await sightings.insert(work.connection, stream_id=stream.id, seen=seen, received_at=work.now)
        unmatched += len(new_ids)
        await sweeps.ring(work.connection, stream=stream.name, now=work.now)
    if unmatched and stream.suspect_at is None:
        matches = [Match(batch.first[n].event.event_id, stream.epoch, n) for n in sorted(batch.first)]
        if new_ids:
            known = await events.by_id(work.connection, stream_id=stream.id, event_ids=new_ids)
            matches += [Match(event_id, epoch, number) for event_id, (epoch, number) in known.items()]
        if matches:
            unmatched -= await sightings.match(work.connection, stream_id=stream.id, matches=matches)
    work.sighted = len(new_ids)
    work.stream = replace(stream, unmatched=unmatched)
