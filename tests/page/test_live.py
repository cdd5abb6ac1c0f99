"""Pages that stay fresh: what is sent, to how many, at what cost, and what a reader at the page keeps of theirs."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from playwright.async_api import Browser, expect
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from bridge.store.engine import make_engine
from bridge.web.page import live
from tests.browsing import tab
from tests.page.filling import destination, fill, gap, now
from tests.web.listening import Heard, heard, listening

pytestmark = pytest.mark.anyio

OVERVIEW = "/live?page=%2F"
STREAM = "/live?page=%2Fstreams%2Fpb.events"

HALF_AN_HOUR = re.compile(r"in (2\d|30)m ")
"""What is left of the 31 minutes of the open gap, however long the machine takes to get here."""

THREE_CHANGES = """
one => new Promise(done => {
  let left = 3;
  new MutationObserver(() => --left || done()).observe(one, { childList: true, subtree: true });
})
"""
"""Until the text of an element has changed three times."""


async def ids_until_beat(events: AsyncIterator[Heard]) -> list[str]:
    """The fragments up to the next beat."""
    ids: list[str] = []
    async for one in events:
        if one.type == "beat":
            return ids
        ids.append(json.loads(one.data)["id"])
    raise AssertionError("the stream ended without a beat")


async def open_gap(engine: AsyncEngine, first: int) -> int:
    async with engine.begin() as conn:
        return await gap(conn, "pb.events", first, first + 1)


async def test_at_first_all_of_a_page_is_sent_and_then_only_what_changed(engine: AsyncEngine) -> None:
    await fill(engine)
    async with (
        listening(engine) as place,
        place.client() as client,
        client.stream("GET", OVERVIEW) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = heard(answer)
        assert set(await ids_until_beat(events)) == {
            "figures", "attention", "gaps", "streams", "sources", "destinations",
        }  # fmt: skip
        await open_gap(engine, 380)
        changed = await ids_until_beat(events) or await ids_until_beat(events)
        assert "gaps" in changed
        assert "attention" not in changed, "that time has passed is no change"


async def test_whatever_is_watched_is_one_of_the_pages(engine: AsyncEngine) -> None:
    async with listening(engine) as place, place.client() as client:
        for page in ("", "/nowhere", "/v1/streams", "/static/page.js", "//", "/" + "x" * 3000, "/%ff", "é"):
            answer = await client.get("/live", params={"page": page})
            assert answer.status_code == 400, page
        assert (await client.get("/live", params={"page": "/", "more": "1"})).status_code == 400
        async with client.stream("GET", "/live", params={"page": "/streams/none"}) as gone:
            assert "event: gone" in (await gone.aread()).decode()


async def test_no_more_pages_are_watched_than_there_may_be(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "WATCHERS_MAX", 1)
    async with (
        listening(engine) as place,
        place.client() as client,
        client.stream("GET", OVERVIEW) as answer,
    ):
        events = heard(answer)
        await ids_until_beat(events)
        refused = await client.get(OVERVIEW)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert (await client.get("/")).status_code == 200, "the page itself is still to be had"


async def test_who_only_asks_for_the_head_takes_nobodys_place(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "WATCHERS_MAX", 1)
    async with listening(engine) as place, place.client() as client:
        assert (await client.head(OVERVIEW)).headers["content-type"].startswith("text/event-stream")
        async with client.stream("GET", OVERVIEW) as answer:
            assert await ids_until_beat(heard(answer))


async def test_many_who_watch_one_page_are_one_reader_that_holds_no_connection(
    engine: AsyncEngine, database_url: str
) -> None:
    await fill(engine)
    narrow, statements = make_engine(database_url, pool_max=1), 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    try:
        async with listening(narrow) as place, place.client() as client:
            event.listen(narrow.sync_engine, "before_cursor_execute", count)
            async with client.stream("GET", STREAM) as one:
                await ids_until_beat(heard(one))
                alone, statements = statements, 0
            async with (
                client.stream("GET", STREAM) as one,
                client.stream("GET", STREAM) as two,
                client.stream("GET", STREAM) as three,
            ):
                watching = [heard(answer) for answer in (one, two, three)]
                await asyncio.gather(*(ids_until_beat(events) for events in watching))
                assert statements <= 2 * alone
                assert (await client.get("/v1/streams")).status_code == 200, "the only connection is free"
    finally:
        await narrow.dispose()


async def test_a_watcher_is_told_of_the_end_and_comes_again_after_its_life(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        listening(engine) as place,
        place.client() as client,
        client.stream("GET", OVERVIEW) as answer,
    ):
        events = heard(answer)
        await ids_until_beat(events)
        place.pulse.end()
        assert [one async for one in events] == []
    monkeypatch.setattr(live, "LIFE_MAX_S", 0.2)
    async with (
        listening(engine) as place,
        place.client() as client,
        client.stream("GET", OVERVIEW) as answer,
    ):
        assert [one.type async for one in heard(answer)][-1] == "beat"


async def test_while_the_database_is_away_nothing_is_said_and_then_all_goes_on(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "EVERY_S", 0.01)
    monkeypatch.setattr(live, "BEAT_EVERY_S", 0.0)
    failed = asyncio.Semaphore(0)
    await fill(engine)
    async with (
        listening(engine) as place,
        place.client() as client,
        client.stream("GET", OVERVIEW) as answer,
    ):
        events = heard(answer)
        assert await ids_until_beat(events)
        event.listen(engine.sync_engine, "handle_error", lambda _: failed.release())
        with capture_logs() as logs:
            async with engine.begin() as conn:
                await conn.execute(text("ALTER TABLE alerts RENAME TO elsewhere"))
            for _ in range(5):
                await failed.acquire()
            async with engine.begin() as conn:
                await conn.execute(text("ALTER TABLE elsewhere RENAME TO alerts"))
            await open_gap(engine, 380)
            while "gaps" not in await ids_until_beat(events):
                pass
        assert [line["event"] for line in logs] == ["page.unread"], "once, however long it lasts"


async def test_what_is_live_is_asked_for_with_the_same_right_as_the_page(engine: AsyncEngine) -> None:
    async with listening(engine, token="right") as place, place.client() as client:
        assert (await client.get(OVERVIEW)).status_code == 303


async def test_what_somebody_types_and_where_they_are_outlives_a_change(
    engine: AsyncEngine, browser: Browser
) -> None:
    await fill(engine)
    async with listening(engine) as place, tab(browser, place.address) as opened:
        page = opened.page
        await page.goto("/")
        await expect(page.locator("#live")).to_have_text("live")
        link = page.locator("#gaps tbody tr", has_text="pb.events").first.locator("th a")
        number = await link.text_content()
        await link.focus()
        new = await open_gap(engine, 380)
        await expect(page.locator(f"#gaps tr[data-key='{new}']")).to_be_visible()
        assert await page.evaluate("document.activeElement.textContent") == number
        async with engine.begin() as conn:
            await conn.execute(text("DELETE FROM gaps WHERE id = :id"), {"id": int(number or 0)})
        await expect(page.locator(f"#gaps tr[data-key='{number}']")).to_have_count(0)
        assert await page.evaluate("document.activeElement.id") == "gaps", "and not at the top of the page again"

        await page.goto("/streams")
        await expect(page.locator("#live")).to_have_text("live")
        await page.locator("#find").fill("pb")
        async with engine.begin() as conn:
            await conn.execute(text("UPDATE streams SET head = 9000 WHERE name = 'pb.events'"))
        await expect(page.locator("#streams")).to_contain_text("9,000")
        assert await page.locator("#find").input_value() == "pb"
        assert await page.evaluate("document.activeElement.id") == "find"


async def test_a_countdown_counts_without_being_sent_anew(engine: AsyncEngine, browser: Browser) -> None:
    day = await fill(engine)
    async with listening(engine) as place, tab(browser, place.address) as opened:
        page = opened.page
        await page.goto(f"/streams/{day.stream}/gaps/{day.open_gap}")
        time = page.locator("#gap time[data-countdown]").first
        await expect(time).to_contain_text(HALF_AN_HOUR)
        await expect(page.locator("#live")).to_have_text("live")
        async with page.expect_response(lambda answer: answer.status == 503):
            place.pulse.end()
        await time.evaluate(THREE_CHANGES)  # nobody tells it anything any more
        await expect(time).to_contain_text(HALF_AN_HOUR)
        opened.said.clear()  # the browser says that it was answered 503


async def test_a_countdown_does_not_go_by_the_clock_of_the_browser(engine: AsyncEngine, browser: Browser) -> None:
    day = await fill(engine)
    async with listening(engine) as place, tab(browser, place.address) as opened:
        page = opened.page
        await page.clock.set_system_time(now() + timedelta(hours=5))
        place.pulse.is_over = True  # nobody tells it what time it is
        await page.goto(f"/streams/{day.stream}/gaps/{day.open_gap}")
        await expect(page.locator("#live")).to_contain_text("connecting again")
        await expect(page.locator("#gap time[data-countdown]").first).to_contain_text(HALF_AN_HOUR)
        place.pulse.is_over = False
        await expect(page.locator("#live")).to_have_text("live")
        await expect(page.locator("#gap time[data-countdown]").first).to_contain_text(HALF_AN_HOUR)
        opened.said.clear()  # the browser says that it was answered 503


async def test_a_page_that_is_no_more_says_so_for_as_long_as_it_is_looked_at(
    engine: AsyncEngine, browser: Browser
) -> None:
    day = await fill(engine)
    async with listening(engine) as place, tab(browser, place.address) as opened:
        page, asked = opened.page, list[str]()
        page.on("request", lambda request: asked.append(request.url))
        await page.clock.install()
        await page.goto(f"/streams/{day.stream}/gaps/{day.open_gap}")
        await expect(page.locator("#live")).to_have_text("live")
        async with engine.begin() as conn:
            await conn.execute(text("DELETE FROM gaps"))
        await expect(page.locator("#live")).to_have_text("this page is no more")
        before = len(asked)
        await page.clock.fast_forward("00:30")
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await page.clock.run_for(2_000)
        assert await page.locator("#live").text_content() == "this page is no more"
        assert asked[before:] == []


async def test_a_page_that_is_opened_in_the_background_holds_no_connection(
    engine: AsyncEngine, browser: Browser
) -> None:
    await fill(engine)
    async with listening(engine) as place, tab(browser, place.address) as opened:
        page, asked = opened.page, list[str]()
        page.on("request", lambda request: asked.append(request.url))
        await page.add_init_script(
            "window.unseen = true; Object.defineProperty(document, 'hidden', {get: () => window.unseen})"
        )
        await page.goto("/")
        for unseen in ("true", "false"):
            await page.evaluate(f"window.unseen = {unseen}; document.dispatchEvent(new Event('visibilitychange'))")
        await expect(page.locator("#live")).to_have_text("live")
        assert [url for url in asked if "/live" in url] == [f"{place.address}{OVERVIEW}"]


async def test_a_connection_that_is_lost_is_shown_and_found_again(engine: AsyncEngine, browser: Browser) -> None:
    await fill(engine)
    async with listening(engine) as place, tab(browser, place.address) as opened:
        page = opened.page
        await page.goto("/")
        state = page.locator("#live")
        await expect(state).to_have_text("live")
        async with page.expect_response(lambda answer: answer.status == 503):
            place.pulse.end()
        await expect(state).to_contain_text("connecting again")
        place.pulse.is_over = False
        await expect(state).to_have_text("live")
        opened.said.clear()  # the browser says that it was answered 503


async def test_without_a_script_a_page_comes_again_by_itself(engine: AsyncEngine, browser: Browser) -> None:
    await fill(engine)
    async with listening(engine) as place, tab(browser, place.address, scripts=False) as opened:
        await opened.page.goto("/")
        assert await opened.page.locator("meta[http-equiv=refresh]").get_attribute("content") == "10"
        await expect(opened.page.locator("#gaps time[data-countdown]").first).to_have_text(HALF_AN_HOUR)
        await expect(opened.page.locator("#live")).to_be_hidden()


async def test_a_rate_is_told_once_somebody_has_looked_before(engine: AsyncEngine, browser: Browser) -> None:
    await fill(engine)
    async with listening(engine) as place, tab(browser, place.address) as opened:
        page = opened.page
        await page.goto("/")
        row = page.locator("#destinations tr[data-key='books']")
        await expect(row).to_contain_text("0.0/s")
        async with engine.begin() as conn:
            await conn.execute(
                text("""
UPDATE cursors SET position = position + 60, sent = position + 60 FROM destinations d
WHERE d.id = destination_id AND d.name = 'books' AND position = 277""")
            )
            await destination(conn, "new", streams=["pb.events"])
        await expect(row).not_to_contain_text("0.0/s")
        await expect(page.locator("#destinations tr[data-key='new']")).to_be_visible()
