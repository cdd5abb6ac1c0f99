"""Signing in: with a good token only, not too often, into a page of our own, and out again."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from structlog.testing import capture_logs

from bridge.clock import ManualClock
from bridge.store.tokens import Scope
from bridge.web.page.login import own_path
from bridge.web.page.throttle import (
    ALL_FAILURES_MAX,
    PEER_FAILURES_MAX,
    PEER_FORGIVEN_S,
    PEERS_MAX,
    Throttle,
    peer_of,
)
from tests.events import START
from tests.page.signing import COOKIE, mark_in, post, sign_in, token_of
from tests.web.serving import app_of, reading


async def test_a_good_token_leads_to_the_page_that_was_asked_for(engine: AsyncEngine) -> None:
    token = await token_of(engine, "ops", Scope.READ)
    async with reading(engine, peer="203.0.113.9") as client:
        away = await client.get("/?a=1")
        assert (away.status_code, away.headers["location"]) == (303, "/login?next=%2F%3Fa%3D1")
        answer = await sign_in(client, token, wanted="/destinations?after=x")
        assert (answer.status_code, answer.headers["location"]) == (303, "/destinations?after=x")
        page = await client.get("/")
        assert page.status_code == 200
        assert "ops" in page.text
        assert (await client.get("/login?next=/alerts")).headers["location"] == "/alerts", "who is in stays in"


async def test_a_page_whose_name_holds_odd_signs_is_found_again_after_signing_in(engine: AsyncEngine) -> None:
    async with reading(engine, token="right", peer="203.0.113.9") as client:
        away = await client.get("/streams/a%20b%3Fc%E2%82%AC/log?after=1")
        [wanted] = parse_qs(urlsplit(away.headers["location"]).query)["next"]
        answer = await sign_in(client, "right", wanted=wanted)
        assert answer.headers["location"] == "/streams/a%20b%3Fc%E2%82%AC/log?after=1"


async def test_the_token_of_the_environment_is_good_too(engine: AsyncEngine) -> None:
    async with reading(engine, token="right", peer="203.0.113.9") as client:
        assert (await sign_in(client, "right")).status_code == 303
        assert "environment" in (await client.get("/")).text


@pytest.mark.parametrize("token", ["", "wrong", "righ", "right ten", "r\u00efght", "x" * 3_000])
async def test_another_token_is_refused_with_a_sentence_and_kept_nowhere(engine: AsyncEngine, token: str) -> None:
    async with reading(engine, token="right") as client:
        with capture_logs() as logs:
            answer = await sign_in(client, token)
    assert answer.status_code == 401
    assert "This token is not good" in answer.text
    assert COOKIE not in answer.headers.get("set-cookie", "").replace("bridge_login", "")
    assert [line["event"] for line in logs] == ["login.refused"]
    if token:
        assert token not in str(logs)
        assert token not in answer.text


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/ok\\..\\x",
        "/a b",
        "/a\r\nSet-Cookie: x=1",
        "/a\t/b",
        "/\t/evil.example",
        "evil.example",
        "/caf\u00e9",
        "/login?next=/login",
        "/" + "x" * 2_001,
        " /alerts",
    ],
)
def test_no_form_of_a_foreign_address_is_led_to(given: str | None) -> None:
    assert own_path(given) == "/"


@pytest.mark.parametrize("given", ["/", "/destinations/ledger?after=a%2Fb&x=1", "/streams/pb.events", "/a//b", "/~x"])
def test_a_path_of_our_own_is_led_to(given: str) -> None:
    assert own_path(given) == given


async def test_a_hostile_address_in_the_form_leads_home(engine: AsyncEngine) -> None:
    async with reading(engine, token="right") as client:
        page = await client.get("/login", params={"next": "//evil.example"})
        assert "evil.example" not in page.text
        answer = await post(client, "/login", csrf=mark_in(page), next="//evil.example", token="right")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://localhost", "sec-fetch-site": "cross-site"},
        {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
async def test_a_page_of_somebody_elses_signs_nobody_in(engine: AsyncEngine, headers: dict[str, str]) -> None:
    async with reading(engine, token="right") as client:
        page = await client.get("/login")
        answer = await post(client, "/login", headers, csrf=mark_in(page), token="right")
        assert answer.status_code == 403
        assert COOKIE not in client.cookies


@pytest.mark.parametrize("mark", ["", "00" * 16, None])
async def test_a_form_without_the_mark_of_its_own_page_signs_nobody_in(engine: AsyncEngine, mark: str | None) -> None:
    async with reading(engine, token="right") as client, reading(engine, token="right") as other:
        await client.get("/login")
        given = mark_in(await other.get("/login")) if mark is None else mark
        assert (await post(client, "/login", csrf=given, token="right")).status_code == 403
        assert COOKIE not in client.cookies


async def test_who_guesses_too_often_must_wait_even_with_a_good_token(engine: AsyncEngine) -> None:
    clock = ManualClock(START)
    async with reading(engine, token="right", peer="203.0.113.9", clock=clock) as client:
        for _ in range(PEER_FAILURES_MAX):
            assert (await sign_in(client, "wrong")).status_code == 401
        answer = await sign_in(client, "right")
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= PEER_FORGIVEN_S
        assert "Too many tokens" in answer.text
        clock.advance(PEER_FORGIVEN_S)
        assert (await sign_in(client, "right")).status_code == 303


async def test_who_guesses_side_by_side_gets_no_more_tries(engine: AsyncEngine) -> None:
    async with reading(engine, token="right", peer="203.0.113.9", clock=ManualClock(START)) as client:
        mark = mark_in(await client.get("/login"))
        async with asyncio.TaskGroup() as group:
            sent = [
                group.create_task(post(client, "/login", csrf=mark, token=f"guess-{nth}"))
                for nth in range(4 * PEER_FAILURES_MAX)
            ]
        statuses = [one.result().status_code for one in sent]
        assert sorted(statuses) == [401] * PEER_FAILURES_MAX + [429] * (3 * PEER_FAILURES_MAX)


async def test_guesses_from_many_addresses_keep_nobody_out_who_has_signed_in_before(engine: AsyncEngine) -> None:
    app = app_of(engine, token="right", clock=ManualClock(START))

    def at(peer: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(peer, 1)), base_url="http://localhost")

    async with at("203.0.113.9") as known, at("203.0.113.10") as stranger:
        await sign_in(known, "right")
        for nth in range(ALL_FAILURES_MAX):
            async with at(f"198.51.100.{nth}") as guessing:
                assert (await sign_in(guessing, "wrong")).status_code == 401
        assert (await sign_in(stranger, "right")).status_code == 429
        await post(known, "/logout", csrf=mark_in(await known.get("/")))
        assert (await sign_in(known, "right")).status_code == 303
        await post(known, "/logout", csrf=mark_in(await known.get("/")))
        for _ in range(PEER_FAILURES_MAX):
            assert (await sign_in(known, "wrong")).status_code == 401
        assert (await sign_in(known, "right")).status_code == 429, "what it guesses itself counts all the same"


def test_one_who_guesses_keeps_nobody_else_out_and_many_are_held_back_together() -> None:
    throttle = Throttle()
    for _ in range(PEER_FAILURES_MAX):
        throttle.fail("one", 0.0)
    assert throttle.wait_s("one", 0.0) == PEER_FORGIVEN_S
    assert throttle.wait_s("two", 0.0) == 0
    assert throttle.wait_s("one", PEER_FORGIVEN_S) == 0
    for number in range(ALL_FAILURES_MAX):
        throttle.fail(f"peer-{number}", PEER_FORGIVEN_S)
    assert throttle.wait_s("two", PEER_FORGIVEN_S) > 0
    assert throttle.wait_s("two", PEER_FORGIVEN_S + 2) == 0


def test_however_many_guess_or_sign_in_a_bounded_number_is_remembered() -> None:
    throttle = Throttle()
    for number in range(PEERS_MAX * 3):
        throttle.fail(f"peer-{number}", float(number))
        throttle.welcome(f"peer-{number}")
    assert len(throttle._peers) == PEERS_MAX
    assert len(throttle._welcome) == PEERS_MAX


def request(peer: str | None, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    return Request({"type": "http", "headers": headers, "client": None if peer is None else (peer, 1)})


@pytest.mark.parametrize(
    "peer, forwarded, counted",
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.1.2.3", ["198.51.100.1, 198.51.100.2"], "198.51.100.2"),
        ("127.0.0.1", ["198.51.100.1", "198.51.100.3"], "198.51.100.3"),
        ("10.1.2.3", ["nonsense"], "None"),
        ("2001:db8:1:2:3::4", [], "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", ["198.51.100.4"], "198.51.100.4"),
        ("169.254.8.129", ["198.51.100.5"], "198.51.100.5"),
        ("10.1.2.3", ["198.51.100.6:50123"], "198.51.100.6"),
        ("10.1.2.3", ["[2001:db8:1:2:3::4]:50123"], "2001:db8:1:2::/64"),
        ("10.1.2.3", ["[nonsense"], "None"),
        (None, [], "None"),
    ],
)
def test_a_peer_is_who_nobody_can_pretend_to_be(peer: str | None, forwarded: list[str], counted: str) -> None:
    assert peer_of(request(peer, *forwarded)) == counted


async def test_signing_out_ends_the_session_of_this_browser(engine: AsyncEngine) -> None:
    async with reading(engine, token="right", peer="203.0.113.9") as client:
        await sign_in(client, "right")
        page = await client.get("/")
        assert (await post(client, "/logout", csrf="")).status_code == 403, "only by the form of the page"
        answer: httpx.Response = await post(client, "/logout", csrf=mark_in(page))
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert (await client.get("/")).status_code == 303
        assert COOKIE not in client.cookies


async def test_who_comes_by_a_link_from_elsewhere_may_go_on_and_keeps_the_session(engine: AsyncEngine) -> None:
    async with reading(engine, token="right", peer="203.0.113.9") as client:
        await sign_in(client, "right")
        held = client.cookies[COOKIE]
        client.cookies.clear()  # as a browser holds it back
        page = await client.get("/login", params={"next": "/alerts"}, headers={"sec-fetch-site": "cross-site"})
        assert '<a href="/alerts">' in page.text
        assert COOKIE not in page.headers["set-cookie"]
        client.cookies.set(COOKIE, held)
        assert (await client.get("/")).status_code == 200
