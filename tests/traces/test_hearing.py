"""What is heard and what settles of it, through the real door on a real Postgres."""

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.errors import Overloaded, StoreRefused
from bridge.core.event import Event, Kind, Transport
from bridge.core.span import Span
from bridge.core.tracing import Remote, Sampling, of_own
from bridge.ingest import Base, Door, Finding, NewEpoch, Receipt, StreamSpec
from bridge.store.evidence import Evidence
from bridge.traces.hearing import Hearing, TracedDoor
from bridge.traces.settling import Settling
from bridge.web.hooks import Hooks, Receiver, Refusal
from tests.events import START, event
from tests.traces.keeping import STREAM, Kept, parted, trace_of

pytestmark = pytest.mark.anyio

SPECS = {
    STREAM: StreamSpec(STREAM, "pb", "venue", settle_s=2.0),
    "pb.ws": StreamSpec("pb.ws", "pb", "bridge", settle_s=2.0),
}
W3C = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SENDER = Remote(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7, is_sampled=True)


@dataclass(frozen=True, slots=True)
class Place:
    """A traced door, and what is kept of it."""

    door: Door
    hearing: Hearing
    kept: Kept
    clock: ManualClock

    async def hear(self, *numbers: int, transport: Transport = Transport.WEBHOOK, reread_below: int = 0) -> None:
        told = [event(number) for number in numbers]
        await self.door.accept(STREAM, told, transport=transport, reread_below=reread_below)


@asynccontextmanager
async def traced(engine: AsyncEngine, ratio: float = 1.0, **limits: int) -> AsyncIterator[Place]:
    clock, kept, sampling = ManualClock(START), Kept(), Sampling.of(ratio)
    hearing, settling = Hearing(sampling, kept, clock), Settling(sampling, kept, clock)
    async with TracedDoor(hearing, engine, clock, SPECS, on_commit=settling.committed, **limits) as door:
        await door.record(STREAM, Finding(1, base=Base(1, START)))
        yield Place(door, hearing, kept, clock)


@pytest.fixture
async def place(engine: AsyncEngine) -> AsyncIterator[Place]:
    async with traced(engine) as made:
        yield made


@pytest.mark.parametrize("ratio", [0.0, 1.0])
async def test_that_an_audit_reads_reaches_the_door_traced_or_not(engine: AsyncEngine, ratio: float) -> None:
    async with traced(engine, ratio) as place:
        await place.hear(1, 3)
        await place.door.record(STREAM, Finding(1, evidence=(Evidence(Span.inclusive(2, 2), "proof", {}),)))
        receipt = await place.door.accept(STREAM, [event(2)], transport=Transport.REPLAY, audit=7)
    assert receipt.late == (2,)
    async with engine.connect() as conn:
        healed = await conn.execute(text("SELECT first, last FROM gaps WHERE healed_by = 'audit'"))
        assert healed.all() == [(2, 2)]


async def test_an_event_has_a_root_that_says_where_it_stands_and_each_telling_is_below_it(place: Place) -> None:
    await place.hear(1)
    await place.hear(1, transport=Transport.REPLAY)
    [settled] = place.kept.of(trace_of(1), "settled")
    assert settled.is_root
    assert settled.span_id == trace_of(1).root_id
    named = {name: settled.attributes[f"bridge.{name}"] for name in ("stream", "position", "sequence", "kind")}
    assert named == {"stream": STREAM, "position": 1, "sequence": 1, "kind": "event"}
    told = place.kept.of(trace_of(1), "heard")
    assert [one.attributes["bridge.transport"] for one in told] == ["webhook", "replay"]
    assert [one.attributes["bridge.outcome"] for one in told] == ["fresh", "duplicate"]
    assert [one.attributes["bridge.bytes"] for one in told] == [len(event(1).payload)] * 2
    assert not any(one.is_root or one.span_id for one in told)


