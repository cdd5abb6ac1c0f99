"""The read API: pages that lose nothing, bytes as they are delivered, and problems that name what is wrong."""

import hashlib
import json
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.chain import ORIGIN, link
from bridge.core.event import Kind
from bridge.core.span import Span
from bridge.store import evidence, gaps, reads
from bridge.store.engine import make_engine
from bridge.store.evidence import Evidence
from bridge.store.reads import Read
from tests.logs import START, append_events, append_told, make_stream
from tests.web.serving import reading

pytestmark = pytest.mark.anyio

ODD = b'{ "price" : 1.10,\n "n":1e3,"\xc3\xa9":"\\u0000" }'


async def test_streams_are_told_as_they_stand(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 2)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE streams SET base = 1, frontier = 3, head = 7"))
    async with reading(engine) as client:
        answer = await client.get("/v1/streams")
    [stream] = answer.json()["streams"]
    assert (stream["stream"], stream["position"], stream["frontier"], stream["lag"]) == ("pb.events", 2, 3, 5)
    assert len(bytes.fromhex(stream["chain"])) == 32


async def test_the_log_is_read_page_by_page_as_it_is_delivered(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 60, payload=ODD)
    await append_told(engine, "pb.events", Kind.GAP, b'{"first":61,"last":61,"reason":"lost"}')
    entries, after = [], 0
    async with reading(engine) as client:
        while True:
            answer = await client.get("/v1/streams/pb.events/log", params={"after": after, "limit": 25})
            page = answer.json()
            if not page["entries"]:
                break
            entries += page["entries"]
            after = page["next"]
            assert answer.content.count(b'"data":' + ODD + b"}") == sum(e["kind"] == "event" for e in page["entries"])
    assert after == 61
    assert [(entry["position"], entry["previous"]) for entry in entries] == [(n, n - 1) for n in range(1, 62)]
    chain = ORIGIN
    for entry in entries:
        digest = bytes.fromhex(entry["digest"])
        chain = link(chain, entry["position"], Kind(entry["kind"]), entry["epoch"], entry["sequence"], digest)
        assert entry["chain"] == chain.hex()
    assert entries[0]["digest"] == hashlib.sha256(ODD).hexdigest()
    assert entries[-1]["type"] == "bridge.gap"


async def test_a_page_holds_no_more_than_the_settings_allow(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 60)
    async with reading(engine) as client:
        page = (await client.get("/v1/streams/pb.events/log")).json()
        assert (len(page["entries"]), page["next"]) == (50, 50)
        assert (await client.get("/v1/streams/pb.events/log?limit=51")).status_code == 400


async def test_gaps_are_read_page_by_page_and_open_ones_alone(engine: AsyncEngine) -> None:
    stream = await make_stream(engine, "pb.events")
    async with engine.begin() as connection:
        await gaps.open_all(
            connection,
            stream_id=stream.id,
            epoch=1,
            found=[(Span.inclusive(first, first), START) for first in (3, 5, 7)],
            deadline_at=START + timedelta(hours=23),
            now=START,
        )
        await gaps.close_passed(connection, stream_id=stream.id, epoch=1, frontier=4, now=START)
    async with reading(engine) as client:
        first = (await client.get("/v1/streams/pb.events/gaps?limit=2")).json()
        rest = (await client.get("/v1/streams/pb.events/gaps", params={"after": first["next"]})).json()
        left = (await client.get("/v1/streams/pb.events/gaps?open=true")).json()
    assert [(gap["first"], gap["state"]) for gap in first["gaps"]] == [(3, "void"), (5, "open")]
    assert [gap["first"] for gap in rest["gaps"]] == [7]
    assert [gap["first"] for gap in left["gaps"]] == [5, 7]
    assert left["gaps"][0]["deadline_at"] == "2026-02-19T22:00:00.130000Z"


