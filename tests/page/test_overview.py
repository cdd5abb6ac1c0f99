"""The overview in a browser: everything on it, by eye, by keyboard and by ear."""

import re
from datetime import timedelta

import pytest
from playwright.async_api import Browser, expect
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.browsing import SCHEMES, Scheme, tab
from tests.page.filling import HOSTILE, fill, gap, now
from tests.web.listening import listening

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_everybody_can_read_the_overview(engine: AsyncEngine, browser: Browser, scheme: Scheme) -> None:
    await fill(engine)
    async with listening(engine) as place, tab(browser, place.address, scheme=scheme) as opened:
        page = opened.page
        await page.goto("/")
        await expect(page.locator("#live")).to_have_text("live")
        await opened.accessible()
        await opened.looked_at(f"overview-{scheme}")


async def test_a_narrow_screen_shows_it_too(engine: AsyncEngine, browser: Browser) -> None:
    await fill(engine)
    async with listening(engine) as place, tab(browser, place.address, width=360, height=740) as opened:
        await opened.page.goto("/")
        await expect(opened.page.locator("#live")).to_have_text("live")
        assert await opened.page.evaluate("document.documentElement.scrollWidth") <= 360
        await opened.accessible()
        await opened.looked_at("overview-narrow")


async def test_a_strip_says_in_words_what_it_shows(engine: AsyncEngine, browser: Browser) -> None:
    await fill(engine)
    async with listening(engine) as place, tab(browser, place.address) as opened:
        await opened.page.goto("/")
        numbers = opened.page.locator("#streams tr[data-key='pb.events'] svg")
        await expect(numbers).to_have_attribute(
            "aria-label", "Numbers 1 to 420: 12 open, 4 lost, 48 waiting, 336 proven, 20 void."
        )
        shown = await numbers.locator("rect").evaluate_all("all => all.map(one => one.getAttribute('class'))")
        assert set(shown) == {"m-proven", "m-void", "m-waiting", "m-open", "m-lost"}
        in_time = opened.page.locator("#streams tr[data-key='po.orders'] svg")
        await expect(in_time).to_have_attribute(
            "aria-label",
            re.compile("The last hour: 20s open, 45s lost, 2m 00s superseded, .* waiting, 56m .* proven."),
        )


async def test_the_strip_of_a_young_stream_shows_the_time_since_it_began(
    engine: AsyncEngine, browser: Browser
) -> None:
    await fill(engine)
    async with engine.begin() as conn:
        began = now() - timedelta(minutes=6)
        await conn.execute(text("UPDATE streams SET epoch_began_at = :at WHERE name = 'po.orders'"), {"at": began})
    async with listening(engine) as place, tab(browser, place.address) as opened:
        await opened.page.goto("/")
        in_time = opened.page.locator("#streams tr[data-key='po.orders'] svg")
        await expect(in_time).to_have_attribute("aria-label", re.compile("The last 6m .*: 20s open, .* proven."))


async def test_trouble_comes_first_and_urgent_gaps_are_told_from_others(
    engine: AsyncEngine, browser: Browser
) -> None:
    await fill(engine)
    async with engine.begin() as conn:
        late = await gap(
            conn, "po.wallet", 3, 3, opened=timedelta(hours=9), expires=timedelta(minutes=20), withheld="ordered"
        )
    async with listening(engine) as place, tab(browser, place.address) as opened:
        page = opened.page
        await page.goto("/")
        first = page.locator("#gaps tbody tr").first
        await expect(first.locator("th")).to_have_text(str(late))
        await expect(first.locator(".state")).to_have_class("state bad")
        await expect(first).to_contain_text("not proven: ordered")
        await expect(page.locator("#gaps tbody tr", has_text="settled").locator(".state")).to_have_class("state warn")
        order = await page.locator("#streams tbody th").all_text_contents()
        assert order[:3] == ["po.wallet", "pb.events", "po.orders"]
        await expect(page.locator("#figures")).to_contain_text(re.compile(r"nearest expiry in 1\dm"))
        await expect(page.locator("#sources tr[data-key='pb']")).to_contain_text("7 of 20 replay, 10/s")
        await expect(page.locator("#sources tr[data-key='pb']")).to_contain_text("paused")


async def test_hostile_names_are_shown_and_do_nothing(engine: AsyncEngine, browser: Browser) -> None:
    await fill(engine)
    async with listening(engine) as place, tab(browser, place.address) as opened:
        await opened.page.goto("/")
        shown = opened.page.locator("#streams tbody th", has_text="<img src=x")
        await expect(shown).to_have_text(HOSTILE.replace("\u202e", "\\u202e"))
        assert await opened.page.locator("img").count() == 0
