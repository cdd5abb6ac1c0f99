"""Digests that two sides can compare, and what a stream is proven to be."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.event import Kind
from bridge.core.span import Span
from bridge.store import digests, evidence, gaps
from bridge.store.evidence import Evidence
from tests.consumer.test_page import PAGE, blocks
from tests.followed import EXECUTION, TRADES, declare, tell, turn
from tests.logs import START, append_events, append_told, make_stream
from tests.web.serving import reading
from tests.web.test_pull import change, forget

pytestmark = pytest.mark.anyio

DIGEST = "/v1/streams/pb.events/digest"
COVERAGE = "/v1/streams/pb.events/coverage"


async def get(client: httpx.AsyncClient, path: str = DIGEST, /, **query: Any) -> Any:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def content_of(held: dict[tuple[int, int], str]) -> tuple[int, str]:
    """What a consumer computes from the digest of each (epoch, number), as the page for consumers shows it."""
    defined: dict[str, Any] = {}
    exec(compile(blocks("python")[3], str(PAGE), "exec"), defined)
    count, digest = defined["content"]((*key, digest) for key, digest in held.items())
    return int(count), str(digest)


async def fill(engine: AsyncEngine) -> dict[tuple[int, int], str]:
    """Twenty events with content of their own and a gap among them; what a consumer keeps of the events."""
    for number in range(1, 21):
        if number == 8:
            await append_told(engine, "pb.events", Kind.GAP, b'{"first":99}')
        else:
            await append_events(engine, "pb.events", 1, payload=b'{"n":%d}' % number)
    async with reading(engine) as client:
        entries = (await client.get("/v1/streams/pb.events/log")).json()["entries"]
    assert len(entries) == 20
    return {(entry["epoch"], entry["sequence"]): entry["digest"] for entry in entries if entry["sequence"]}


async def test_a_consumer_computes_the_same_digest_from_what_it_keeps(engine: AsyncEngine) -> None:
    held = await fill(engine)
    async with reading(engine) as client:
        whole = await get(client)
        numbers = await get(client, by="sequence", **{"from": 5, "to": 12})
        none = await get(client, by="sequence", epoch=2)
    assert (whole["from"], whole["to"], whole["count"]) == (1, 20, 20)
    assert (whole["content"]["count"], whole["content"]["digest"]) == content_of(held)
    some = {key: digest for key, digest in held.items() if 5 <= key[1] <= 12}
    assert (numbers["content"]["count"], numbers["content"]["digest"]) == content_of(some)
    assert (numbers["chain"], numbers["count"], numbers["content"]["next"]) == (None, None, None)
    assert (none["content"]["count"], none["content"]["digest"]) == (0, "0" * 64)


async def test_the_chain_at_both_ends_is_that_of_the_log(engine: AsyncEngine) -> None:
    await fill(engine)
    async with reading(engine) as client:
        entries = (await client.get("/v1/streams/pb.events/log")).json()["entries"]
        part = await get(client, **{"from": 4, "to": 9})
        begin = await get(client, to=1)
        beyond = await get(client, **{"from": 21, "to": 30})
    assert (part["chain_before"], part["chain"]) == (entries[2]["chain"], entries[8]["chain"])
    assert (part["count"], part["content"]["count"]) == (6, 5)
    assert (begin["chain_before"], begin["chain"]) == ("0" * 64, entries[0]["chain"])
    assert (beyond["count"], beyond["to"], beyond["chain"]) == (0, 20, entries[-1]["chain"])


async def test_comparing_and_halving_finds_the_one_event_that_differs(engine: AsyncEngine) -> None:
    held = await fill(engine)
    held[1, 13] = "00" * 32
    low, high, asked = 1, 20, 0
    async with reading(engine) as client:
        while low < high:
            middle, asked = (low + high) // 2, asked + 1
            theirs = (await get(client, by="sequence", **{"from": low, "to": middle}))["content"]
            ours = content_of({key: digest for key, digest in held.items() if low <= key[1] <= middle})
            low, high = (middle + 1, high) if (theirs["count"], theirs["digest"]) == ours else (low, middle)
    assert (low, asked <= 5) == (13, True)


@pytest.mark.parametrize("by", ["position", "sequence"])
async def test_a_long_stretch_comes_in_parts_that_add_up(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    held = await fill(engine)
    for name in ("by_position", "by_sequence"):
        monkeypatch.setitem(getattr(digests, name).__kwdefaults__, "limit", 7)
    total = count = parts = 0
    begin: int | None = 1
    async with reading(engine) as client:
        while begin is not None:
            content = (await get(client, by=by, **{"from": begin, "to": 20}))["content"]
            total, count, parts = total ^ int(content["digest"], 16), count + content["count"], parts + 1
            begin = content["next"]
    assert (count, f"{total:064x}", parts) == (*content_of(held), 3)


async def test_a_digest_begins_at_what_is_left(engine: AsyncEngine) -> None:
    await fill(engine)
    async with reading(engine) as client:
        before = await get(client, **{"from": 6})
        await forget(engine, 5)
        assert await get(client) == before
        gone = await client.get(DIGEST, params={"from": 5})
    assert (gone.status_code, gone.json()["oldest"]) == (410, 6)


@pytest.mark.parametrize(
    "query, named",
    [("from=0", "from"), ("from=3&to=2", "to"), ("by=time", "by"), ("epoch=1", "epoch"), ("after=1", "after")],
)
async def test_a_parameter_of_a_digest_that_cannot_be_used_is_named(
    engine: AsyncEngine, query: str, named: str
) -> None:
    await make_stream(engine, "pb.events")
    async with reading(engine) as client:
        answer = await client.get(f"{DIGEST}?{query}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, named)


async def lose(engine: AsyncEngine) -> None:
    """Numbers 1 to 99 are proven or lost (20-29, 50), 110 to 119 proven beyond a hole that is still asked for."""
    stream = await make_stream(engine, "pb.events")
    await append_events(engine, "pb.events", 25)
    await change(engine, "UPDATE streams SET base = 1, frontier = 100, head = 140")
    told = [
        Evidence(Span.inclusive(1, 19), "proof", {}),
        Evidence(Span.inclusive(20, 29), "loss", {"why": "expired"}),
        Evidence(Span.inclusive(50, 50), "loss", {"why": "sealed"}),
        Evidence(Span.inclusive(110, 119), "proof", {}),
    ]
    async with engine.begin() as connection:
        await evidence.insert(connection, stream_id=stream.id, epoch=1, found=told, now=START)
        await gaps.open_all(
            connection,
            stream_id=stream.id,
            epoch=1,
            found=[(Span.inclusive(100, 109), START)],
            deadline_at=START + timedelta(hours=23),
            now=START,
        )


def spans(told: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(one["first"], one["last"]) for one in told]


async def test_coverage_tells_what_is_proven_what_is_lost_and_what_is_asked_for_until_when(
    engine: AsyncEngine,
) -> None:
    await lose(engine)
    async with reading(engine) as client:
        told = await get(client, COVERAGE)
    assert spans(told["proven"]) == [(1, 19), (30, 49), (51, 99), (110, 119)]
    assert spans(told["lost"]) == [(50, 50), (20, 29)]
    assert [(one["found"], one["detail"]) for one in told["lost"]] == [
        (0, {"why": "sealed"}),
        (6, {"why": "expired"}),
    ]
    assert spans(told["gaps"]) == [(100, 109)]
    assert told["gaps"][0]["deadline_at"] == "2026-02-19T22:00:00.130000Z"
    assert (told["axis"], told["base"], told["frontier"], told["head"]) == ("sequence", 1, 100, 140)
    assert (told["since"], told["next"]) == (1, None)


async def test_coverage_with_many_losses_comes_in_parts(engine: AsyncEngine) -> None:
    await lose(engine)
    async with reading(engine) as client:
        first = await get(client, COVERAGE, limit=1)
        second = await get(client, COVERAGE, limit=1, below=first["next"])
        third = await get(client, COVERAGE, limit=1, below=second["next"])
    assert (spans(first["proven"]), spans(first["lost"])) == ([(51, 99), (110, 119)], [(50, 50)])
    assert (spans(second["proven"]), spans(second["lost"])) == ([(30, 49)], [(20, 29)])
    assert (spans(third["proven"]), spans(third["lost"]), third["next"]) == ([(1, 19)], [], None)


async def test_coverage_of_a_stream_without_numbers_is_in_time_and_tells_what_could_go_unnoticed(
    engine: AsyncEngine,
) -> None:
    await tell(engine, await declare(engine, EXECUTION), turn(10, 20, "lost"))
    await tell(engine, await declare(engine, TRADES), turn(60, 70))
    async with reading(engine) as client:
        fills = await get(client, "/v1/streams/by.execution/coverage")
        trades = await get(client, f"/v1/streams/{TRADES.stream_of('by')}/coverage")
        wrong = await client.get("/v1/streams/by.execution/coverage?below=3")
    assert (fills["axis"], fills["frontier"]) == ("time", None)
    assert [(one["from"], one["to"]) for one in fills["lost"]] == [("2026-02-18T23:00:10Z", "2026-02-18T23:00:20Z")]
    assert [one["to"] for one in fills["proven"]] == ["2026-02-18T23:00:10Z", fills["settled_until"]]
    assert [(one["from"], one["deadline_at"]) for one in trades["gaps"]] == [("2026-02-18T23:01:00Z", None)]
    assert trades["limits"]["unnoticed"] == TRADES.unnoticed
    assert trades["limits"]["reach"] == TRADES.reach
    assert (wrong.status_code, wrong.json()["parameter"]) == (400, "below")
