"""Sessions: signed, out of reach of scripts, and good for no longer than the token that they began with."""

import secrets
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.config import Settings
from bridge.store import tokens
from bridge.store.tokens import Scope
from bridge.store.vault import new_key
from bridge.web.access import TOKENS_FRESH_S
from bridge.web.page.session import LIFE_S, Said, Session, Signer, keys_of
from tests.events import START
from tests.page.signing import COOKIE, mark_in, post, sign_in, token_of
from tests.web.serving import reading

SESSION = Session("7", "f" * 32, "n" * 32, 1)


def cookie_of(answer: httpx.Response, name: str) -> str:
    return next(line for line in answer.headers.get_list("set-cookie") if line.startswith(name))


async def test_no_script_and_no_other_site_gets_at_the_cookie(engine: AsyncEngine) -> None:
    async with reading(engine, token="right") as client:
        flags = cookie_of(await sign_in(client, "right"), COOKIE).partition("; ")[2]
        assert flags == f"HttpOnly; Max-Age={LIFE_S}; Path=/; SameSite=strict"
        forwarded = {"x-forwarded-proto": "https", "origin": "https://localhost", "sec-fetch-site": "same-origin"}
        page = await client.get("/login", headers=forwarded)
        client.cookies.set("__Host-bridge_login", cookie_of(page, "__Host-bridge_login").partition(";")[0][20:])
        answer = await post(client, "/login", forwarded, csrf=mark_in(page), token="right")
        line = cookie_of(answer, "__Host-bridge_session=")
        assert line.endswith("SameSite=strict; Secure")
        assert "Domain" not in line


async def test_the_cookie_does_not_hold_the_token(engine: AsyncEngine) -> None:
    token = await token_of(engine, "ops", Scope.READ)
    async with reading(engine) as client:
        await sign_in(client, token)
        held = client.cookies[COOKIE]
    assert token not in held
    read = Signer([b"other"])._serializer("session").loads_unsafe(held)[1]
    assert token not in str(read)
    assert tokens.digest_of(token.encode()).hex() not in str(read)


@pytest.mark.parametrize("where", [0, 10, -2])  # of the last sign not every bit counts
async def test_a_cookie_that_was_tampered_with_is_nobodys(engine: AsyncEngine, where: int) -> None:
    async with reading(engine, token="right", peer="203.0.113.9") as client:
        await sign_in(client, "right")
        held = client.cookies[COOKIE]
        at = where % len(held)
        for other in (
            held[:at] + ("A" if held[at] != "A" else "B") + held[at + 1 :],
            held[:-5],
            "",
            "x",
            "x" * 9_000,
        ):
            client.cookies.clear()
            client.cookies.set(COOKIE, other)
            assert (await client.get("/")).status_code == 303


def test_what_was_signed_as_something_else_or_by_somebody_else_is_not_taken() -> None:
    signer = Signer([b"key"])
    assert signer.read("session", Session, signer.write("session", SESSION)) == SESSION
    assert signer.read("session", Session, signer.write("said", SESSION)) is None
    assert signer.read("session", Session, Signer([b"other"]).write("session", SESSION)) is None
    assert signer.read("session", Session, signer.write("session", Said("n", "text"))) is None
    assert signer.is_mark("form", b"a", signer.mark("form", b"a"))
    for given in (
        signer.mark("form", b"b"),
        signer.mark("token", b"a"),
        Signer([b"o"]).mark("form", b"a"),
        "",
        "\u00e9",
    ):
        assert not signer.is_mark("form", b"a", given)


async def test_a_session_is_over_after_half_a_day(engine: AsyncEngine) -> None:
    clock = ManualClock(START)
    async with reading(engine, token="right", peer="203.0.113.9", clock=clock) as client:
        await sign_in(client, "right")
        clock.advance(LIFE_S - 1)
        assert (await client.get("/")).status_code == 200
        clock.advance(1)
        assert (await client.get("/")).status_code == 303