async def test_what_waited_behind_a_hole_says_how_long_and_what_filled_it(place: Place) -> None:
    await place.hear(1, 3)
    assert place.kept.values("settled", "bridge.sequence") == [1]
    place.clock.advance(7)
    await place.hear(2, transport=Transport.REPLAY)
    [healed] = place.kept.of(trace_of(2), "heard")
    assert (healed.attributes["bridge.transport"], healed.attributes["bridge.outcome"]) == ("replay", "fresh")
    [waited] = place.kept.of(trace_of(3), "settled")
    assert waited.ended_at - waited.began_at == timedelta(seconds=7)
    assert waited.attributes["bridge.waited_ms"] == 7000
    assert waited.attributes["bridge.completed_by"] == "replay"
    assert waited.attributes["bridge.position"] == 3


@pytest.mark.parametrize("verdict", ["proof", "loss"])
async def test_what_waited_for_a_verdict_names_it(place: Place, verdict: Literal["proof", "loss"]) -> None:
    await place.hear(1, 3)
    await place.door.record(STREAM, Finding(1, (Evidence(Span.inclusive(2, 2), verdict, {}),)))
    [waited] = place.kept.of(trace_of(3), "settled")
    assert waited.attributes["bridge.completed_by"] == verdict


async def test_an_entry_of_the_bridges_own_has_a_trace_by_its_position(place: Place) -> None:
    await place.hear(1, 3)
    await place.door.record(STREAM, Finding(1, (Evidence(Span.inclusive(2, 2), "loss", {}),)))
    [gap] = place.kept.of(of_own(STREAM, 2), "settled")
    assert gap.is_root
    assert (gap.attributes["bridge.kind"], "bridge.sequence" in gap.attributes) == (Kind.GAP.value, False)
    other = event(1, n="something else")
    await place.door.accept(STREAM, [other], transport=Transport.WEBHOOK)
    [conflict] = place.kept.of(of_own(STREAM, 4), "settled")
    assert conflict.attributes["bridge.kind"] == Kind.CONFLICT.value
    assert place.kept.of(trace_of(1), "heard")[-1].attributes["bridge.outcome"] == "conflict"


async def test_what_was_late_or_lost_is_in_the_trace_of_its_event(place: Place) -> None:
    await place.hear(1, 4)
    await place.door.record(
        STREAM,
        Finding(1, (Evidence(Span.inclusive(2, 2), "loss", {}), Evidence(Span.inclusive(3, 3), "proof", {}))),
    )
    await place.hear(2, 3)
    kinds = [place.kept.of(trace_of(number), "settled")[0].attributes["bridge.kind"] for number in (2, 3)]
    assert kinds == ["recovered", "late"]


async def test_what_a_sealed_epoch_lacked_is_in_the_trace_of_its_event(place: Place) -> None:
    await place.hear(1, 3)
    await place.door.open_epoch(STREAM, NewEpoch(1, Base(1, START + timedelta(hours=1))))
    await place.hear(2)
    [recovered] = place.kept.of(trace_of(2), "settled")
    assert recovered.attributes["bridge.kind"] == Kind.RECOVERED.value


async def test_a_telling_without_a_number_is_in_the_trace_of_its_event(place: Place) -> None:
    await place.door.accept(STREAM, [event(None, event_id="id-1", n=1)], transport=Transport.WEBHOOK)
    await place.hear(1, transport=Transport.REPLAY)
    told = place.kept.of(trace_of(1), "heard")
    assert [one.attributes["bridge.outcome"] for one in told] == ["sighting", "fresh"]
    assert len(place.kept.of(trace_of(1), "settled")) == 1


async def test_what_a_reader_only_looks_at_again_is_told_once(place: Place) -> None:
    await place.hear(1, 2, transport=Transport.REPLAY)
    await place.hear(1, 2, 3, transport=Transport.REPLAY, reread_below=3)
    assert place.kept.values("heard", "bridge.sequence") == [1, 2, 3]
    # What it finds new where it has been before became visible late.
    await place.hear(5, transport=Transport.REPLAY)
    await place.hear(4, transport=Transport.REPLAY, reread_below=6)
    assert place.kept.values("heard", "bridge.sequence") == [1, 2, 3, 5, 4]


