from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import msgspec
import pytest

from bridge.clock import ManualClock
from bridge.core.chain import ORIGIN, link
from bridge.core.envelope import body, headers
from bridge.core.event import Kind, LogEntry, digest_of
from bridge.sim.consumer import Behaviour, Held, Mode
from tests.consuming import KEY, Running, consuming
from tests.core.test_envelope import ENTRY
from tests.logs import START


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def running(clock: ManualClock) -> AsyncIterator[Running]:
    async with consuming(clock) as made:
        yield made


def chained(count: int) -> list[LogEntry]:
    entries, chain = [], ORIGIN
    for position in range(1, count + 1):
        payload = b'{"n":%d}' % position
        digest = digest_of(payload)
        chain = link(chain, position, ENTRY.kind, 1, position * 3, digest)
        entries.append(
            replace(ENTRY, position=position, sequence=position * 3, payload=payload, digest=digest, chain=chain)
        )
    return entries


async def deliver(
    running: Running, entry: LogEntry, *, previous: int | None = None, key: bytes = KEY, age_s: int = 0
) -> int:
    content = body(entry, previous=entry.position - 1 if previous is None else previous)
    timestamp_s = int(START.timestamp()) - age_s
    given = headers(entry, content, keys=[key], timestamp_s=timestamp_s, attempt=1)
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"http://127.0.0.1:{running.port}/any/path", content=content, headers=given)
    return answer.status_code


async def test_it_holds_what_is_right_and_tells_what_it_holds(running: Running) -> None:
    for entry in chained(3):
        assert await deliver(running, entry) == 204
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.port}/control") as http:
        state = (await http.get("/state")).json()
        held = (await http.get("/held", params={"stream": "pb.events", "after": 1})).json()
    told = state["streams"]["pb.events"]
    assert (told["last"], told["held"], told["kinds"]) == (3, 3, {"event": 3})
    assert [(one["position"], one["sequence"], one["kind"]) for one in held] == [(2, 6, "event"), (3, 9, "event")]


async def test_a_wrong_key_or_an_old_timestamp_is_refused_and_counted(running: Running) -> None:
    (entry,) = chained(1)
    assert await deliver(running, entry, key=b"x" * 32) == 401
    assert await deliver(running, entry, age_s=301) == 401
    assert running.consumer.signature_failures == 2
    assert not running.consumer.records


async def test_the_same_entry_again_is_a_duplicate_and_another_at_its_place_is_out_of_order(running: Running) -> None:
    first, second = chained(2)
    for entry in (first, second, first):
        await deliver(running, entry)
    assert (running.record().duplicates, running.record().out_of_order) == (1, 0)
    await deliver(running, replace(first, chain=bytes(32)))
    assert (running.record().duplicates, running.record().out_of_order) == (1, 1)


async def test_a_jump_counts_what_it_passes_over(running: Running) -> None:
    entries = chained(6)
    await deliver(running, entries[0])
    await deliver(running, entries[4])
    assert (running.record().missing, running.record().breaks) == (3, 1)


async def test_a_jump_that_the_sender_announces_is_a_filter_and_no_loss(running: Running) -> None:
    entries = chained(6)
    await deliver(running, entries[0])
    await deliver(running, entries[4], previous=1)
    assert (running.record().missing, running.record().breaks) == (0, 0)


async def test_a_chain_or_a_digest_that_does_not_recompute_is_counted(running: Running) -> None:
    first, second = chained(2)
    await deliver(running, replace(first, chain=bytes(32)))
    assert running.record().chain_failures == 1
    await deliver(running, replace(second, digest=bytes(32)))
    assert running.record().digest_failures == 1


async def test_event_numbers_that_step_back_are_out_of_order(running: Running) -> None:
    first, second = chained(2)
    await deliver(running, first)
    await deliver(running, replace(second, sequence=2))
    assert running.record().out_of_order == 1


@pytest.mark.parametrize(
    "mode,status,held",
    [
        (Mode.FAIL, 500, 0),
        (Mode.LOSE, 500, 1),
        (Mode.UNAVAILABLE, 503, 0),
        (Mode.GONE, 410, 0),
        (Mode.TOO_MANY, 429, 0),
    ],
)
async def test_it_answers_wrongly_for_as_many_requests_as_it_was_told(
    running: Running, mode: Mode, status: int, held: int
) -> None:
    (entry,) = chained(1)
    async with httpx.AsyncClient() as http:
        told = {"mode": mode, "for_requests": 1}
        await http.post(f"http://127.0.0.1:{running.port}/control/behave", json=told)
    assert await deliver(running, entry) == status
    assert len(running.record().held) == held
    assert await deliver(running, entry) == 204
    assert len(running.record().held) == 1


async def test_it_answers_wrongly_for_as_long_as_it_was_told(running: Running, clock: ManualClock) -> None:
    (entry,) = chained(1)
    running.consumer.behave(Behaviour(Mode.FAIL, for_seconds=30))
    clock.advance(29)
    assert await deliver(running, entry) == 500
    clock.advance(1)
    assert await deliver(running, entry) == 204


async def test_a_seeded_share_of_requests_goes_wrong(clock: ManualClock) -> None:
    async with consuming(clock, fail_rate=0.5) as running:
        answers = [await deliver(running, entry) for entry in chained(40)]
    assert 8 < sum(answer == 204 for answer in answers) < 32


async def test_nonsense_with_a_good_signature_is_malformed(running: Running) -> None:
    entry = replace(ENTRY, position=1, payload=b"{")
    assert await deliver(running, entry) == 400
    assert running.consumer.malformed == 1


async def test_it_goes_on_from_its_file_and_drops_a_torn_last_line(clock: ManualClock, tmp_path: Path) -> None:
    keep = tmp_path / "held.ndjson"
    entries = chained(4)
    async with consuming(clock, keep=keep) as running:
        for entry in entries[:3]:
            await deliver(running, entry)
    keep.write_bytes(keep.read_bytes()[:-5])
    async with consuming(clock, keep=keep) as running:
        assert running.record().last == 2
        for entry in entries[2:]:
            assert await deliver(running, entry) == 204
        record = running.record()
        assert (record.last, record.chain_failures, record.breaks) == (4, 0, 0)
    assert len(keep.read_bytes().splitlines()) == 4


async def test_what_it_holds_of_a_gap_is_told_and_outlives_a_restart(clock: ManualClock, tmp_path: Path) -> None:
    keep = tmp_path / "held.ndjson"
    payload = b'{"first":1,"last":2,"reason":"lost","evidence":{}}'
    digest = digest_of(payload)
    chain = link(ORIGIN, 1, Kind.GAP, 1, None, digest)
    gap = replace(ENTRY, position=1, kind=Kind.GAP, sequence=None, payload=payload, digest=digest, chain=chain)
    async with consuming(clock, keep=keep) as running:
        assert await deliver(running, gap) == 204
    async with (
        consuming(clock, keep=keep) as running,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.port}/control") as http,
    ):
        told = (await http.get("/held", params={"stream": ENTRY.stream})).content
    held = msgspec.json.decode(told, type=list[Held])
    assert [(one.kind, one.data) for one in held] == [(Kind.GAP, payload)]
