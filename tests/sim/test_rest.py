"""The REST front: keys, limits, the replay's envelope, and each lie it can tell."""

import json
from random import Random

import httpx
import pytest

from bridge.clock import ManualClock
from bridge.sim.playbatman import Faults, Venue
from tests.sim.support import START, at, events_of, reader, venue_with

EVENTS = "/api/v1/events"


async def numbers(client: httpx.AsyncClient, **params: str | int) -> list[object]:
    return [event["sequence"] for event in events_of(await client.get(EVENTS, params=params))]


def truth(venue: Venue) -> list[int]:
    return [row.sequence for row in venue.assigned()]


@pytest.mark.parametrize("key", [None, "wrong", "sim-key-and-more", "ключ".encode()])
async def test_a_missing_or_wrong_key_is_refused_with_the_envelope(key: str | bytes | None) -> None:
    async with reader(venue_with(), key=key) as client:
        answer = await client.get(EVENTS)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "UNAUTHORIZED"


async def test_health_needs_no_key() -> None:
    async with reader(venue_with(), key=None) as client:
        assert [(await client.get(path)).status_code for path in ("/health", "/ready")] == [200, 200]


async def test_a_reader_that_pages_sees_the_truth_ascending() -> None:
    venue = venue_with()
    venue.emit(START, 350)
    seen: list[object] = []
    async with reader(venue) as client:
        while page := await numbers(client, **({"since": str(seen[-1])} if seen else {}), limit=100):
            seen += page
    assert seen == truth(venue)


async def test_a_page_is_a_hundred_rows_unless_asked_otherwise_and_at_most_a_thousand() -> None:
    venue = venue_with()
    venue.emit(START, 1100)
    async with reader(venue) as client:
        assert len(await numbers(client)) == 100
        assert len(await numbers(client, limit=7)) == 7
        assert len(await numbers(client, limit=5000)) == 1000


async def test_the_switch_refuses_a_limit_over_a_thousand() -> None:
    async with reader(venue_with(long_limit_refused=True)) as client:
        assert (await client.get(EVENTS, params={"limit": 1001})).status_code == 400
        assert (await client.get(EVENTS, params={"limit": 1000})).status_code == 200


@pytest.mark.parametrize("params", [{"since": "-1"}, {"since": "x"}, {"limit": "0"}, {"limit": "½"}])
async def test_a_query_that_makes_no_sense_is_400(params: dict[str, str]) -> None:
    async with reader(venue_with()) as client:
        assert (await client.get(EVENTS, params=params)).status_code == 400


async def test_a_row_on_the_wire_is_the_row_the_venue_holds() -> None:
    venue = venue_with()
    (row,) = venue.emit(at(1.2345), 1)
    async with reader(venue, ManualClock(at(2))) as client:
        answer = await client.get(EVENTS)
    (event,) = events_of(answer)
    assert list(event) == [
        "id",
        "sequence",
        "operatorId",
        "eventType",
        "marketId",
        "payload",
        "createdAt",
        "expiresAt",
    ]
    assert (event["id"], event["sequence"]) == (row.event_id, row.sequence)
    assert (event["createdAt"], event["expiresAt"]) == ("2026-02-18T23:00:01.234Z", "2026-02-19T23:00:01.234Z")
    assert row.payload in answer.content


async def test_the_date_header_tells_the_time_of_the_venue() -> None:
    clock = ManualClock(START)
    async with reader(venue_with(), clock) as client:
        clock.advance(3661)
        assert (await client.get("/health")).headers["Date"] == "Thu, 19 Feb 2026 00:01:01 GMT"


async def test_what_follows_the_events_is_what_the_switch_names() -> None:
    venue = venue_with(tail=[])
    rows = venue.emit(START, 3)
    async with reader(venue) as client:
        assert set((await client.get(EVENTS)).json()["data"]) == {"events"}
        venue.faults = venue.faults.patched({"tail": ["hasMore", "lastSequence", "latestSequence"]})
        told = (await client.get(EVENTS, params={"limit": 2})).json()["data"]
        assert (told["hasMore"], told["lastSequence"]) == (True, rows[1].sequence)
        assert told["latestSequence"] == venue.counter
        assert (await client.get(EVENTS, params={"limit": 3})).json()["data"]["hasMore"] is False


async def test_expired_rows_leave_the_replay_as_the_clock_moves() -> None:
    venue, clock = venue_with(retention_s=60), ManualClock(START)
    venue.emit(START, 5)
    venue.emit(at(30), 5)
    async with reader(venue, clock) as client:
        clock.advance(59)
        assert await numbers(client) == truth(venue)
        clock.advance(1)
        assert await numbers(client) == truth(venue)[5:]


async def test_a_lagging_copy_does_not_know_the_newest_rows() -> None:
    venue, clock = venue_with(replay_lag_rate=1.0, replay_lag_max_s=10.0), ManualClock(at(100))
    venue.emit(at(80), 5)
    venue.emit(at(100), 5)
    async with reader(venue, clock) as client:
        assert await numbers(client) == truth(venue)[:5]
        clock.advance(10)
        assert await numbers(client) == truth(venue)


async def test_short_pages_are_a_prefix_and_say_that_there_is_more() -> None:
    venue = venue_with(short_page_rate=1.0)
    venue.emit(START, 50)
    async with reader(venue) as client:
        told = (await client.get(EVENTS)).json()["data"]
    found = [event["sequence"] for event in told["events"]]
    assert 0 < len(found) < 50
    assert found == truth(venue)[: len(found)]
    assert told["hasMore"] is True