async def test_an_event_that_the_bridge_numbers_is_traced_by_its_id(place: Place) -> None:
    await place.door.accept("pb.ws", [event(None, event_id="a", n=1)], transport=Transport.WEBSOCKET)
    assert [(one.name, one.trace) for one in place.kept.spans[-2:]] == [
        ("settled", place.kept.spans[-1].trace),
        ("heard", place.kept.spans[-1].trace),
    ]
    assert place.kept.values("heard", "bridge.outcome") == ["fresh"]
    assert place.kept.values("settled", "bridge.sequence") == [1]


async def test_a_share_of_the_events_is_traced_from_end_to_end_and_of_the_others_nothing(engine: AsyncEngine) -> None:
    taken, others = parted(range(1, 41), "id", 0.5)
    assert taken
    assert others
    async with traced(engine, 0.5) as place:
        await place.hear(*range(1, 41))
    for name in ("heard", "settled"):
        assert place.kept.values(name, "bridge.sequence") == taken


async def test_what_is_not_stored_is_told_with_the_reason(engine: AsyncEngine) -> None:
    async with traced(engine, events_waiting_max=1, batch_events_max=1) as place:
        with pytest.raises(Overloaded):
            await place.hear(1, 2)
    assert [(one.error, one.attributes["bridge.outcome"]) for one in place.kept.spans] == [
        ("Overloaded", "failed"),
        ("Overloaded", "failed"),
    ]


async def test_who_offers_an_event_hears_what_became_of_it_though_it_is_traced(place: Place) -> None:
    answer = Answering()
    await place.door.open(STREAM)
    place.door.offer(STREAM, [event(1)], answer, transport=Transport.WEBHOOK)
    async with asyncio.timeout(10):
        await answer.told.wait()
    assert answer.results == [Receipt((1,))]
    # Postgres has no room for this one.
    place.door.offer(STREAM, [event(2)._replace(key="\0")], refused := Answering(), transport=Transport.WEBHOOK)
    async with asyncio.timeout(10):
        await refused.told.wait()
    assert [type(fault) for fault in refused.faults] == [StoreRefused]
    assert [(one.error, one.attributes["bridge.outcome"]) for one in place.kept.spans if one.name == "heard"] == [
        ("", "fresh"),
        ("StoreRefused", "failed"),
    ]


class Answering:
    """Who offered an event."""

    def __init__(self) -> None:
        self.results: list[Receipt] = []
        self.faults: list[Exception] = []
        self.told = asyncio.Event()

    def done(self) -> bool:
        return bool(self.results or self.faults)

    def set_result(self, result: Receipt, /) -> None:
        self.results.append(result)
        self.told.set()

    def set_exception(self, exception: Exception, /) -> None:
        self.faults.append(exception)
        self.told.set()


def hooks_of(place: Place) -> Hooks:
    class Source:
        def parse_webhook(self, body: bytes, delivery_id: str | None) -> Event:
            return event(int(body))

    def genuine(headers: object, body: bytes, now: datetime) -> bool:
        assert isinstance(headers, list)
        return hmac.compare_digest(dict(headers)[b"signature"], b"of " + body)

    receiver = Receiver(source=Source(), stream=STREAM, genuine=genuine)
    return Hooks({"pb": receiver}, place.door, place.clock, note=place.hearing.note)


async def test_the_senders_span_is_linked_if_the_request_was_genuine(place: Place) -> None:
    hooks = hooks_of(place)
    known = hooks.receivers["/in/pb"]
    with pytest.raises(Refusal):
        hooks.read(known, [(b"signature", b"forged"), (b"traceparent", W3C)], b"1")
    assert place.hearing._noted is None
    for number in (1, 2):
        headers = [(b"signature", b"of %d" % number), (b"traceparent", W3C if number == 1 else b"nonsense")]
        told = hooks.read(known, headers, b"%d" % number)
        await place.door.accept(STREAM, [told], transport=Transport.WEBHOOK)
    assert [list(one.links) for one in place.kept.spans if one.name == "heard"] == [[SENDER], []]


async def test_a_senders_span_is_never_linked_to_another_event(place: Place) -> None:
    hooks = hooks_of(place)
    known = hooks.receivers["/in/pb"]
    hooks.read(known, [(b"signature", b"of 1"), (b"traceparent", W3C)], b"1")  # and the door is not asked
    await place.hear(2)
    assert [list(one.links) for one in place.kept.spans if one.name == "heard"] == [[]]
