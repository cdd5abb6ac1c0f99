"""Epochs: sealing one life of a stream's numbering, and beginning the next."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.core.event import Kind
from bridge.core.span import Span
from bridge.ingest.settling import settle_stream
from bridge.ingest.submission import NewEpoch
from bridge.store import entries, events
from bridge.store.entries import Entry
from bridge.store.evidence import Evidence
from bridge.store.streams import Stream


async def open_epoch(connection: AsyncConnection, stream: Stream, epoch: NewEpoch, now: datetime) -> Stream:
    """Seal the present epoch and begin the next. What the sealed one still missed is lost, and told so."""
    if stream.epoch != epoch.sealing or stream.frontier is None:
        return stream
    frontier = stream.frontier
    stream = replace(stream, suspect_at=None, mismatches=0)
    if stream.head >= frontier:
        rest = Evidence(Span.inclusive(frontier, stream.head), "loss", {"why": "the epoch was sealed"})
        found: tuple[Evidence, ...] = (rest,)
        unsettled = True
        while unsettled:
            settled = await settle_stream(connection, stream, fresh={}, found=found, walk=True, now=now)
            stream, unsettled, found = settled.stream, settled.unsettled, ()
    told = {"sealed": stream.epoch, "head": stream.head, "epoch": stream.epoch + 1, "base": epoch.base.number}
    stream = replace(
        stream,
        epoch=stream.epoch + 1,
        base=epoch.base.number,
        frontier=epoch.base.number,
        head=epoch.base.number - 1,
        anchored_at=epoch.base.anchored_at,
        stalled_at=None,
    )
    position, chain = await entries.append(
        connection,
        stream_id=stream.id,
        epoch=stream.epoch,
        position=stream.position,
        chain=stream.chain,
        entries=[Entry.told(Kind.EPOCH, json.dumps(told, separators=(",", ":")).encode())],
        appended_at=now,
    )
    return replace(stream, position=position, chain=chain)


async def drop_sealed(connection: AsyncConnection, stream: Stream, first: dict[int, Any]) -> None:
    """Take late repeats of the sealed epoch's events out of ``first``: they are no news of this one."""
    if stream.epoch == 1:
        return
    sealed = await events.stored(connection, stream_id=stream.id, epoch=stream.epoch - 1, sequences=sorted(first))
    for number, stored in sealed.items():
        if first[number].event.event_id == stored.event_id:
            del first[number]
