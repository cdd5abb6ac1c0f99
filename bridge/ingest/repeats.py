"""Numbers that are told again: the same content is a duplicate, other content a conflict, many in a row an alarm."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bridge.core.content import Content, content_digest, same_content
from bridge.core.event import Event, Kind, Transport
from bridge.ingest.submission import StreamSpec
from bridge.store import events, variants
from bridge.store.direct import Executes
from bridge.store.entries import Entry
from bridge.store.events import Stored
from bridge.store.streams import Stream
from bridge.store.variants import Variant


@dataclass(slots=True)
class Outcome:
    """What comparing brought to light."""

    conflicts: set[int] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)
    held: int = 0


async def compare(
    connection: Executes,
    stream: Stream,
    spec: StreamSpec,
    repeated: Sequence[tuple[Event, Transport]],
    now: datetime,
    *,
    decided: bool,
) -> tuple[Stream, Outcome]:
    """Hold ``repeated`` against what is stored. The first telling stays; a new variant is kept and told.

    Mismatch after mismatch below the frontier is no conflict any more but a suspected new epoch: from the
    one that reaches ``suspect_after`` on, events are held until the source was asked. ``decided`` says that it
    just was: then they are conflicts and no more.
    """
    outcome = Outcome()
    if not repeated:
        return stream, outcome
    numbers = sorted({event.sequence for event, _ in repeated if event.sequence is not None})
    known = await events.stored(connection, stream_id=stream.id, epoch=stream.epoch, sequences=numbers)
    mismatches, other = stream.mismatches, []
    for event, transport in repeated:
        if event.sequence is None:
            continue
        same = await _same(connection, stream, event, known[event.sequence])
        if stream.frontier is not None and event.sequence < stream.frontier:
            mismatches = 0 if same else mismatches + 1
        if not same:
            outcome.conflicts.add(event.sequence)
            other.append(Variant(event, transport, content_digest(_content(event))))
    suspect = mismatches >= spec.suspect_after and not decided
    fresh = await variants.keep(
        connection, stream_id=stream.id, epoch=stream.epoch, variants=other, received_at=now, held=suspect
    )
    if suspect:
        outcome.held = len(other)
        return replace(stream, mismatches=mismatches, suspect_at=now), outcome
    outcome.entries = [_conflict(variant, known) for variant in fresh]
    return replace(stream, mismatches=0 if decided else mismatches), outcome


async def forgotten(connection: Executes, stream: Stream, told: Iterable[int]) -> set[int]:
    """Which of the numbers ``told`` were told so long ago that they are stored no longer.

    What retention has deleted is a repetition all the same. It cannot be compared any more, and is passed over.
    """
    old = sorted(number for number in told if stream.is_forgotten(stream.epoch, number))
    if not old:
        return set()
    kept = await events.stored(connection, stream_id=stream.id, epoch=stream.epoch, sequences=old)
    return set(old) - kept.keys()


def doubted(stream: Stream, spec: StreamSpec, forgotten: Iterable[Event], now: datetime) -> Stream:
    """The stream, suspected where too many events that carry no time come under ``forgotten`` numbers.

    One that carries its time shows by that whether it is an old one. Of the others nobody can tell: they may be the
    first of a numbering that began anew, and to pass over those would lose them.
    """
    mismatches = stream.mismatches + sum(event.occurred_at is None for event in forgotten)
    if mismatches == stream.mismatches:
        return stream
    suspect_at = stream.suspect_at or (now if mismatches >= spec.suspect_after else None)
    return replace(stream, mismatches=mismatches, suspect_at=suspect_at)


async def hold(connection: Executes, stream: Stream, heard: Sequence[tuple[Event, Transport]], now: datetime) -> int:
    """Keep events that may belong to another epoch until that is decided; returns how many."""
    kept = [Variant(event, transport, content_digest(_content(event))) for event, transport in heard]
    await variants.keep(
        connection, stream_id=stream.id, epoch=stream.epoch, variants=kept, received_at=now, held=True
    )
    return len(kept)


async def _same(connection: Executes, stream: Stream, event: Event, stored: Stored) -> bool:
    assert event.sequence is not None
    if event.digest == stored.digest:
        payload = event.payload
    else:
        payload = await events.payload(connection, stream_id=stream.id, epoch=stream.epoch, sequence=event.sequence)
    return same_content(_content(event), Content(stored.type, stored.key, payload))


def _content(event: Event) -> Content:
    return Content(event.type, event.key, event.payload)


def _conflict(variant: Variant, known: dict[int, Stored]) -> Entry:
    assert variant.event.sequence is not None
    told = {
        "sequence": variant.event.sequence,
        "kept": known[variant.event.sequence].digest.hex(),
        "variant": variant.event.digest.hex(),
        "transport": variant.transport.value,
    }
    return Entry.told(Kind.CONFLICT, json.dumps(told, separators=(",", ":")).encode())
