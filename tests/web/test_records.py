"""What is on record, by HTTP: attempts, parked entries, the audit; and requests that are made once."""

import asyncio
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.delivery import Answered
from bridge.store.idempotency import ABANDONED_AFTER_S, KEPT_S
from tests.logs import START, append_events
from tests.web.operators import OK, URL, Bridge, operated

LEDGER = {"name": "ledger", "url": URL}
NO = Answered(500, None, "not today", 0.25)
PARKED = "/destinations/ledger/parked"
ONE = f"{PARKED}/pb.events"


async def test_attempts_are_listed_by_what_they_were_about(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge:
        await append_events(engine, "pb.events", 2)
        await bridge.call("POST", "/destinations", LEDGER, status=201)
        bridge.post.answer = NO
        await bridge.deliver()
        health = (await bridge.call("GET", "/destinations/ledger"))["health"]
        assert (health["behind"], health["failures"]) == (2, 1)
        assert health["failing_since"] == START.isoformat().replace("+00:00", "Z")
        assert health["next_try_at"] > health["failing_since"]
        assert health["oldest_undelivered_age_s"] == 0
        bridge.clock.advance(60)
        bridge.post.answer = OK
        assert await bridge.deliver() == [1, 2]
        path = "/destinations/ledger/attempts"
        accepted, failed = (await bridge.call("GET", path))["attempts"]
        assert (accepted["outcome"], accepted["first"], accepted["last"]) == ("accepted", 1, 2)
        assert (failed["outcome"], failed["status"], failed["error"]) == ("unknown", 500, "answered 500: not today")
        assert (failed["latency_max_ms"], failed["stream"]) == (250, "pb.events")

        async def ids(query: str) -> list[int]:
            return [one["id"] for one in (await bridge.call("GET", f"{path}?{query}"))["attempts"]]

        assert await ids("outcome=unknown") == [failed["id"]]
        assert await ids("position=2") == [accepted["id"]]
        assert await ids("stream=pb.ws") == []
        since = (START + timedelta(seconds=30)).isoformat().replace("+00:00", "Z")
        assert await ids(f"since={since}") == [accepted["id"]]
        assert await ids(f"until={since}") == [failed["id"]]
        page = await bridge.call("GET", f"{path}?limit=1")
        assert await ids(f"limit=1&before={page['next']}") == [failed["id"]]
        for query in ("outcome=good", "since=x", "position=0", "what=1", "stream=%00"):
            await bridge.call("GET", f"{path}?{query}", status=400)


async def parked(engine: AsyncEngine, bridge: Bridge) -> None:
    """Three entries, all of them laid aside."""
    await append_events(engine, "pb.events", 3)
    given = {**LEDGER, "on_exhausted": "park", "attempts_max": 1}
    await bridge.call("POST", "/destinations", given, status=201)
    bridge.post.answer = NO
    await bridge.deliver()
    bridge.post.answer = OK


async def test_parked_entries_are_listed_redelivered_one_by_one_or_all_and_discarded(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge:
        await parked(engine, bridge)
        page = await bridge.call("GET", f"{PARKED}?limit=2")
        rest = await bridge.call("GET", f"{PARKED}?limit=2&after={page['next']}")
        assert [one["position"] for one in page["parked"] + rest["parked"]] == [1, 2, 3]
        assert (await bridge.call("GET", "/destinations/ledger"))["health"]["parked"] == 3
        first = await bridge.call("GET", f"{ONE}/1")
        assert (first["state"], first["status"], first["attempts"]) == ("parked", 500, 1)

        assert (await bridge.call("POST", f"{ONE}/1/redeliver", status=202))["state"] == "due"
        await bridge.call("POST", f"{ONE}/1/redeliver", status=409)
        await bridge.call("POST", f"{ONE}/2/discard", status=422)
        gone = await bridge.call("POST", f"{ONE}/2/discard", {"reason": "a test order"})
        assert (gone["state"], gone["reason"], gone["ended_by"]) == ("discarded", "a test order", "loopback")
        await bridge.call("POST", f"{ONE}/2/discard", {"reason": "again"}, status=409)
        await bridge.call("POST", f"{ONE}/2/redeliver", status=409)
        assert await bridge.call("POST", f"{PARKED}/redeliver", status=202) == {"entries": 1}

        async with asyncio.TaskGroup() as group:
            await bridge.directory.tick()
            await bridge.deliverer.tick(group)
            bridge.deliverer.stop()
        assert sorted(bridge.post.positions()[3:]) == [1, 3]
        ended = {one["position"]: one["state"] for one in (await bridge.call("GET", PARKED))["parked"]}
        assert ended == {1: "redelivered", 2: "discarded", 3: "redelivered"}
        assert (await bridge.call("GET", f"{PARKED}?state=discarded"))["parked"][0]["position"] == 2
        assert (await bridge.call("GET", "/destinations/ledger"))["health"]["parked"] == 0
        for path in (f"{ONE}/9", f"{PARKED}/no.such/1", "/destinations/nobody/parked"):
            await bridge.call("GET", path, status=404)
        await bridge.call("GET", f"{PARKED}?after=x", status=400)


async def test_every_act_is_on_record_with_who_and_what_and_without_secrets(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge:
        made = await bridge.call("POST", "/destinations", LEDGER, status=201)
        await bridge.call("PATCH", "/destinations/ledger", {"batch_max": 3, "url": f"{URL}&more=h1dden"})
        await bridge.call("POST", "/destinations/ledger/pause", {"reason": "a move"})
        await bridge.call("POST", "/destinations/ledger/pause", status=409)
        await bridge.call("POST", "/destinations/ledger/resume")
        rotated = await bridge.call("POST", "/destinations/ledger/rotate")
        await bridge.call("POST", "/destinations/ledger/test")
        await append_events(engine, "pb.events", 1)
        await bridge.deliver()
        await bridge.call("POST", "/destinations/ledger/rewind", {"beginning": True})
        await bridge.call("DELETE", "/destinations/ledger", status=204)
        page = await bridge.call("GET", "/audit?limit=5")
        rest = await bridge.call("GET", f"/audit?before={page['next']}")
        assert (await bridge.call("GET", "/audit?subject=nobody"))["audit"] == []
    deeds = [*page["audit"], *rest["audit"]]
    words = ["created", "updated", "paused", "resumed", "rotated", "tested", "rewound", "deleted"]
    assert [deed["action"] for deed in reversed(deeds)] == [f"destination.{word}" for word in words]
    assert {(deed["actor"], deed["subject"]) for deed in deeds} == {("loopback", "ledger")}
    changed = deeds[-2]["detail"]["changed"]
    assert changed["batch_max"] == {"from": 1, "to": 3}
    told = str(deeds)
    for secret in (made["secret"], rotated["secret"], "t0ken", "h1dden"):
        assert secret not in told


async def test_the_same_key_gets_the_same_answer_and_nothing_is_done_twice(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge:
        first = await bridge.call("POST", "/destinations", LEDGER, status=201, idempotency_key="k1")
        again = await bridge.call("POST", "/destinations", LEDGER, status=201, idempotency_key="k1")
        assert again == first
        assert "secret" in first
        async with engine.connect() as conn:
            kept = str((await conn.execute(text("SELECT * FROM idempotency"))).all())
        assert first["secret"] not in kept
        other = {**LEDGER, "batch_max": 2}
        await bridge.call("POST", "/destinations", other, status=422, idempotency_key="k1")
        await bridge.call("POST", "/destinations/ledger/pause", LEDGER, status=422, idempotency_key="k1")
        for key in ("", "x" * 256):
            await bridge.call("POST", "/destinations/ledger/pause", status=400, idempotency_key=key)
        bridge.clock.advance(KEPT_S + 1)
        await bridge.call("POST", "/destinations", LEDGER, status=409, idempotency_key="k1")


async def test_a_request_that_failed_may_be_made_again_with_its_key(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge:
        await bridge.call("POST", "/destinations/ledger/pause", status=404, idempotency_key="k")
        await bridge.call("POST", "/destinations", LEDGER, status=201)
        await bridge.call("POST", "/destinations/ledger/pause", status=200, idempotency_key="k")
        await bridge.call("POST", "/destinations/ledger/pause", status=200, idempotency_key="k")


async def test_a_request_under_way_is_not_made_a_second_time(engine: AsyncEngine) -> None:
    async with operated(engine) as bridge:
        await bridge.call("POST", "/destinations", LEDGER, status=201)
        bridge.post.gate.clear()
        path = "/destinations/ledger/test"
        async with asyncio.TaskGroup() as group:
            testing = group.create_task(bridge.call("POST", path, idempotency_key="k"))
            await bridge.post.arrived.wait()
            await bridge.call("POST", path, status=409, idempotency_key="k")
            bridge.clock.advance(ABANDONED_AFTER_S - 1)
            await bridge.call("POST", path, status=409, idempotency_key="k")
            bridge.post.gate.set()
            told = await testing
        assert await bridge.call("POST", path, idempotency_key="k") == told
        assert len(bridge.post.sent) == 1
