"""Destinations by HTTP: made, looked at, changed, paused, rotated, tested and forgotten."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.delivery import Answered, NotSent
from bridge.operate.faults import Conflict
from bridge.store.vault import new_key
from tests.logs import START, append_events
from tests.web.operators import FILE_SECRET, URL, of_the_file, operated

LEDGER = {"name": "ledger", "url": URL}


async def everything(engine: AsyncEngine) -> str:
    """All that the database keeps of destinations, as text."""
    async with engine.connect() as conn:
        tables = ("destinations", "audit", "idempotency", "attempts")
        return "".join([str((await conn.execute(text(f"SELECT * FROM {table}"))).all()) for table in tables])


async def test_a_destination_is_made_and_its_secret_is_told_once_and_kept_sealed(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge:
        made = await bridge.call("POST", "/destinations", {**LEDGER, "batch_max": 5}, status=201)
        shown = await bridge.call("GET", "/destinations/ledger")
        [listed] = (await bridge.call("GET", "/destinations"))["destinations"]
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made == shown
    assert (shown["origin"], shown["state"], shown["version"]) == ("api", "active", 1)
    assert (shown["policy"]["batch_max"], shown["policy"]["order"]) == (5, "stream")
    assert shown["url"] == "https://ledger.example/hooks/in"
    assert listed["name"] == "ledger"
    kept = await everything(engine)
    assert secret not in kept
    assert "t0ken" not in kept


async def test_what_the_api_made_is_delivered_to_with_its_own_secret(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 3)
    async with operated(engine) as bridge:
        made = await bridge.call("POST", "/destinations", LEDGER, status=201)
        assert await bridge.deliver() == [1, 2, 3]
        assert all(one.is_signed_with(made["secret"]) for one in bridge.post.sent)
        assert {(one.url, one.allow_private) for one in bridge.post.sent} == {(URL, False)}
        health = (await bridge.call("GET", "/destinations/ledger"))["health"]
    assert (health["behind"], health["failing_since"], health["oldest_undelivered_at"]) == (0, None, None)


@pytest.mark.parametrize(
    "given, field",
    [
        ({"name": "Ledger"}, "name"),
        ({"name": None}, "name"),
        ({"url": "http://ledger.example/"}, "url"),
        ({"url": "https://user:hunter2@ledger.example/"}, "url"),
        ({"url": None}, "url"),
        ({"batch_max": 0}, "batch_max"),
        ({"in_flight_max": 4}, ""),
        ({"order": "any"}, "order"),
        ({"allow_private": True}, "allow_private"),
        ({"retries": 3}, "retries"),
        ({"secret": "whsec_short"}, "secret[0]"),
        ({"streams": []}, "streams"),
        ({"types": ["a\0b"]}, "types"),
        ({"timeout_s": 1e300}, "timeout_s"),
    ],
)
async def test_what_cannot_be_meant_is_named_field_by_field(
    engine: AsyncEngine, given: dict[str, Any], field: str
) -> None:
    async with operated(engine) as bridge:
        told = await bridge.call("POST", "/destinations", {**LEDGER, **given}, status=422)
        assert [problem["field"] for problem in told["problems"]] == [field]
        assert (await bridge.call("GET", "/destinations"))["destinations"] == []
    assert "hunter2" not in told["detail"]


async def test_without_a_key_nothing_is_made_and_it_is_told_why(engine: AsyncEngine) -> None:
    async with operated(engine, keys=(), file=of_the_file()) as bridge:
        told = await bridge.call("POST", "/destinations", LEDGER, status=409)
        assert "bridge secrets new-key" in told["detail"]
        await append_events(engine, "pb.events", 1)
        assert await bridge.deliver() == [1], "those of the file need no key"


async def test_a_change_takes_effect_and_is_counted(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 2)
    async with operated(engine) as bridge:
        made = await bridge.call("POST", "/destinations", {**LEDGER, "streams": ["none.*"]}, status=201)
        assert await bridge.deliver() == []
        changed = await bridge.call(
            "PATCH", "/destinations/ledger", {"streams": ["pb.*"], "url": "https://other.example/"}
        )
        assert (changed["version"], changed["url"]) == (2, "https://other.example/")
        assert await bridge.deliver() == [1, 2]
        assert {one.url for one in bridge.post.sent} == {"https://other.example/"}
        assert bridge.post.sent[0].is_signed_with(made["secret"])
        await bridge.call("PATCH", "/destinations/ledger", {}, status=422)
        await bridge.call("PATCH", "/destinations/ledger", {"secret": FILE_SECRET}, status=422)
        await bridge.call("PATCH", "/destinations/nobody", {"batch_max": 2}, status=404)


async def test_a_paused_one_is_not_delivered_to_until_it_is_resumed(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 2)
    async with operated(engine) as bridge:
        await bridge.call("POST", "/destinations", LEDGER, status=201)
        paused = await bridge.call("POST", "/destinations/ledger/pause", {"reason": "a move"})
        assert (paused["state"], paused["reason"]) == ("paused", "a move")
        await bridge.call("POST", "/destinations/ledger/pause", status=409)
        assert await bridge.deliver() == []
        assert (await bridge.call("POST", "/destinations/ledger/resume"))["state"] == "active"
        await bridge.call("POST", "/destinations/ledger/resume", status=409)
        assert await bridge.deliver() == [1, 2]


async def test_one_that_failed_is_tried_at_once_when_it_is_resumed(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 1)
    async with operated(engine) as bridge:
        await bridge.call("POST", "/destinations", {**LEDGER, "retry_first_s": 60}, status=201)
        accepting, bridge.post.answer = bridge.post.answer, Answered(500, 3600.0, "no", 0.001)
        await bridge.deliver()
        await bridge.call("POST", "/destinations/ledger/pause")
        bridge.post.answer = accepting
        await bridge.call("POST", "/destinations/ledger/resume")
        assert await bridge.deliver() == [1]


async def test_one_that_answers_410_is_stopped_and_can_be_resumed(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 1)
    async with operated(engine) as bridge:
        await bridge.call("POST", "/destinations", LEDGER, status=201)
        accepting, bridge.post.answer = bridge.post.answer, Answered(410, None, "gone", 0.001)
        await bridge.deliver()
        stopped = await bridge.call("GET", "/destinations/ledger")
        assert (stopped["state"], stopped["reason"]) == ("stopped", "answered 410: gone")
        bridge.post.answer = accepting
        await bridge.call("POST", "/destinations/ledger/resume")
        assert await bridge.deliver() == [1]


async def test_for_the_overlap_both_secrets_sign_and_then_the_new_one_alone(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge:
        first = (await bridge.call("POST", "/destinations", LEDGER, status=201))["secret"]
        rotated = await bridge.call("POST", "/destinations/ledger/rotate", {"overlap_s": 3600})
        second = rotated["secret"]
        assert second != first
        ends = [one["until"] for one in rotated["secrets"]]
        assert ends == [None, (START + timedelta(hours=1)).isoformat().replace("+00:00", "Z")]
        await append_events(engine, "pb.events", 1)
        await bridge.deliver()
        assert bridge.post.sent[-1].is_signed_with(first, second)
        bridge.clock.advance(3600)
        await append_events(engine, "pb.events", 1)
        assert await bridge.deliver() == [2]
        assert bridge.post.sent[-1].is_signed_with(second)
        assert not bridge.post.sent[-1].is_signed_with(first)
        own = await bridge.call("POST", "/destinations/ledger/rotate", {"secret": FILE_SECRET, "overlap_s": 0})
        assert "secret" not in own
        assert own["secrets"] == [{"until": None}]
        for given in ({"overlap_s": -1}, {"overlap_s": "x"}, {"secret": FILE_SECRET}, {"secret": "whsec_x"}):
            await bridge.call("POST", "/destinations/ledger/rotate", given, status=422)


async def test_a_deleted_one_is_not_revived_by_the_worker_that_knew_it(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 2)
    async with operated(engine) as bridge:
        await bridge.call("POST", "/destinations", LEDGER, status=201)
        assert await bridge.deliver() == [1, 2]
        await bridge.call("DELETE", "/destinations/ledger", status=204)
        await append_events(engine, "pb.events", 1)
        await bridge.deliverer.drain()
        await bridge.call("GET", "/destinations/ledger", status=404)
        await bridge.call("DELETE", "/destinations/ledger", status=404)
        await bridge.call("POST", "/destinations", LEDGER, status=201)
        assert await bridge.deliver() == [1, 2, 3], "one of the same name begins anew"


async def test_a_test_goes_straight_out_signed_and_tells_what_was_answered(engine: AsyncEngine) -> None:
    async with operated(engine, file=of_the_file()) as bridge:
        secret = (await bridge.call("POST", "/destinations", LEDGER, status=201))["secret"]
        accepted = await bridge.call("POST", "/destinations/ledger/test")
        assert accepted == {"outcome": "accepted", "status": 204, "latency_ms": 2.0, "said": ""}
        [sent] = bridge.post.sent
        assert (sent.told["type"], sent.told["destination"]) == ("bridge.test", "ledger")
        assert sent.is_signed_with(secret)
        bridge.post.answer = Answered(500, None, "no <b>table</b>", 0.5)
        refused = await bridge.call("POST", "/destinations/ledger/test")
        assert refused == {"outcome": "refused", "status": 500, "latency_ms": 500.0, "said": "no <b>table</b>"}
        bridge.post.answer = NotSent("no connection: the address is not public", 0.0)
        assert (await bridge.call("POST", "/destinations/ledger/test"))["outcome"] == "unsent"
        await bridge.call("POST", "/destinations/books/test")
        assert bridge.post.sent[-1].is_signed_with(FILE_SECRET)
        assert bridge.post.sent[-1].allow_private
        await bridge.call("POST", "/destinations/nobody/test", status=404)


async def test_one_of_the_file_is_marked_and_changed_only_there(engine: AsyncEngine) -> None:
    async with operated(engine, file=of_the_file(batch_max=7)) as bridge:
        shown = await bridge.call("GET", "/destinations/books")
        assert (shown["origin"], shown["configured"], shown["url"]) == ("file", True, "http://127.0.0.1:9/in")
        assert (shown["policy"]["batch_max"], shown["policy"]["allow_private"]) == (7, True)
        for method, path, given in (
            ("PATCH", "", {"batch_max": 2}),
            ("DELETE", "", None),
            ("POST", "/rotate", None),
        ):
            told = await bridge.call(method, f"/destinations/books{path}", given, status=409)
            assert "file" in told["detail"]
        await bridge.call("POST", "/destinations", {**LEDGER, "name": "books"}, status=409)
        assert (await bridge.call("POST", "/destinations/books/pause"))["state"] == "paused"
        assert (await bridge.call("POST", "/destinations/books/resume"))["state"] == "active"


async def test_a_name_that_has_left_the_file_is_free_once_it_was_deleted(engine: AsyncEngine) -> None:
    async with operated(engine, file=of_the_file()):
        pass
    async with operated(engine) as bridge:
        left = await bridge.call("GET", "/destinations/books")
        assert (left["configured"], left["url"]) == (False, None)
        told = await bridge.call("POST", "/destinations", {**LEDGER, "name": "books"}, status=409)
        assert "delete it first" in told["detail"]
        await bridge.call("POST", "/destinations/books/test", status=409)
        await bridge.call("DELETE", "/destinations/books", status=204)
        await bridge.call("POST", "/destinations", {**LEDGER, "name": "books"}, status=201)


async def test_a_file_that_takes_a_name_of_the_api_is_refused_at_start(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge:
        await bridge.call("POST", "/destinations", {**LEDGER, "name": "books"}, status=201)
    with pytest.raises(Conflict, match="books"):
        async with operated(engine, file=of_the_file()):
            pass


async def test_what_was_sealed_with_a_lost_key_is_shown_without_its_url_and_holds_nobody_up(
    engine: AsyncEngine,
) -> None:
    await append_events(engine, "pb.events", 1)
    async with operated(engine) as bridge:
        await bridge.call("POST", "/destinations", LEDGER, status=201)
    async with operated(engine, keys=(new_key(),)) as bridge:
        await bridge.call("POST", "/destinations", {**LEDGER, "name": "other"}, status=201)
        assert await bridge.deliver() == [1]
        assert (await bridge.call("GET", "/destinations/ledger"))["url"] is None
        told = await bridge.call("POST", "/destinations/ledger/rotate", status=500)
    assert "BRIDGE_SECRET_KEY" in told["detail"]


async def test_pages_follow_each_other_by_name(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge:
        for name in ("c", "a", "b"):
            await bridge.call("POST", "/destinations", {**LEDGER, "name": name}, status=201)
        first = await bridge.call("GET", "/destinations?limit=2")
        rest = await bridge.call("GET", f"/destinations?limit=2&after={first['next']}")
        end = await bridge.call("GET", f"/destinations?after={rest['next']}")
    assert [one["name"] for one in first["destinations"] + rest["destinations"]] == ["a", "b", "c"]
    assert end == {"destinations": [], "next": "c"}


async def test_streams_of_one_come_in_pages_by_name(engine: AsyncEngine) -> None:
    for stream in ("pb.c", "pb.a", "pb.b"):
        await append_events(engine, stream, 1)
    async with operated(engine) as bridge:
        await bridge.call("POST", "/destinations", LEDGER, status=201)
        await bridge.deliver()
        first = await bridge.call("GET", "/destinations/ledger?limit=2")
        rest = await bridge.call("GET", f"/destinations/ledger?limit=2&after={first['next']}")
        end = await bridge.call("GET", f"/destinations/ledger?after={rest['next']}")
        told = await bridge.call("GET", "/destinations/ledger?limit=0", status=400)
    assert [one["stream"] for one in first["streams"] + rest["streams"]] == ["pb.a", "pb.b", "pb.c"]
    assert (end["streams"], end["next"]) == ([], "pb.c")
    assert "limit" in told["detail"]


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff", b'{"a":"\\ud800"}', b"[" * 20_000, b"null"])
async def test_a_body_that_is_no_object_is_a_problem_document(engine: AsyncEngine, content: bytes) -> None:
    async with operated(engine) as bridge:
        json_ = {"content-type": "application/json"}
        answer = await bridge.client.post("/v1/destinations", content=content, headers=json_)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        large = await bridge.client.post("/v1/destinations", content=b" " * 70_000, headers=json_)
        assert large.status_code == 413
        form = await bridge.client.post("/v1/destinations", content=json.dumps(LEDGER))
        assert form.status_code == 400
