"""Who may come in, and how much they may do."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.store import tokens
from bridge.store.engine import make_engine
from bridge.store.tokens import Scope, new_token
from bridge.web.access import TOKENS_FRESH_S, Access, Caller, Refusal, is_this_machine
from tests.events import START
from tests.web.serving import reading

HOST = (b"host", b"127.0.0.1:8000")


@pytest.mark.parametrize(
    "headers, status",
    [
        ([(b"authorization", b"Bearer right")], None),
        ([(b"authorization", b"bearer right")], None),
        ([(b"authorization", b"Bearer wrong")], 401),
        ([(b"authorization", b"Bearer righ")], 401),
        ([(b"authorization", b"Bearer ")], 401),
        ([(b"authorization", b"Basic right")], 401),
        ([(b"authorization", b"right")], 401),
        ([(b"authorization", b"Bearer \xff\xfe")], 401),
        ([(b"authorization", b"Bearer wrong"), (b"authorization", b"Bearer right")], 401),
        ([(b"authorization", b"Bearer right"), (b"authorization", b"Bearer wrong")], 401),
        ([], 401),
    ],
)
async def test_with_a_token_its_bearer_may_do_everything_and_nobody_else_anything(
    engine: AsyncEngine, headers: list[tuple[bytes, bytes]], status: int | None
) -> None:
    access = Access(engine, ManualClock(START), token="right")
    for peer in ("127.0.0.1", "203.0.113.9", None):
        caller = await access.caller([HOST, *headers], peer)
        if status is None:
            assert caller == Caller("environment", Scope.ADMIN)
        else:
            assert isinstance(caller, Refusal)
            assert caller.status == status


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_known_by_each_of_its_addresses(peer: str) -> None:
    for host in (b"127.0.0.1:8000", b"localhost", b"[::1]:8000"):
        assert is_this_machine([(b"host", host)], peer)


@pytest.mark.parametrize("peer", ["203.0.113.9", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "", "localhost", None])
def test_no_other_machine_is_taken_for_this_one(peer: str | None) -> None:
    assert not is_this_machine([HOST], peer)


@pytest.mark.parametrize("header", [b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via", b"x-forwarded-proto"])
def test_whoever_comes_through_a_proxy_is_not_this_machine(header: bytes) -> None:
    assert not is_this_machine([HOST, (header, b"127.0.0.1")], "127.0.0.1")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"evil.example")],
        [(b"host", b"127.0.0.1.evil.example")],
        [(b"host", b"localhost"), (b"host", b"evil.example")],
        [HOST, (b"origin", b"https://evil.example")],
        [HOST, (b"origin", b"null")],
        [HOST, (b"origin", b"http://127.0.0.1:3000")],
        [HOST, (b"sec-fetch-site", b"cross-site")],
        [HOST, (b"sec-fetch-site", b"same-site")],
    ],
)
def test_a_browser_led_here_by_somebody_elses_page_is_not_this_machine(headers: list[tuple[bytes, bytes]]) -> None:
    assert not is_this_machine(headers, "127.0.0.1")


def test_a_page_of_our_own_is_this_machine() -> None:
    assert is_this_machine(
        [HOST, (b"origin", b"http://127.0.0.1:8000"), (b"sec-fetch-site", b"same-origin")], "127.0.0.1"
    )


async def test_without_any_token_this_machine_may_do_everything_and_no_other_anything(engine: AsyncEngine) -> None:
    access = Access(engine, ManualClock(START), token=None)
    assert await access.caller([HOST], "127.0.0.1") == Caller("loopback", Scope.ADMIN)
    refused = await access.caller([HOST], "203.0.113.9")
    assert isinstance(refused, Refusal)
    assert refused.status == 403


async def made(engine: AsyncEngine, name: str, scope: Scope, *, expires_s: float | None = None) -> str:
    token = new_token()
    expires_at = None if expires_s is None else START + timedelta(seconds=expires_s)
    async with engine.begin() as connection:
        assert await tokens.create(connection, name=name, token=token, scope=scope, expires_at=expires_at, now=START)
    return token


def bearing(token: str) -> list[tuple[bytes, bytes]]:
    return [HOST, (b"authorization", b"Bearer " + token.encode())]


async def test_once_there_is_a_token_this_machine_needs_one_too_even_if_it_was_revoked(engine: AsyncEngine) -> None:
    await made(engine, "ops", Scope.READ)
    async with engine.begin() as connection:
        await tokens.revoke(connection, "ops", now=START)
    caller = await Access(engine, ManualClock(START), token=None).caller([HOST], "127.0.0.1")
    assert isinstance(caller, Refusal)
    assert caller.status == 401


async def test_a_token_of_the_database_is_good_until_it_expires_or_is_revoked(engine: AsyncEngine) -> None:
    clock = ManualClock(START)
    access = Access(engine, clock, token="other")
    short = await made(engine, "short", Scope.READ, expires_s=10)
    long = await made(engine, "long", Scope.OPERATE)
    assert await access.caller(bearing(short), "203.0.113.9") == Caller("short", Scope.READ)
    assert await access.caller(bearing(long), "203.0.113.9") == Caller("long", Scope.OPERATE)
    clock.advance(10)
    assert isinstance(await access.caller(bearing(short), None), Refusal)
    async with engine.begin() as connection:
        await tokens.revoke(connection, "long", now=clock.now())
    clock.advance(TOKENS_FRESH_S)
    assert isinstance(await access.caller(bearing(long), None), Refusal)


async def test_the_token_itself_is_kept_nowhere_and_its_use_is_noted_once_a_minute(engine: AsyncEngine) -> None:
    clock = ManualClock(START)
    token = await made(engine, "ops", Scope.READ)
    seen = []
    access = Access(engine, clock, token=None)
    for _ in range(4):
        await access.caller(bearing(token), None)
        async with engine.connect() as connection:
            row = (await connection.execute(text("SELECT * FROM api_tokens"))).one()
        assert token not in str(row)
        seen.append((row.used_at - START).total_seconds())
        clock.advance(30)
    assert seen == [0, 0, 60, 60]


@pytest.mark.parametrize("scope, may", [(Scope.READ, {"read"}), (Scope.OPERATE, {"read", "operate"})])
async def test_a_scope_covers_what_is_below_it_and_no_more(engine: AsyncEngine, scope: Scope, may: set[str]) -> None:
    token = await made(engine, "ops", scope)
    asked = {
        "read": [("GET", "/v1/streams"), ("GET", "/v1/destinations"), ("GET", "/v1/destinations/x/parked")],
        "operate": [("POST", f"/v1/destinations/x/{verb}") for verb in ("pause", "resume", "rewind", "test")],
        "admin": [
            ("POST", "/v1/destinations"),
            ("PATCH", "/v1/destinations/x"),
            ("DELETE", "/v1/destinations/x"),
            ("POST", "/v1/destinations/x/rotate"),
            ("GET", "/v1/audit"),
        ],
    }
    async with reading(engine, peer="203.0.113.9") as client:
        client.headers["authorization"] = f"Bearer {token}"
        for needed, requests in asked.items():
            for method, path in requests:
                answer = await client.request(method, path)
                assert (answer.status_code == 403) == (needed not in may), (method, path, answer.text)


async def test_a_database_that_is_away_lets_the_environments_token_in_and_nobody_else(free_port: int) -> None:
    gone = make_engine(f"postgresql+asyncpg://bridge@127.0.0.1:{free_port}/bridge")
    async with reading(gone, token="right") as client:
        other: httpx.Response = await client.get("/v1/nowhere", headers={"authorization": "Bearer other"})
        right = await client.get("/v1/nowhere", headers={"authorization": "Bearer right"})
    assert (other.status_code, right.status_code) == (503, 404)
    await gone.dispose()
