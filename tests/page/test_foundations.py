"""What all pages have: the policy, the words for what cannot be shown, and a browser that is content with both."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from playwright.async_api import Browser
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.span import Span
from bridge.core.strip import Mark, over_time
from bridge.web.page.rendering import Rendering
from bridge.web.page.static import Static
from bridge.web.page.words import plain
from tests.browsing import SCHEMES, Scheme, tab
from tests.events import START
from tests.web.listening import listening
from tests.web.serving import reading

pytestmark = pytest.mark.anyio


async def test_every_answer_forbids_what_it_does_not_need(engine: AsyncEngine) -> None:
    async with reading(engine) as client:
        for path, status in (("/", 200), ("/nowhere", 404), ("/?what=1", 400)):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none';")
            assert "unsafe" not in policy
            assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == (
                "no-store",
                "nosniff",
            )


def test_a_wheel_brings_templates_style_and_script(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    made = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=root,
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    [wheel] = tmp_path.glob("*.whl")
    packed = set(ZipFile(wheel).namelist())
    parts = [path for folder in ("templates", "static") for path in (root / "bridge/web/page" / folder).iterdir()]
    assert len(parts) > 10
    assert {str(path.relative_to(root)) for path in parts} <= packed


async def test_style_and_script_are_kept_by_browsers_until_they_change(engine: AsyncEngine) -> None:
    async with reading(engine, token="right") as client:
        page = (await client.get("/nowhere")).text
        for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript"), ("mark.svg", "image/svg+xml")):
            [address] = set(re.findall(rf'"(/static/{re.escape(name)}\?v=[0-9a-f]{{16}})"', page))
            answer = await client.get(address)
            assert answer.headers["content-type"].startswith(kind)
            assert "immutable" in answer.headers["cache-control"]
            other = await client.get(f"/static/{name}?v=older")
            assert (other.headers["cache-control"], other.content) == ("no-cache", answer.content)
        assert (await client.get("/static/page.py")).status_code == 404


async def test_who_may_not_come_in_is_told_so_and_sees_nothing(engine: AsyncEngine) -> None:
    async with reading(engine, token="right") as client:
        without = await client.get("/")
        assert without.status_code == 303
        assert "Overview" not in without.text
        assert (await client.get("/", headers={"Authorization": "Bearer right"})).status_code == 200


@pytest.mark.parametrize(
    "unseen, written",
    [
        ("\u202e", "\\u202e"),
        ("\u200b", "\\u200b"),
        ("\x00", "\\u0000"),
        ("\u00a0", "\\u00a0"),
        ("\u3164", "\\u3164"),
        ("\u2800", "\\u2800"),
        ("\ufe0f", "\\ufe0f"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("\U000e0100", "\\U000e0100"),
    ],
)
def test_what_cannot_be_seen_is_written_out(unseen: str, written: str) -> None:
    assert plain(f"pb.{unseen}events") == f"pb.{written}events"
    assert plain("caf\u00e9 \u4e2d \U0001f600") == "caf\u00e9 \u4e2d \U0001f600"


@pytest.mark.parametrize("at", [0, 1_800_000, 3_599_999])
def test_a_hole_is_seen_however_brief_it_is_and_wherever_it_is(at: int) -> None:
    hour = Span(0, 3_600_000)
    strip = over_time(hour, began=0, settled=hour.stop, holes=[(Span(at, at + 1), Mark.OPEN)])
    ui: Any = Rendering(ManualClock(START), Static())._environment.globals["ui"]
    [hole] = re.findall(r'class="m-open" x="([\d.]+)" width="([\d.]+)"', str(ui.strip(strip, "", 200)))
    x, width = map(float, hole)
    assert width == 2
    assert 0 <= x <= 198


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_fault_is_a_page_like_any_other(engine: AsyncEngine, browser: Browser, scheme: Scheme) -> None:
    async with listening(engine) as place, tab(browser, place.address, scheme=scheme) as opened:
        answer = await opened.page.goto("/?what=%3Cscript%3Ealert(1)%3C/script%3E")
        assert answer is not None
        assert answer.status == 400
        await opened.accessible()
        await opened.looked_at(f"fault-{scheme}")
        opened.said.clear()  # the browser says that the answer was a 400