async def test_an_empty_page_lies_that_there_is_nothing() -> None:
    venue = venue_with(empty_page_rate=1.0)
    venue.emit(START, 50)
    async with reader(venue) as client:
        told = (await client.get(EVENTS)).json()["data"]
    assert told == {"events": [], "hasMore": False}


async def test_a_row_is_missing_from_the_inside_of_a_page_once_and_never_again() -> None:
    venue = venue_with(missing_row_rate=1.0)
    venue.emit(START, 3)
    async with reader(venue) as client:
        first, second = await numbers(client), await numbers(client)
    assert first == [truth(venue)[0], truth(venue)[2]]
    assert second == truth(venue)


@pytest.mark.parametrize("seed", range(30))
async def test_however_it_lies_it_never_invents_a_row_nor_leaves_the_order(seed: int) -> None:
    venue = Venue(seed=seed, start=START, faults=Faults.draw(Random(seed), lying=True), retention_s=60)
    clock, held = ManualClock(START), dict[str, dict[str, object]]()
    async with reader(venue, clock) as client:
        for _ in range(40):
            clock.advance(1)
            venue.emit(clock.now(), 3)
            answer = await client.get(EVENTS, params={"limit": 1000})
            if answer.status_code == 200:
                events = events_of(answer)
                assert [e["sequence"] for e in events] == sorted({int(str(e["sequence"])) for e in events})
                held |= {str(event["id"]): event for event in events}
    true = {row.event_id: json.loads(row.encoded) for row in venue.assigned()}
    assert held.items() <= true.items()
    assert len(held) > len(true) / 2


async def test_server_errors_come_at_their_rate() -> None:
    async with reader(venue_with(error_rate=0.3)) as client:
        statuses = [(await client.get(EVENTS)).status_code for _ in range(200)]
    assert set(statuses) == {200, 500}
    assert 30 < statuses.count(500) < 90


async def test_a_throttled_call_says_when_to_come_back() -> None:
    async with reader(venue_with(throttle_rate=1.0, throttle_retry_after_s=7)) as client:
        answer = await client.get(EVENTS)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


async def test_the_rate_limit_refuses_the_call_too_many_and_forgives_in_time() -> None:
    clock = ManualClock(START)
    async with reader(venue_with(requests_per_s=20), clock) as client:
        statuses = [(await client.get(EVENTS)).status_code for _ in range(21)]
        assert statuses == [200] * 20 + [429]
        clock.advance(0.05)
        assert (await client.get(EVENTS)).status_code == 200
        assert (await client.get(EVENTS)).headers["Retry-After"] == "1"


async def test_a_slow_answer_costs_its_seconds_on_the_venues_clock() -> None:
    clock = ManualClock(START)
    async with reader(venue_with(slow_rate=1.0, slow_s=4.0), clock) as client:
        assert (await client.get(EVENTS)).status_code == 200
    assert clock.now() == at(4)


async def test_while_the_venue_is_down_calls_are_refused_and_afterwards_answered() -> None:
    venue, clock = venue_with(down_every_s=100, down_s=10), ManualClock(START)
    venue.emit(START, 3)
    async with reader(venue, clock) as client:
        clock.advance(99)
        assert (await client.get(EVENTS)).status_code == 200
        clock.advance(1)
        assert (await client.get(EVENTS)).status_code == 503
        venue.faults = venue.faults.patched({"down_aborts": True})
        with pytest.raises(httpx.ConnectError):
            await client.get(EVENTS)
        clock.advance(10)
        assert await numbers(client) == truth(venue)


async def test_registering_a_webhook_shows_the_secret_once() -> None:
    venue = venue_with()
    async with reader(venue) as client:
        made = await client.post("/api/v1/webhooks", json={"url": "https://r.example/in/pb"})
        assert made.status_code == 201
        secret = made.json()["data"]["secret"]
        assert len(bytes.fromhex(secret)) == 32
        listed = await client.get("/api/v1/webhooks")
        shown = await client.get(f"/api/v1/webhooks/{made.json()['data']['id']}")
        assert secret not in listed.text + shown.text + repr(venue.webhooks)
        assert listed.json()["data"][-1]["url"] == "https://r.example/in/pb"
    assert venue.webhooks[-1].secret == secret


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"url":7}', b'{"url":"ftp://x"}', b'{"url":"http://x","events":["NO_SUCH"]}']
)
async def test_a_registration_that_makes_no_sense_is_400(body: bytes) -> None:
    venue = venue_with()
    async with reader(venue) as client:
        assert (await client.post("/api/v1/webhooks", content=body)).status_code == 400
    assert len(venue.webhooks) == 1


async def test_a_deleted_webhook_gets_nothing_more() -> None:
    venue = venue_with()
    webhook = venue.register("http://127.0.0.1:1/", now=START)
    async with reader(venue) as client:
        assert (await client.delete(f"/api/v1/webhooks/{webhook.webhook_id}")).status_code == 200
        assert (await client.get(f"/api/v1/webhooks/{webhook.webhook_id}")).status_code == 404
    venue.emit(START, 5)
    assert all(delivery.webhook != webhook for delivery in venue.deliveries_due(START))
