"""Epochs: sealing one life of a stream's numbering, and beginning the next."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bridge.core.event import Event, Kind, Transport
from bridge.core.span import Span
from bridge.ingest.batch import Telling
from bridge.ingest.settling import settle_stream
from bridge.ingest.submission import NewEpoch
from bridge.store import events, evidence
from bridge.store.direct import Executes
from bridge.store.entries import Entry
from bridge.store.evidence import Evidence
from bridge.store.streams import Stream


async def open_epoch(
    connection: Executes, stream: Stream, epoch: NewEpoch, now: datetime
) -> tuple[Stream, list[Entry]]:
    """Seal the present epoch and begin the next. What the sealed one still missed is lost, and told so."""
    entries: list[Entry] = []
    if stream.epoch != epoch.sealing or stream.frontier is None:
        return stream, entries
    frontier = stream.frontier
    stream = replace(stream, suspect_at=None, mismatches=0)
    if stream.head >= frontier:
        rest = Evidence(Span.inclusive(frontier, stream.head), "loss", {"why": "the epoch was sealed"})
        found: tuple[Evidence, ...] = (rest,)
        unsettled = True
        while unsettled:
            settled = await settle_stream(connection, stream, fresh={}, found=found, walk=True, now=now)
            stream, unsettled, found = settled.stream, settled.unsettled, ()
            entries += [replace(entry, epoch=epoch.sealing) for entry in settled.entries]
    told = {"sealed": stream.epoch, "head": stream.head, "epoch": stream.epoch + 1, "base": epoch.base.number}
    stream = replace(
        stream,
        epoch=stream.epoch + 1,
        base=epoch.base.number,
        frontier=epoch.base.number,
        head=epoch.base.number - 1,
        epoch_began_at=epoch.base.anchored_at,
        anchored_at=epoch.base.anchored_at,
        stalled_at=None,
    )
    entries.append(Entry.told(Kind.EPOCH, json.dumps(told, separators=(",", ":")).encode()))
    return stream, entries


def is_stranger(stream: Stream, event: Event) -> bool:
    """Whether a number that was passed is told of an event younger than the newest one passed.

    No venue hands out numbers backwards: it restarted them, and the stream is to be frozen until it was asked.
    """
    if stream.frontier is None or event.sequence is None or event.sequence >= stream.frontier:
        return False
    if stream.anchored_at is None or event.occurred_at is None:
        return False
    return event.occurred_at > stream.anchored_at + timedelta(seconds=stream.settle_s)


def take_sealed(stream: Stream, first: dict[int, Telling]) -> list[tuple[Event, Transport]]:
    """Take tellings of events older than the present epoch out of ``first``: they are the sealed one's."""
    began_at = stream.epoch_began_at
    if began_at is None:
        return []
    older = [number for number, telling in first.items() if (telling.event.occurred_at or began_at) < began_at]
    return [(telling.event, telling.transport) for telling in map(first.pop, older)]


async def recover(
    connection: Executes, stream: Stream, heard: Sequence[tuple[Event, Transport]], now: datetime
) -> list[Entry]:
    """Store events of the sealed epoch; what is new there had been told as lost, and is recovered, or it is late."""
    rows = sorted(heard, key=lambda row: row[0].sequence or 0)
    sealed = stream.epoch - 1
    fresh = await events.insert(connection, stream_id=stream.id, epoch=sealed, heard=rows, received_at=now)
    if not fresh:
        return []
    lost = await evidence.losses(connection, stream_id=stream.id, epoch=sealed, lowest=min(fresh), highest=max(fresh))
    await evidence.refute(connection, stream_id=stream.id, epoch=sealed, sequences=sorted(fresh), now=now)
    return [
        Entry(
            Kind.RECOVERED if event.sequence in lost else Kind.LATE,
            event.sequence, event.digest, epoch=sealed, event_id=event.event_id, received_at=now,
        )
        for event, _ in rows
        if event.sequence in fresh
    ]  # fmt: skip


async def drop_sealed(connection: Executes, stream: Stream, first: dict[int, Telling]) -> None:
    """Take repeats of the sealed epoch's events that carry no time out of ``first``: they are no news of this one."""
    untimed = [number for number, telling in first.items() if telling.event.occurred_at is None]
    if stream.epoch == 1 or not untimed:
        return
    sealed = await events.stored(connection, stream_id=stream.id, epoch=stream.epoch - 1, sequences=sorted(untimed))
    for number, stored in sealed.items():
        if first[number].event.event_id == stored.event_id:
            del first[number]