@pytest.mark.parametrize(
    "query, named",
    [
        ("after=-1", "after"),
        ("after=x", "after"),
        ("after=", "after"),
        ("after=9223372036854775808", "after"),
        ("after=" + "9" * 5000, "after"),
        ("after=%D9%A3", "after"),
        ("limit=0", "limit"),
        ("limit=51", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limt=1", "limt"),
        ("open=maybe", "open"),
    ],
)
async def test_a_parameter_that_cannot_be_used_is_named(engine: AsyncEngine, query: str, named: str) -> None:
    await make_stream(engine, "pb.events")
    async with reading(engine) as client:
        answer = await client.get(f"/v1/streams/pb.events/gaps?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["parameter"] == named
    assert answer.json()["detail"].startswith(f"{named}: ")


@pytest.mark.parametrize("path", ["log", "gaps"])
@pytest.mark.parametrize("name", ["no.such", "%00", "x" * 3000])
async def test_a_stream_that_is_not_there_is_not_found(engine: AsyncEngine, name: str, path: str) -> None:
    async with reading(engine) as client:
        answer = await client.get(f"/v1/streams/{name}/{path}")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "there is no such stream"


async def test_every_wrong_way_in_is_a_problem_document(engine: AsyncEngine) -> None:
    async with reading(engine) as client:
        for method, path, status in (
            ("GET", "/v1/nowhere", 404),
            ("POST", "/v1/streams", 405),
            ("DELETE", "/healthz", 405),
        ):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path


@pytest.mark.parametrize("path", ["/v1/streams/pb.events/gaps/", "/streams/pb.events/log/", "/nowhere/"])
async def test_a_number_that_is_longer_than_any_is_no_fault_of_ours(engine: AsyncEngine, path: str) -> None:
    async with reading(engine) as client:
        assert (await client.get(f"{path}{'9' * 5_000}")).status_code == 414
        assert (await client.get(f"{path}{'9' * 1_000}")).status_code == 404


async def test_callers_without_the_right_to_read_learn_nothing(engine: AsyncEngine) -> None:
    async with reading(engine, token="right") as client:
        assert (await client.get("/v1/streams")).status_code == 401
        refused = await client.get("/v1/streams/no.such/log", headers={"Authorization": "Bearer wrong"})
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert (await client.get("/v1/streams", headers={"Authorization": "Bearer right"})).status_code == 200
    async with reading(engine, peer="203.0.113.9") as client:
        assert (await client.get("/v1/streams")).status_code == 403
    async with reading(engine) as client:
        assert (await client.get("/v1/streams", headers={"X-Forwarded-For": "127.0.0.1"})).status_code == 403
        assert (await client.get("/v1/streams")).status_code == 200


async def test_a_database_that_is_away_is_answered_503_with_a_time_to_come_back(free_port: int) -> None:
    gone = make_engine(f"postgresql+asyncpg://bridge@127.0.0.1:{free_port}/bridge")
    async with reading(gone) as client:
        answer = await client.get("/v1/streams")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["title"] == "Service Unavailable"
    await gone.dispose()


async def test_a_log_that_is_broken_is_told_and_not_served(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 3)
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM log WHERE position = 2"))
    async with reading(engine) as client:
        answer = await client.get("/v1/streams/pb.events/log")
    assert answer.status_code == 500
    assert "has not every entry" in answer.json()["detail"]


async def test_what_is_told_of_the_bridges_own_entries_is_json_too(engine: AsyncEngine) -> None:
    await make_stream(engine, "pb.events")
    await append_told(engine, "pb.events", Kind.EPOCH, b'{"epoch":2}')
    async with reading(engine) as client:
        [entry] = json.loads((await client.get("/v1/streams/pb.events/log")).content)["entries"]
    assert (entry["kind"], entry["data"], entry["sequence"], entry["transport"]) == (
        "epoch",
        {"epoch": 2},
        None,
        None,
    )


async def test_one_gap_is_read_with_its_evidence_and_its_reads_page_by_page(engine: AsyncEngine) -> None:
    stream, other = await make_stream(engine, "pb.events"), await make_stream(engine, "pb.other")
    async with engine.begin() as connection:
        found = [(Span.inclusive(5, 7), START)]
        await gaps.open_all(connection, stream_id=stream.id, epoch=1, found=found, deadline_at=None, now=START)
        proofs = [Evidence(Span.inclusive(first, first + 2), "proof", {"rows": first}) for first in (1, 4, 7, 10)]
        await evidence.insert(connection, stream_id=stream.id, epoch=1, found=proofs, now=START)
        await evidence.insert(connection, stream_id=other.id, epoch=1, found=proofs, now=START)
        made = [Read(START + timedelta(seconds=n), "proof", reached=n + 1) for n in range(10)]
        await reads.insert(connection, stream_id=stream.id, epoch=1, made=made)
        gap_id = (await gaps.listing(connection, stream_id=stream.id))[0].id
    async with reading(engine) as client:
        one = f"/v1/streams/pb.events/gaps/{gap_id}"
        page = (await client.get(one, params={"limit": 4})).json()
        rest = (await client.get(one, params={"limit": 4, "before": page["next"]})).json()
        none = (f"other/gaps/{gap_id}", "events/gaps/99", f"events/gaps/{'9' * 19}", f"events/gaps/{'9' * 1000}")
        missing = [await client.get(f"/v1/streams/pb.{path}") for path in none]
    assert (page["gap"]["first"], page["gap"]["last"], page["gap"]["state"]) == (5, 7, "open")
    assert [(item["first"], item["detail"]) for item in page["evidence"]] == [(4, {"rows": 4}), (7, {"rows": 7})]
    assert [item["reached"] for item in page["reads"]] == [10, 9, 8, 7]
    assert ([item["reached"] for item in rest["reads"]], rest["next"]) == ([6, 5], None)
    assert [answer.status_code for answer in missing] == [404] * 4
