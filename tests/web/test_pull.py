"""Going on with a token: where the reader was, and only in the log that it was in."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.consumer import Place, read_page
from bridge.web.pull_token import Token
from tests.logs import append_events
from tests.web.serving import reading

pytestmark = pytest.mark.anyio

LOG = "/v1/streams/pb.events/log"


async def change(engine: AsyncEngine, *statements: str) -> None:
    """Do to the log what no bridge would: its trigger is told to look away."""
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            await connection.execute(text(statement))


async def forget(engine: AsyncEngine, position: int) -> None:
    """Delete the log up to ``position``, as retention does."""
    await change(engine, *forgetting(position))


def forgetting(position: int) -> tuple[str, ...]:
    """What retention does, in its order."""
    chain = f"(SELECT chain FROM log WHERE position = {position})"
    return (
        f"UPDATE streams SET forgotten = {position}, forgotten_chain = {chain}, forgotten_below = {position + 1}",
        f"DELETE FROM events WHERE sequence <= {position}",
        f"DELETE FROM log WHERE position <= {position}",
    )


async def get(client: httpx.AsyncClient, **query: Any) -> Any:
    answer = await client.get(LOG, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_log_is_read_to_its_end_by_tokens_and_on_from_there_when_it_has_grown(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 60)
    place, token, pages = Place(), "", 0
    async with reading(engine) as client:
        while True:
            query: dict[str, Any] = {"token": token} if token else {}
            page = read_page((await client.get(LOG, params={**query, "limit": 25})).content)
            assert page.token is not None
            token, pages = page.token, pages + 1
            if not page.entries:
                break
            new, place = place.take(page.entries, every=True)
            assert len(new) == len(page.entries)
        assert (place.position, pages) == (60, 4)
        await append_events(engine, "pb.events", 3)
        page = read_page((await client.get(LOG, params={"token": token})).content)
        assert place.take(page.entries, every=True).place.position == 63


async def test_a_token_of_the_beginning_and_one_of_the_end_are_good(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 2)
    async with reading(engine) as client:
        end = (await get(client))["next_token"]
        again = await get(client, token=end)
        assert (again["entries"], again["next"], again["next_token"]) == ([], 2, end)
        assert (await get(client, after=2))["next_token"] == end
        assert (await get(client, after=9))["next_token"] is None, "nobody knows what will be there"


async def test_a_restored_log_is_not_taken_for_the_one_that_was_read(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 10)
    async with reading(engine) as client:
        token = (await get(client))["next_token"]
        await change(
            engine,
            "DELETE FROM events WHERE sequence > 6",
            "DELETE FROM log WHERE position > 6",
            "UPDATE streams SET position = 6, chain = (SELECT chain FROM log WHERE position = 6)",
        )
        shorter = await client.get(LOG, params={"token": token})
        await append_events(engine, "pb.events", 8, payload=b'{"price": 2.20}')
        rewritten = await client.get(LOG, params={"token": token})
        assert (await get(client, after=10))["next"] == 14
    for answer in (shorter, rewritten):
        assert answer.status_code == 409
        assert answer.headers["content-type"] == "application/problem+json"
        assert "restored or rewritten" in answer.json()["detail"]


async def test_a_token_of_another_stream_is_not_taken(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 2)
    await append_events(engine, "other.events", 2)
    async with reading(engine) as client:
        token = (await client.get("/v1/streams/other.events/log")).json()["next_token"]
        assert (await client.get(LOG, params={"token": token})).status_code == 409


async def test_who_wants_what_was_deleted_is_told_the_oldest_position_that_is_left(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 10)
    async with reading(engine) as client:
        tokens = {at: (await get(client, after=at - 1, limit=1))["next_token"] for at in (3, 4, 5)}
        await forget(engine, 4)
        for query in ({"after": 0}, {"after": 3}, {"token": tokens[3]}):
            answer = await client.get(LOG, params=query)
            assert (answer.status_code, answer.json()["oldest"]) == (410, 5), query
        for good in ({"after": 4}, {"token": tokens[4]}):
            assert (await get(client, **good))["entries"][0]["position"] == 5
        assert (await get(client, token=tokens[5]))["entries"][0]["position"] == 6


async def test_a_first_entry_that_does_not_follow_from_the_token_is_not_served(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 4)
    async with reading(engine) as client:
        token = (await get(client, limit=2))["next_token"]
        await change(engine, "UPDATE log SET chain = sha256('other') WHERE position = 3")
        assert (await client.get(LOG, params={"token": token})).status_code == 409


@pytest.mark.parametrize("token", ["", "x", "AQ", "A" * 39, "é" * 39, "A" * 5000])
async def test_what_was_never_given_out_is_no_token(engine: AsyncEngine, token: str) -> None:
    await append_events(engine, "pb.events", 1)
    async with reading(engine) as client:
        answer = await client.get(LOG, params={"token": token})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "token")


async def test_a_position_does_not_go_together_with_a_token(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 1)
    async with reading(engine) as client:
        token = (await get(client))["next_token"]
        answer = await client.get(LOG, params={"token": token, "after": 1})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "after")


def test_a_token_is_read_back_and_has_one_form() -> None:
    token = Token.of(7, 2**62, bytes(range(32)))
    assert Token.read(token.text()) == token
    assert len(token.text()) == 39
    for altered in (token.text() + "=", token.text()[:-1], token.text() + "A", " " + token.text()):
        assert Token.read(altered) is None
