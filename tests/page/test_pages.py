"""Every page in a browser: for everybody's eyes, in both schemes, and with nothing said on the console."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, expect
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.report import Period, make
from bridge.store import reports
from tests.browsing import SCHEMES, Scheme, tab
from tests.page.filling import HOSTILE, Day, fill, now
from tests.web.listening import listening

pytestmark = pytest.mark.anyio

WITHIN_S = 170


async def keep_a_report(engine: AsyncEngine) -> str:
    """Of the day on which all of it was filled in, which this returns."""
    day = now().replace(hour=0, minute=0, second=0, microsecond=0)
    async with engine.begin() as conn:
        report = await make(conn, Period.of(day, day + timedelta(days=1)), now=now())
        made_at = day + timedelta(days=1, minutes=15)
        await reports.keep(
            conn, since=report.since, until=report.until, body=reports.packed(report.chunks()), digest=report.digest,
            names=(), now=made_at,
        )  # fmt: skip
    return f"{day:%Y-%m-%d}"


def pages(day: Day) -> dict[str, str]:
    """Each page by the name of its picture."""
    return {
        "streams": "/streams",
        "streams-trouble": "/streams?show=trouble",
        "streams-none": "/streams?find=nothing",
        "stream": f"/streams/{day.stream}",
        "stream-in-time": "/streams/po.orders",
        "stream-hostile": f"/streams/{quote(HOSTILE, safe='')}",
        "gaps": f"/streams/{day.stream}/gaps",
        "gap-open": f"/streams/{day.stream}/gaps/{day.open_gap}",
        "gap-lost": f"/streams/{day.stream}/gaps/{day.lost_gap}",
        "log": f"/streams/{day.stream}/log",
        "entry": f"/streams/{day.stream}/log/300",
        "entry-gap": f"/streams/{day.stream}/log/41",
        "entry-hostile": f"/streams/{quote(HOSTILE, safe='')}/log/2",
        "reports": "/reports",
    }


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_everybody_can_read_every_page(engine: AsyncEngine, browser: Browser, scheme: Scheme) -> None:
    day = await fill(engine)
    await keep_a_report(engine)
    async with listening(engine, within_s=WITHIN_S) as place:
        for name, path in pages(day).items():
            async with tab(browser, place.address, scheme=scheme) as opened:
                answer = await opened.page.goto(path)
                assert answer is not None
                assert answer.status == 200, name
                if name != "reports":
                    await expect(opened.page.locator("#live")).to_have_text("live")
                assert await opened.page.locator("script").count() == 1, "the page's own"
                assert await opened.page.locator("img, b b").count() == 0
                await opened.looked_at(f"{name}-{scheme}")
                await opened.accessible()


@pytest.mark.timeout(180)
async def test_no_page_is_wider_than_a_narrow_screen(engine: AsyncEngine, browser: Browser) -> None:
    day = await fill(engine)
    async with listening(engine, within_s=WITHIN_S) as place:
        for name, path in pages(day).items():
            async with tab(browser, place.address, width=360, height=740) as opened:
                await opened.page.goto(path)
                await opened.looked_at(f"{name}-narrow")
                assert await opened.page.evaluate("document.documentElement.scrollWidth") <= 360, name
