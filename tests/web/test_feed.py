"""The log as server-sent events, over real sockets."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.consumer import Place, read_entry
from bridge.store import tokens
from bridge.store.engine import make_engine
from bridge.store.tokens import Scope
from bridge.web import access, sse
from tests.events import START
from tests.logs import append_events
from tests.page.signing import token_of
from tests.web.listening import Heard, heard, listening
from tests.web.test_pull import change, forget

pytestmark = pytest.mark.anyio

LOG = "/v1/streams/pb.events/log"
EVENTS = {"Accept": "text/event-stream"}


async def some(events: AsyncIterator[Heard], count: int) -> list[Heard]:
    return [await anext(events) for _ in range(count)]


def positions(events: list[Heard]) -> list[int]:
    return [event.json()["position"] for event in events]


async def test_every_entry_comes_and_what_is_appended_comes_when_it_is_told(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 250)
    async with (
        listening(engine) as place,
        place.client() as client,
        client.stream("GET", LOG, headers=EVENTS) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = heard(answer)
        first = await some(events, 250)
        await append_events(engine, "pb.events", 2)
        place.pulse.tell("pb.events")
        more = await some(events, 2)
    taken = Place().take([read_entry(event.content) for event in first + more], every=True)
    assert (taken.place.position, len(taken.new)) == (252, 252)


async def test_a_log_that_grew_unheard_is_found_by_looking(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 1)
    async with (
        listening(engine, poll_every_s=0.05) as place,
        place.client() as client,
        client.stream("GET", LOG, headers=EVENTS) as answer,
    ):
        events = heard(answer)
        await some(events, 1)
        await append_events(engine, "pb.events", 1)
        assert positions(await some(events, 1)) == [2]


async def test_a_reader_goes_on_after_the_last_event_that_it_heard_whatever_its_address_says(
    engine: AsyncEngine,
) -> None:
    await append_events(engine, "pb.events", 5)
    async with listening(engine) as place, place.client() as client:
        async with client.stream("GET", f"{LOG}?after=1", headers=EVENTS) as answer:
            events = await some(heard(answer), 2)
            assert positions(events) == [2, 3]
        again = {**EVENTS, "Last-Event-ID": events[-1].id}
        async with client.stream("GET", f"{LOG}?after=1", headers=again) as answer:
            assert positions(await some(heard(answer), 2)) == [4, 5]
        token = (await client.get(LOG, params={"token": events[0].id})).json()["entries"]
        assert token[0]["position"] == 3, "the id of an event is a token"
        wrong = await client.get(LOG, headers={**EVENTS, "Last-Event-ID": "nonsense"})
        assert (wrong.status_code, wrong.json()["parameter"]) == (400, "Last-Event-ID")


@pytest.mark.parametrize(
    "payload", [b'{"a":\n\n1}', b'{"a":\r\n1}', b'{"a":\r1}', b'{"a":"\xff"}', b' {"a": 1} ', '{"é":1}'.encode()]
)
async def test_content_comes_byte_for_byte_whatever_lines_it_has(engine: AsyncEngine, payload: bytes) -> None:
    await append_events(engine, "pb.events", 1, payload=payload)
    async with (
        listening(engine) as place,
        place.client() as client,
        client.stream("GET", LOG, headers=EVENTS) as answer,
    ):
        [event] = await some(heard(answer), 1)
    assert read_entry(event.content).data == payload


async def test_a_stream_that_waits_holds_no_connection(database_url: str, engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 1)
    narrow = make_engine(database_url, pool_max=1)
    try:
        async with (
            listening(narrow) as place,
            place.client() as client,
            client.stream("GET", LOG, headers=EVENTS) as one,
            client.stream("GET", LOG, headers=EVENTS) as two,
        ):
            both = [heard(one), heard(two)]
            for events in both:
                await some(events, 1)
            assert (await client.get("/v1/streams")).status_code == 200
            await append_events(engine, "pb.events", 1)
            place.pulse.tell("pb.events")
            assert [positions(await some(events, 1)) for events in both] == [[2], [2]]
    finally:
        await narrow.dispose()


async def test_a_word_is_looked_after_once(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 1)
    async with (
        listening(engine) as place,
        place.client() as client,
        client.stream("GET", LOG, headers=EVENTS) as answer,
    ):
        events = heard(answer)
        await some(events, 1)
        place.pulse.tell("pb.events")
        assert (await client.get("/v1/streams")).status_code == 200
        await append_events(engine, "pb.events", 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await anext(events)


async def test_a_quiet_stream_is_kept_alive(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_EVERY_S", 0.05)
    await append_events(engine, "pb.events", 1)
    async with (
        listening(engine, poll_every_s=0.02) as place,
        place.client() as client,
        client.stream("GET", LOG, headers=EVENTS) as answer,
    ):
        got = b""
        async for part in answer.aiter_raw():
            got += part
            if got.count(b"\n:\n\n") >= 2:
                break
    assert got.startswith(b"retry: ")


async def test_no_more_streams_are_open_than_there_may_be_and_one_that_is_left_makes_room(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "STREAMS_OPEN_MAX", 1)
    await append_events(engine, "pb.events", 1)
    async with listening(engine) as place, place.client() as client:
        async with client.stream("GET", LOG, headers=EVENTS) as answer:
            events = heard(answer)
            await some(events, 1)
            refused = await client.get(LOG, headers=EVENTS)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert (await client.get(LOG)).status_code == 200, "pages are still to be had"
        statuses = [503]
        while statuses[-1] != 200:
            async with client.stream("GET", LOG, headers=EVENTS) as answer:
                statuses.append(answer.status_code)


async def test_streams_end_with_the_process_and_not_when_its_patience_does(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 1)
    async with (
        listening(engine) as place,
        place.client() as client,
        client.stream("GET", LOG, headers=EVENTS) as answer,
    ):
        events = heard(answer)
        await some(events, 1)
        place.pulse.end()
        assert [event async for event in events] == []


@pytest.mark.parametrize("poll_every_s, is_told", [(60.0, True), (0.05, False)])
async def test_a_stream_ends_with_the_token(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, poll_every_s: float, is_told: bool
) -> None:
    monkeypatch.setattr(access, "TOKENS_FRESH_S", 0.0)
    await append_events(engine, "pb.events", 1)
    headers = EVENTS | {"Authorization": f"Bearer {await token_of(engine, 'ops', Scope.READ)}"}
    async with (
        listening(engine, poll_every_s=poll_every_s) as place,
        place.client() as client,
        client.stream("GET", LOG, headers=headers) as answer,
    ):
        events = heard(answer)
        await some(events, 1)
        async with engine.begin() as conn:
            await tokens.revoke(conn, "ops", now=START)
        if is_told:
            place.pulse.tell("pb.events")
        assert [(one.type, one.json()["status"]) async for one in events] == [("problem", 401)]


async def test_a_stream_ends_after_its_life_and_its_reader_comes_again(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "LIFE_MAX_S", 0.2)
    await append_events(engine, "pb.events", 1)
    async with (
        listening(engine, poll_every_s=0.05) as place,
        place.client() as client,
        client.stream("GET", LOG, headers=EVENTS) as answer,
    ):
        assert len([event async for event in heard(answer)]) == 1


async def test_a_reader_whose_log_is_restored_or_deleted_under_it_is_told_so(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 6)
    async with listening(engine) as place, place.client() as client:
        async with client.stream("GET", LOG, headers=EVENTS) as answer:
            events = heard(answer)
            await some(events, 6)
            await change(
                engine,
                "DELETE FROM log WHERE position > 3",
                "UPDATE streams SET position = 3, chain = (SELECT chain FROM log WHERE position = 3)",
            )
            place.pulse.tell("pb.events")
            [told] = [event async for event in events]
            assert (told.type, told.json()["status"]) == ("problem", 409)
        await forget(engine, 2)
        gone = await client.get(LOG, headers=EVENTS)
        assert (gone.status_code, gone.json()["oldest"]) == (410, 3)


async def test_a_reader_that_takes_nothing_is_left_and_holds_little(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "STALL_MAX_S", 0.2)
    await append_events(engine, "pb.events", 400, payload=b'"' + b"x" * 40_000 + b'"')
    async with listening(engine) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(place.address.rpartition(":")[2]), limit=1024)
        writer.write(f"GET {LOG} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode())
        await reader.readexactly(1)
        async with place.client() as client:
            while place.server.server_state.tasks:
                assert (await client.get("/healthz")).status_code == 200
        writer.close()


async def test_only_who_asks_for_events_by_name_gets_them(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 1)
    async with listening(engine) as place, place.client() as client:
        for accepted in ("*/*", "application/json", "text/*", ""):
            answer = await client.get(LOG, headers={"Accept": accepted})
            assert answer.headers["content-type"] == "application/json"
        head = await client.head(LOG, headers={"Accept": "text/html, text/event-stream;q=0.5"})
        assert head.headers["content-type"].startswith("text/event-stream")
        assert (await client.get(f"{LOG}?limit=1", headers=EVENTS)).json()["parameter"] == "limit"
        assert (await client.get("/v1/streams/no.such/log", headers=EVENTS)).status_code == 404


async def test_a_database_that_goes_away_ends_the_stream(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 1)
    async with (
        listening(engine) as place,
        place.client() as client,
        client.stream("GET", LOG, headers=EVENTS) as answer,
    ):
        events = heard(answer)
        await some(events, 1)
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE log RENAME TO elsewhere"))
        place.pulse.tell("pb.events")
        assert [event async for event in events] == []
