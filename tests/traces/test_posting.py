"""What is said of POSTs, and what the destination is told: the real deliverer, Postgres, sockets and exporter."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import SystemClock
from bridge.core.delivery import MaybeSent, NotSent
from bridge.core.destination import DestinationPolicy, Order
from bridge.core.event import Kind, LogEntry
from bridge.core.signing import verify
from bridge.core.tracing import Sampling, of_event, of_own, parse_traceparent
from bridge.deliver import Deliverer
from bridge.egress import Egress, HttpEgress
from bridge.traces.export import Exporter
from bridge.traces.posting import LINKS_MAX, Posting
from bridge.traces.span import Sink
from tests.collecting import Collector, collecting
from tests.consuming import KEY
from tests.logs import START, append_events, append_told
from tests.posting import OK, Peer, answering, peering
from tests.traces.keeping import STREAM, Kept, parted

pytestmark = pytest.mark.anyio

NO = b"HTTP/1.1 500 no\r\nContent-Length: 10\r\n\r\nno payload"
LETTERS = ("a", "b", "c")


def dice(bits: int) -> int:
    """The same every time: only the exporter's test needs more."""
    return (1 << bits) - 1


def policy_of(peer: Peer, **chosen: object) -> DestinationPolicy:
    return DestinationPolicy("ledger", peer.url, (KEY,), allow_private=True, **chosen)  # type: ignore[arg-type]  # fields


def deliverer(
    engine: AsyncEngine, egress: Egress, sink: Sink, policy: DestinationPolicy, *, ratio: float = 1.0
) -> Deliverer:
    posting = Posting(Sampling.of(ratio), sink, dice)
    return Deliverer(engine, egress, SystemClock(), policies=[policy], jitter=lambda: 0.0, posting=posting)


def headers_of(request: bytes) -> dict[str, str]:
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def trace_at(number: int) -> object:
    return of_event(STREAM, f"event-{number}", number)


@asynccontextmanager
async def exporting(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Exporter, Collector]]:
    """The exporter of this process, which sends what it has when the block ends."""
    async with collecting() as collector:
        for name, value in collector.environment.items():
            monkeypatch.setenv(name, value)
        yield Exporter(SystemClock(), role="test"), collector