async def test_a_token_that_is_revoked_or_expires_ends_its_sessions(engine: AsyncEngine) -> None:
    clock = ManualClock(START)
    revoked = await token_of(engine, "revoked", Scope.READ)
    async with engine.begin() as conn:
        expiring, until = tokens.new_token(), START + timedelta(hours=1)
        await tokens.create(conn, name="brief", token=expiring, scope=Scope.READ, expires_at=until, now=START)
    for token, ends in ((revoked, TOKENS_FRESH_S), (expiring, 3600)):
        async with reading(engine, peer="203.0.113.9", clock=clock) as client:
            await sign_in(client, token)
            if token is revoked:
                async with engine.begin() as conn:
                    await tokens.revoke(conn, "revoked", now=clock.now())
            else:
                assert (await client.get("/")).status_code == 200
            clock.advance(ends)
            assert (await client.get("/")).status_code == 303


async def test_another_token_in_the_environment_ends_the_sessions_of_the_former_one(engine: AsyncEngine) -> None:
    key = new_key()
    async with reading(engine, token="former", peer="203.0.113.9", keys=(key,)) as client:
        await sign_in(client, "former")
        held = client.cookies[COOKIE]
    for token, status in (("former", 200), ("latter", 303), (None, 403)):
        async with reading(engine, token=token, peer="203.0.113.9", keys=(key,)) as client:
            client.cookies.set(COOKIE, held)
            assert (await client.get("/")).status_code == status, token


async def test_sessions_outlive_a_restart_and_a_new_secret_key_for_as_long_as_the_old_one_is_there(
    engine: AsyncEngine,
) -> None:
    old, new = new_key(), new_key()
    async with reading(engine, token="right", peer="203.0.113.9", keys=(old,)) as client:
        await sign_in(client, "right")
        held = client.cookies[COOKIE]
    for keys, status in (((old,), 200), ((new, old), 200), ((new,), 303), ((), 303)):
        async with reading(engine, token="right", peer="203.0.113.9", keys=keys) as client:
            client.cookies.set(COOKIE, held)
            page = await client.get("/")
            assert page.status_code == status
            if status == 200:
                assert (await post(client, "/logout", csrf=mark_in(page))).status_code == 303


def test_what_is_signed_with_comes_from_the_secret_keys_or_the_token_and_is_neither() -> None:
    keys = (new_key(), new_key())
    both = Settings(secret_key=tuple(SecretStr(key) for key in keys), api_token=SecretStr("right"))
    assert keys_of(both) == keys_of(both)
    assert len(keys_of(both)) == 2
    assert keys_of(Settings(api_token=SecretStr("right"))) == keys_of(Settings(api_token=SecretStr("right")))
    assert keys_of(Settings(api_token=SecretStr("right"))) != keys_of(Settings(api_token=SecretStr("wrong")))
    assert keys_of(Settings()) != keys_of(Settings()), "good for one process alone"
    assert not {*keys, "right"} & {key.decode("latin-1") for key in keys_of(both)}


async def test_where_there_is_no_token_this_machine_comes_in_and_the_page_says_so(engine: AsyncEngine) -> None:
    async with reading(engine) as client:
        page = await client.get("/")
        assert page.status_code == 200
        assert "There is no token" in page.text
        assert (await client.get("/login?next=/alerts")).headers["location"] == "/alerts"
    async with reading(engine, peer="203.0.113.9") as client:
        for path in ("/", "/login"):
            answer = await client.get(path)
            assert answer.status_code == 403
            assert "BRIDGE_API_TOKEN" in answer.text


async def test_a_session_of_this_machine_ends_with_the_first_token(engine: AsyncEngine) -> None:
    clock = ManualClock(START)
    async with reading(engine, clock=clock) as client:
        page = await client.get("/")
        await token_of(engine, "ops", Scope.READ)
        clock.advance(TOKENS_FRESH_S)
        assert (await client.get("/")).headers["location"].startswith("/login")
        assert (
            (await post(client, "/logout", csrf=mark_in(await client.get("/login"))))
            .headers["location"]
            .startswith("/login?next=")
        )
        assert page.status_code == 200


async def test_a_program_may_look_at_pages_with_its_token_and_sends_no_form(engine: AsyncEngine) -> None:
    async with reading(engine, token="right", peer="203.0.113.9") as client:
        client.headers["authorization"] = "Bearer right"
        page = await client.get("/")
        assert page.status_code == 200
        assert "set-cookie" not in page.headers
        assert (await post(client, "/logout", csrf=mark_in(page))).status_code == 403
        client.headers["authorization"] = f"Bearer {secrets.token_hex(8)}"
        assert (await client.get("/")).status_code == 303
