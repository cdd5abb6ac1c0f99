"""The overview in a browser: everything on it, by eye, by keyboard and by ear."""

import pytest
from playwright.async_api import Browser, expect
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.browsing import SCHEMES, Scheme, tab
from tests.page.filling import HOSTILE, fill
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


async def test_hostile_names_are_shown_and_do_nothing(engine: AsyncEngine, browser: Browser) -> None:
    await fill(engine)
    async with listening(engine) as place, tab(browser, place.address) as opened:
        await opened.page.goto("/")
        shown = opened.page.locator("#streams tbody th", has_text="<img src=x")
        await expect(shown).to_have_text(HOSTILE.replace("\u202e", "\\u202e"))
        assert await opened.page.locator("img").count() == 0