async def test_a_post_of_several_entries_is_in_the_trace_of_the_first_and_links_to_the_others(
    engine: AsyncEngine, egress: HttpEgress, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, others = parted(range(3, 13), "event", 0.5)
    assert len(taken) > 2
    assert others[0] < taken[0], "the first entry is not recorded"
    await append_events(engine, STREAM, 2, type_="UNWANTED")
    await append_events(engine, STREAM, 10)
    async with peering(answering(OK)) as peer, exporting(monkeypatch) as (exporter, collector):
        policy = policy_of(peer, batch_max=12, types=("ORDER_*",))
        await deliverer(engine, egress, exporter, policy, ratio=0.5).drain()
        await exporter.close(within_s=10)
        [span] = collector.spans
        [request] = peer.requests
    first, *rest = [of_event(STREAM, f"event-{number}", number) for number in taken]
    assert (span.trace_id, span.parent_id) == first
    assert span.links == [tuple(trace) for trace in rest]
    named = {name: span.attributes[f"bridge.{name}"] for name in ("position", "position_last", "entries")}
    assert named == {"position": 3, "position_last": 12, "entries": 10}
    assert span.attributes["bridge.entries_recorded"] == len(taken)
    told = parse_traceparent(headers_of(request)["traceparent"].encode())
    assert told is not None
    assert (told.trace_id, told.span_id, told.is_sampled) == (span.trace_id, span.span_id, True)


async def test_links_are_bounded(engine: AsyncEngine, egress: HttpEgress) -> None:
    count = LINKS_MAX + 50
    await append_events(engine, STREAM, count)
    kept = Kept()
    async with peering(answering(OK)) as peer:
        await deliverer(engine, egress, kept, policy_of(peer, batch_max=count)).drain()
    [span] = kept.spans
    assert len(span.links) == LINKS_MAX
    assert span.attributes["bridge.entries_recorded"] == count


async def test_neither_id_nor_signature_depend_on_traces(engine: AsyncEngine, egress: HttpEgress) -> None:
    await append_events(engine, STREAM, 1)
    asked = []
    for posting in (None, Posting(Sampling.of(1), Kept(), dice), Posting(Sampling.of(0), Kept(), dice)):
        async with peering(answering(NO)) as peer:
            policy = policy_of(peer, retry_first_s=0.001, retry_max_s=0.001)
            delivering = Deliverer(
                engine, egress, SystemClock(), policies=[policy], jitter=lambda: 0.0, posting=posting
            )
            while not peer.requests:
                await delivering.drain()
            asked.append(peer.requests[0])
    without, recorded, unrecorded = (headers_of(request) for request in asked)
    assert "traceparent" not in without
    assert (recorded["traceparent"][-2:], unrecorded["traceparent"][-2:]) == ("01", "00")
    assert len({one["webhook-id"] for one in (without, recorded, unrecorded)}) == 1
    assert recorded.keys() - without.keys() == {"traceparent"}
    for request in asked:
        given = headers_of(request)
        assert verify(
            (KEY,),
            webhook_id=given["webhook-id"],
            timestamp=given["webhook-timestamp"],
            signatures=given["webhook-signature"],
            body=request.partition(b"\r\n\r\n")[2],
            now_s=float(given["webhook-timestamp"]),
        )


async def test_what_a_destination_answered_and_where_it_is_are_in_no_span(
    engine: AsyncEngine, egress: HttpEgress
) -> None:
    await append_events(engine, STREAM, 1, payload=b'{"price": "s3cret"}')
    kept = Kept()
    async with peering(answering(NO)) as peer:
        await deliverer(engine, egress, kept, policy_of(peer)).drain()
    [span] = kept.spans
    assert (span.error, span.attributes["bridge.outcome"]) == ("unknown", "unknown")
    assert span.attributes["http.response.status_code"] == 500
    assert all(secret not in repr(span) for secret in ("t0ken", "127.0.0.1", "s3cret", "no payload"))


@pytest.mark.parametrize("outcome, error", [(NotSent("x", 0.5), "not_sent"), (MaybeSent("x", 0.5), "maybe_sent")])
async def test_a_post_without_an_answer_says_whether_it_may_have_arrived(
    outcome: NotSent | MaybeSent, error: str
) -> None:
    kept, entry = Kept(), entry_of(Kind.EVENT, 1)
    post = Posting(Sampling.of(1), kept, dice).entries("ledger", [entry], attempt=3, at=START)
    post.end("unknown", outcome)
    [span] = kept.spans
    assert (span.error, span.attributes["bridge.attempt"]) == (error, 3)
    assert (span.ended_at - span.began_at).total_seconds() == 0.5


def entry_of(kind: Kind, sequence: int | None) -> LogEntry:
    return LogEntry(
        STREAM, 4, kind, 1, sequence, "" if sequence is None else "a", "t", "k", None, None, START, b"", b"", b"{}"
    )  # fmt: skip


async def test_an_entry_of_the_bridges_own_is_delivered_in_its_own_trace(
    engine: AsyncEngine, egress: HttpEgress
) -> None:
    await append_events(engine, STREAM, 1)
    await append_told(engine, STREAM, Kind.GAP, b'{"first":2,"last":3}')
    kept = Kept()
    async with peering(answering(OK)) as peer:
        await deliverer(engine, egress, kept, policy_of(peer)).drain()
    assert [one.trace for one in kept.spans] == [trace_at(1), of_own(STREAM, 2)]
    assert not any(one.is_root for one in kept.spans)


async def test_a_notice_is_the_root_of_its_own_trace_and_carries_the_header(
    engine: AsyncEngine, egress: HttpEgress
) -> None:
    await append_events(engine, STREAM, 2)
    kept = Kept()
    async with peering(answering(OK)) as peer:
        await deliverer(engine, egress, kept, policy_of(peer, checkpoint_every=2)).drain()
        told = [parse_traceparent(headers_of(request)["traceparent"].encode()) for request in peer.requests]
    notices = [one for one in kept.spans if "bridge.notice" in one.attributes]
    assert [one.attributes["bridge.notice"] for one in notices] == ["bridge.checkpoint"]
    assert [one.is_root for one in notices] == [True]
    assert {one.trace_id for one in told if one} == {one.trace.trace_id for one in kept.spans}


async def test_posts_side_by_side_are_each_in_their_own_trace(engine: AsyncEngine, egress: HttpEgress) -> None:
    await append_events(engine, STREAM, 9, keys=LETTERS)
    kept = Kept()
    async with peering(answering(OK)) as peer:
        policy = policy_of(peer, order=Order.KEY, in_flight_max=3)
        async with asyncio.timeout(20):
            await deliverer(engine, egress, kept, policy).drain()
    assert {one.trace for one in kept.spans} == {trace_at(number) for number in range(1, 10)}
    assert len(kept.spans) == 9
