"""An operator's day in a real browser: by keyboard, by eye and by ear, beside a delivery that goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.store.tokens import Scope
from tests.browsing import SCHEMES, Scheme, Tab, tab
from tests.logs import append_events
from tests.page.operating import LEDGER, NO, delivered, with_alerts, with_parked
from tests.page.signing import token_of
from tests.web.operators import OK, Bridge, operated

pytestmark = pytest.mark.anyio

LONG_S = 120
TICK_S = 0.05


async def sign_in(page: Page, token: str, *, wanted: str = "/destinations") -> None:
    """By keyboard alone: the page puts the cursor where the token goes."""
    await page.goto(wanted)
    await expect(page.get_by_label("API token")).to_be_focused()
    await page.keyboard.type(token)
    await enter(page)
    await expect(page).to_have_url(wanted)


async def enter(page: Page) -> None:
    """Press it, and wait for the page that it leads to."""
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


async def by_keyboard(page: Page, name: str) -> None:
    """Go to a link or a button by the tabulator, and press it."""
    for _ in range(120):
        await page.keyboard.press("Tab")
        held = await page.evaluate(
            "(document.activeElement.getAttribute('aria-label') || document.activeElement.textContent || '').trim()"
        )
        if held == name:
            await enter(page)
            return
    raise AssertionError(f"the tabulator does not lead to {name}")


@asynccontextmanager
async def passing(bridge: Bridge, *, delivering: bool = False) -> AsyncIterator[None]:
    """Let time pass, and deliver whatever is due, for as long as the block lasts."""
    ended = asyncio.Event()

    async def pass_by() -> None:
        while not ended.is_set():
            bridge.clock.advance(TICK_S)
            if delivering:
                await bridge.deliver()
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await ended.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(pass_by())
        try:
            yield
        finally:
            ended.set()


@asynccontextmanager
async def seated(
    engine: AsyncEngine, browser: Browser, scope: Scope = Scope.OPERATE, *, scheme: Scheme = "light"
) -> AsyncIterator[tuple[Bridge, Tab]]:
    """Somebody with this scope before a bridge, signed in."""
    token = await token_of(engine, "night-shift", scope)
    async with (
        operated(engine, token="environment-token", within_s=LONG_S) as bridge,
        tab(browser, bridge.address, scheme=scheme) as opened,
    ):
        await sign_in(opened.page, token)
        async with passing(bridge):
            yield bridge, opened


@pytest.mark.timeout(LONG_S)
async def test_a_destination_is_paused_rewound_and_resumed_under_delivery(
    engine: AsyncEngine, browser: Browser
) -> None:
    async with seated(engine, browser) as (bridge, opened):
        await delivered(engine, bridge)
        page = opened.page
        async with passing(bridge, delivering=True):
            await page.goto("/destinations/ledger")
            row = page.locator("#streams tbody tr").first
            await expect(row).to_contain_text("pb.events")
            await append_events(engine, "pb.events", 5)
            await expect(row.locator("td").first).to_have_text("15")

            await by_keyboard(page, "Pause")
            await page.get_by_label("Reason").focus()
            await page.keyboard.type("they are moving")
            await by_keyboard(page, "Pause")
            await expect(page.get_by_role("status").filter(has_text="ledger is paused")).to_be_visible()
            await expect(page.locator("#health")).to_contain_text("they are moving")
            await append_events(engine, "pb.events", 5)
            await expect(row.locator("td").nth(1)).to_have_text("20")
            assert bridge.post.positions()[-1] == 15

            await by_keyboard(page, "Rewind pb.events")
            await page.get_by_label("Position", exact=True).focus()
            await page.keyboard.type("12")
            await enter(page)
            await expect(page.locator("main")).to_contain_text("4 entries are sent again.")
            await by_keyboard(page, "Rewind")
            await expect(page.locator(".message")).to_contain_text("4 entries sent again")
            await expect(row.locator("td").first).to_have_text("11")

            await by_keyboard(page, "Resume")
            await by_keyboard(page, "Resume")
            await expect(page.locator(".message")).to_contain_text("ledger is resumed")
            await expect(row.locator("td").first).to_have_text("20")
    assert bridge.post.positions()[15:] == list(range(12, 21))
    async with engine.connect() as conn:
        rows = (
            await conn.execute(text("SELECT actor, action FROM audit WHERE actor <> 'environment' ORDER BY id"))
        ).all()
    assert [tuple(one) for one in rows] == [
        ("night-shift", f"destination.{verb}") for verb in ("paused", "rewound", "resumed")
    ]


@pytest.mark.timeout(LONG_S)
async def test_a_parked_entry_is_redelivered_and_another_given_up(engine: AsyncEngine, browser: Browser) -> None:
    async with seated(engine, browser) as (bridge, opened):
        await with_parked(engine, bridge)
        page = opened.page
        await page.goto("/destinations/ledger/parked")
        await by_keyboard(page, "Entry 1 of pb.events")
        await by_keyboard(page, "Redeliver")
        await by_keyboard(page, "Redeliver")
        await expect(page.locator(".message")).to_contain_text("is sent to ledger again")
        async with asyncio.TaskGroup() as group:
            await bridge.directory.tick()
            await bridge.deliverer.tick(group)
            bridge.deliverer.stop()
        await page.reload()
        await expect(page.locator("h1")).to_contain_text("redelivered")
        assert bridge.post.positions()[3:] == [1]
        await page.goto("/destinations/ledger/parked/pb.events/2/discard")
        await page.get_by_label("Reason").fill("a test order")
        await enter(page)
        await expect(page.locator(".message")).to_contain_text("is discarded")
        await expect(page.locator("h1")).to_contain_text("discarded")


@pytest.mark.timeout(LONG_S)
async def test_an_alert_is_silenced_and_told_of_again_and_one_signs_out(
    engine: AsyncEngine, browser: Browser
) -> None:
    await with_alerts(engine)
    async with seated(engine, browser) as (_, opened):
        page = opened.page
        await page.goto("/alerts")
        await by_keyboard(page, "Silence gap_open pb.events")
        await page.get_by_label("Reason").focus()
        await page.keyboard.type("known")
        await enter(page)
        await expect(page.locator(".message")).to_contain_text("Silence 1 holds")
        await expect(page.locator("#firing tbody tr", has_text="gap_open")).to_contain_text("silenced")
        await by_keyboard(page, "End silence 1")
        await by_keyboard(page, "End it")
        await expect(page.locator(".message")).to_contain_text("Silence 1 is over")
        await expect(page.locator("#firing")).not_to_contain_text("silenced")
        await by_keyboard(page, "Sign out")
        await expect(page).to_have_url("/login")
        await page.goto("/alerts")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.timeout(LONG_S)
async def test_without_script_everything_can_be_done_too(engine: AsyncEngine, browser: Browser) -> None:
    async with operated(engine, token="environment-token", within_s=LONG_S) as bridge:
        await delivered(engine, bridge)
        async with tab(browser, bridge.address, scripts=False) as opened:
            page = opened.page
            await page.goto("/destinations/ledger")
            await page.get_by_label("API token").fill("environment-token")
            await page.get_by_role("button", name="Sign in").click()
            await page.get_by_role("link", name="Pause").click()
            await page.get_by_role("button", name="Pause").click()
            await expect(page.locator(".message")).to_contain_text("ledger is paused")


@pytest.mark.timeout(LONG_S)
async def test_a_page_that_is_watched_ends_with_the_token(engine: AsyncEngine, browser: Browser) -> None:
    async with seated(engine, browser, Scope.READ) as (bridge, opened):
        page = opened.page
        await expect(page.locator("#live")).to_have_text("live")
        async with engine.begin() as conn:
            await conn.execute(text("UPDATE api_tokens SET revoked_at = now()"))
        bridge.clock.advance(10)
        await expect(page.locator("#live")).to_have_text("you are signed out: load the page anew")
        await page.reload()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


PAGES = {
    "destinations": "/destinations",
    "destination": "/destinations/ledger",
    "attempts": "/destinations/ledger/attempts",
    "parked": "/destinations/ledger/parked",
    "parked-entry": "/destinations/ledger/parked/pb.events/1",
    "pause": "/destinations/ledger/pause",
    "resume": "/destinations/ledger/resume",
    "test": "/destinations/ledger/test",
    "rewind": "/destinations/ledger/rewind",
    "rewind-preview": "/destinations/ledger/rewind?stream=pb.events&to=position&position=2",
    "redeliver-all": "/destinations/ledger/parked/redeliver",
    "redeliver": "/destinations/ledger/parked/pb.events/1/redeliver",
    "discard": "/destinations/ledger/parked/pb.events/1/discard",
    "alerts": "/alerts",
    "silence": "/alerts/silence?rule=gap_open&subject=pb.events",
    "unsilence": "/alerts/silences/1/end",
    "alerts-test": "/alerts/test",
    "audit": "/audit",
}


async def full(engine: AsyncEngine, bridge: Bridge) -> None:
    """Something on every page: one that has parked, one that fails, one that is paused."""
    await with_alerts(engine)
    async with engine.begin() as conn:
        await conn.execute(
            text(
                "INSERT INTO silences (rule, subject, reason, made_at, made_by, until)"
                " VALUES ('gap_*', 'pb.events', 'the venue moves <b>house</b>', :now, 'ops', :until)"
            ),
            {"now": bridge.clock.now(), "until": bridge.clock.now().replace(year=2027)},
        )
    await with_parked(engine, bridge)
    for name, answer in (("archive", NO), ("search", OK)):
        await bridge.call("POST", "/destinations", {**LEDGER, "name": name}, status=201)
        bridge.post.answer = answer
        await bridge.deliver()
    await bridge.call("POST", "/destinations/search/pause", {"reason": "until the new index is there"})
    await append_events(engine, "pb.events", 4)


@pytest.mark.timeout(LONG_S)
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_nobody_is_kept_out_of_any_page(engine: AsyncEngine, browser: Browser, scheme: Scheme) -> None:
    async with seated(engine, browser, Scope.ADMIN, scheme=scheme) as (bridge, opened):
        await full(engine, bridge)
        for name, path in PAGES.items():
            answer = await opened.page.goto(path)
            assert answer is not None
            assert answer.status == 200, path
            await opened.accessible()
            await opened.looked_at(f"{name}-{scheme}")
            assert await opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    async with (
        operated(engine, token="t", within_s=LONG_S) as bridge,
        tab(browser, bridge.address, scheme=scheme) as out,
    ):
        await out.page.goto("/login?next=/alerts")
        await out.accessible()
        await out.looked_at(f"login-{scheme}")
        await out.page.get_by_label("API token").fill("wrong")
        await enter(out.page)
        await expect(out.page.get_by_role("alert")).to_contain_text("This token is not good")
        await out.accessible()
        await out.looked_at(f"login-refused-{scheme}")
        out.said.clear()  # the browser says that the answer was a 401


@pytest.mark.timeout(LONG_S)
async def test_a_narrow_screen_shows_the_operators_pages_too(engine: AsyncEngine, browser: Browser) -> None:
    async with operated(engine, within_s=LONG_S) as bridge, tab(browser, bridge.address, width=360) as opened:
        await full(engine, bridge)
        for name in ("destinations", "destination", "rewind-preview", "alerts"):
            await opened.page.goto(PAGES[name])
            assert await opened.page.evaluate("document.documentElement.scrollWidth") <= 360, name
            await opened.accessible()
            await opened.looked_at(f"{name}-narrow")
