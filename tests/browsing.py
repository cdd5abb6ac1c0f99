"""A real browser on a page: what it says, whether everybody can use it, and what it looks like."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright, expect

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SCREENSHOTS = Path(__file__).parents[1] / "build" / "screenshots"
"""Where each page's looks are kept, for people to look at. Git ignores it."""
PATIENCE_MS = 30_000
"""For what must come about: a busy machine takes its time, and whoever waits goes on at once when it is there."""

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The system's browser; where there is none the test is skipped, but never where CI is set."""
    found = shutil.which("chromium")
    if found is None and "CI" not in os.environ:  # noqa: TID251 - a test may look where it runs
        pytest.skip("there is no chromium on this machine")
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        await browser.close()


@dataclass(slots=True)
class Tab:
    """A page and everything that its console said."""

    page: Page
    said: list[str] = field(default_factory=list)

    async def accessible(self) -> None:
        """Nothing that axe knows keeps anybody out."""
        found = await Axe().run(self.page)
        assert found.violations_count == 0, found.generate_report()

    async def looked_at(self, name: str) -> None:
        """Keep what it looks like."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@asynccontextmanager
async def tab(
    browser: Browser,
    address: str,
    *,
    scheme: Scheme = "light",
    width: int = 1280,
    height: int = 900,
    scripts: bool = True,
) -> AsyncIterator[Tab]:
    """A tab of its own, whose console must have said nothing in the end: no error, no breach of the policy."""
    context = await browser.new_context(
        base_url=address,
        color_scheme=scheme,
        viewport={"width": width, "height": height},
        java_script_enabled=scripts,
        bypass_csp=False,
    )
    context.set_default_timeout(PATIENCE_MS)
    opened = Tab(await context.new_page())
    opened.page.on("console", lambda message: opened.said.append(message.text))
    opened.page.on("pageerror", lambda error: opened.said.append(str(error)))
    try:
        yield opened
        assert opened.said == [], opened.said
    finally:
        await context.close()
