"""A gap that opens and heals while somebody watches: a venue, a bridge of its own process, and a real browser."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.sim.playbatman import Faults, SimConfig
from tests.browsing import tab
from tests.processes.bridges import SECRET, bridges, write_config
from tests.processes.carrier import carrying
from tests.processes.judging import is_complete, stream_of
from tests.processes.waiting import eventually
from tests.sim.serving import running

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(300)]

WITHIN_S = 60.0
PATIENCE_MS = WITHIN_S * 1000


async def test_a_gap_is_seen_to_open_and_to_heal_without_loading_the_page_again(
    engine: AsyncEngine,
    database_url: str,
    tmp_path: Path,
    free_ports: Callable[[int], list[int]],
    browser: Browser,
) -> None:
    [port] = free_ports(1)
    async with carrying(port, seed=5) as carrier:
        config = SimConfig(
            seed=5,
            faults=Faults(webhook_loss_rate=0.2),
            events_per_s=30.0,
            webhook_url=carrier.url,
            webhook_secret=SECRET,
        )
        async with running(config) as venue:
            file = write_config(tmp_path, venue=venue.port, destinations={})
            with bridges(tmp_path, file, database_url=database_url) as started:
                bridge = started.start("run", port=port)
                await bridge.ready()
                await eventually(lambda: has_begun(engine), within_s=WITHIN_S, state=bridge.tail)
                async with tab(browser, f"http://127.0.0.1:{port}") as opened:
                    page = opened.page
                    await page.goto("/")
                    await expect(page.locator("#live")).to_have_text("live")
                    await page.evaluate("window.same = true")
                    await venue.told("faults", error_rate=1.0)
                    row = page.locator("#gaps tbody tr", has=page.locator(".state", has_text="open")).first
                    await expect(row).to_be_visible(timeout=PATIENCE_MS)
                    countdown = row.locator("time[data-countdown]")
                    before = await countdown.text_content()
                    assert before is not None
                    assert before.startswith("in 23h")
                    number = await row.get_attribute("data-key")
                    await expect(page.locator("#streams tbody rect.m-open").first).to_be_visible()
                    await opened.looked_at("live-gap-open")
                    await venue.told("stop-emitting")
                    await venue.told("faults", error_rate=0.0)
                    await venue.told("drain")
                    head = (await venue.truth())[-1]["sequence"]
                    assert isinstance(head, int)
                    await eventually(lambda: is_complete(engine, head), within_s=WITHIN_S, state=bridge.tail)
                    states = page.locator("#gaps tbody .state")
                    await expect(states.filter(has_text="open")).to_have_count(0, timeout=PATIENCE_MS)
                    await expect(page.locator("#figures")).to_contain_text("nearest expiry –")
                    await expect(page.locator("#streams tbody rect.m-open")).to_have_count(0)
                    await opened.looked_at("live-gap-healed")
                    assert await page.evaluate("window.same") is True, "it is the page that was loaded first"
                    await page.goto(f"/streams/pb.events/gaps/{number}")
                    await expect(page.locator("#gap")).to_contain_text(
                        re.compile("found by replay|nothing was missing")
                    )
                bridge.terminate()
                assert await bridge.ended() == 0


async def has_begun(engine: AsyncEngine) -> bool:
    stream = await stream_of(engine)
    return stream is not None and stream.position > 20
