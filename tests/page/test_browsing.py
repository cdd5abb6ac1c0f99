"""Finding one's way: lists by pages, places in a log, one entry in full, and reports; by link, form and keyboard."""

import asyncio
import re
import tracemalloc
from datetime import timedelta
from html import unescape
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, expect
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.event import Kind
from bridge.store import reads
from bridge.store.reads import Read
from bridge.web.page.log import PAYLOAD_CHARS_MAX, shown
from tests.browsing import tab
from tests.logs import append_events, append_told
from tests.page.filling import HOSTILE, fill, now
from tests.page.test_pages import keep_a_report
from tests.store.test_leases import a_wait_for_a_lock
from tests.web.listening import listening
from tests.web.serving import reading
from tests.web.test_pull import forget, forgetting

pytestmark = pytest.mark.anyio

LOG = "/streams/pb.events/log"


def keys(content: str) -> list[str]:
    return [unescape(key) for key in re.findall(r'<tr data-key="([^"]*)"', content)]


def link(content: str, word: str) -> str | None:
    found = re.search(rf'<a href="([^"]+)" rel="(?:prev|next)">(?:← )?{word}', content)
    return None if found is None else unescape(found[1])


async def test_streams_are_shown_by_pages_each_once_and_back_again(engine: AsyncEngine) -> None:
    await make_streams(engine, 120)
    async with reading(engine) as client:
        seen, addresses, query = [], [], "/streams"
        while query:
            page = (await client.get(query)).text
            seen += keys(page)
            addresses.append(query)
            onward = link(page, "After these")
            query = f"/streams{onward}" if onward else ""
        assert seen == [f"pb.s{n:03}" for n in range(1, 121)]
        assert len(addresses) == 3
        back = (await client.get(addresses[-1])).text
        assert keys((await client.get(f"/streams{link(back, 'Before these')}")).text) == seen[50:100]
        assert keys((await client.get("/streams?find=s00?")).text) == []
        assert keys((await client.get("/streams?find=*s00?")).text) == seen[:9]
        assert keys((await client.get("/streams?find=s_0")).text) == []
        assert keys((await client.get("/streams?show=trouble")).text) == []
        for wrong in ("?show=none", "?page=0", "?after=%00", "?what=1", "?find=" + "x" * 300):
            assert (await client.get(f"/streams{wrong}")).status_code == 400, wrong


OPEN_EVERYWHERE = """
INSERT INTO gaps (stream_id, epoch, first, last, opened_at, due_at, deadline_at)
SELECT id, 1, 1, 1, now(), now(), CASE WHEN name < 'pb.s100' THEN now() + interval '1 hour' END FROM streams
"""


async def make_streams(engine: AsyncEngine, count: int, *, in_doubt: int = 0) -> None:
    async with engine.begin() as conn:
        await conn.execute(
            text("""
INSERT INTO streams (name, source, numbering, settle_s, suspect_at)
SELECT 'pb.s' || lpad(CAST(n AS text), 3, '0'), 'pb', 'venue', 2, CASE WHEN n <= :in_doubt THEN now() END
FROM generate_series(1, :count) n"""),
            {"count": count, "in_doubt": in_doubt},
        )


async def heal(engine: AsyncEngine, names: list[str]) -> None:
    async with engine.begin() as conn:
        healed = text("DELETE FROM gaps USING streams s WHERE s.id = stream_id AND s.name = ANY(:names)")
        await conn.execute(healed, {"names": names})


async def test_no_stream_in_trouble_is_passed_over_because_others_have_healed(engine: AsyncEngine) -> None:
    await make_streams(engine, 120, in_doubt=3)
    async with engine.begin() as conn:
        await conn.execute(text(OPEN_EVERYWHERE))
    async with reading(engine) as client:
        seen, addresses, query = list[str](), list[str](), "/streams?show=trouble"
        while query:
            page = (await client.get(query)).text
            seen += keys(page)
            addresses.append(query)
            await heal(engine, keys(page)[:20])
            onward = link(page, "After these")
            query = f"/streams{onward}" if onward else ""
        assert seen == [f"pb.s{n:03}" for n in range(1, 121)]
        assert len(addresses) == 3
        await heal(engine, seen)
        nothing = (await client.get(addresses[-1])).text
        assert (keys(nothing), link(nothing, "Before these")) == ([], "?show=trouble")
        assert keys((await client.get("/streams?show=trouble")).text) == ["pb.s001", "pb.s002", "pb.s003"]
        for wrong in ("1.1.1", "2...x", "1.x..x", f"1.{'9' * 18}..x"):
            assert (await client.get("/streams", params={"show": "trouble", "after": wrong})).status_code == 400


async def test_streams_in_trouble_are_paged_back_again(engine: AsyncEngine) -> None:
    await make_streams(engine, 120)
    async with engine.begin() as conn:
        await conn.execute(text(OPEN_EVERYWHERE))
    async with reading(engine) as client:
        first = (await client.get("/streams?show=trouble&find=pb")).text
        second = (await client.get(f"/streams{link(first, 'After these')}")).text
        third = (await client.get(f"/streams{link(second, 'After these')}")).text
        assert [len(keys(page)) for page in (first, second, third)] == [50, 50, 20]
        again = (await client.get(f"/streams{link(third, 'Before these')}")).text
        assert keys(again) == keys(second)
        assert link(again, "After these") == link(second, "After these")
        assert keys((await client.get(f"/streams{link(again, 'Before these')}")).text) == keys(first)


async def test_a_log_is_browsed_from_its_end_to_its_beginning_and_back(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 130)
    async with reading(engine) as client:
        seen, query = [], LOG
        while query:
            page = (await client.get(query)).text
            seen += [int(key) for key in keys(page)]
            older = link(page, "Older")
            query = f"{LOG}{older}" if older else ""
        assert seen == list(range(130, 0, -1)), "each once"
        first = (await client.get(f"{LOG}?after=0")).text
        assert keys(first) == [str(n) for n in range(50, 0, -1)]
        assert keys((await client.get(f"{LOG}{link(first, 'Newer')}")).text)[-1] == "51"


async def test_a_log_is_browsed_each_entry_once_while_it_grows_and_is_forgotten(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 130)
    async with reading(engine) as client:
        seen, query = [int(key) for key in keys((await client.get(LOG)).text)], f"{LOG}?before=81"
        assert link((await client.get(LOG)).text, "Older") == "?before=81"
        await append_events(engine, "pb.events", 40)
        await forget(engine, 20)
        while query:
            page = (await client.get(query)).text
            seen += [int(key) for key in keys(page)]
            older = link(page, "Older")
            query = f"{LOG}{older}" if older else ""
        assert seen == list(range(130, 20, -1))
        for beyond, shown in (("before=1", []), ("before=21", []), ("before=9999", list(range(170, 120, -1)))):
            answer = await client.get(f"{LOG}?{beyond}")
            assert (answer.status_code, [int(key) for key in keys(answer.text)]) == (200, shown)
        assert (await client.get(f"{LOG}?before=0")).status_code == 400
        assert (await client.get(f"{LOG}?before=5&after=5")).status_code == 400


async def test_no_entry_is_passed_over_however_much_it_says(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 60, payload=b'"' + b"x" * 40_000 + b'"')
    await append_told(engine, "pb.events", Kind.GAP, b'{"first": 1, "why": "%b"}' % (b"x" * 40_000))
    async with reading(engine) as client:
        end = (await client.get(LOG)).text
        assert keys(end) == [str(n) for n in range(61, 11, -1)]
        assert link(end, "Newer") is None
        assert keys((await client.get(f"{LOG}{link(end, 'Older')}")).text)[-1] == "1"


async def test_what_is_deleted_while_a_page_is_read_breaks_no_page(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 60)
    async with reading(engine) as client:
        for path, forgotten in ((f"{LOG}?after=0", 20), (f"{LOG}/21", 30)):
            async with asyncio.TaskGroup() as group, engine.begin() as conn:
                await conn.execute(text("LOCK TABLE log"))
                asked = group.create_task(client.get(path))
                await a_wait_for_a_lock(engine)
                for statement in forgetting(forgotten):
                    await conn.execute(text(statement))
            assert asked.result().status_code == 200, asked.result().text


async def test_a_place_in_a_log_is_found_by_position_or_by_number(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 100)
    await append_told(engine, "pb.events", Kind.GAP, b'{"first": 1}')
    async with reading(engine) as client:
        for asked, goes_to in (
            ("position=70", "?after=69"),
            ("position=&sequence=31&epoch=1", "?after=30"),
            ("", ""),
        ):
            answer = await client.get(f"{LOG}/find?{asked}")
            assert (answer.status_code, answer.headers["location"]) == (303, f"{LOG}{goes_to}")
        for asked, status in (("sequence=101&epoch=1", 404), ("position=x", 400), ("sequence=1&epoch=0", 400)):
            assert (await client.get(f"{LOG}/find?{asked}")).status_code == status


async def test_what_was_deleted_is_said_to_be(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 60)
    await forget(engine, 40)
    async with reading(engine) as client:
        page = (await client.get(f"{LOG}?after=0")).text
        assert keys(page)[-1] == "41"
        assert "What was before has been deleted." in page
        assert "has been deleted" in (await client.get(f"{LOG}/40")).text
        for path, status in ((f"{LOG}/41", 200), (f"{LOG}/40", 404), (f"{LOG}/61", 404), (f"{LOG}/0", 404)):
            assert (await client.get(path)).status_code == status, path
        for nowhere in ("/streams/none", "/streams/none/log", "/streams/pb.events/gaps/1", "/streams/%00/log"):
            assert (await client.get(nowhere)).status_code == 404, nowhere


async def test_an_entry_tells_how_it_was_heard_and_who_was_told(engine: AsyncEngine) -> None:
    await fill(engine)
    async with engine.begin() as conn:
        await conn.execute(
            text("""
INSERT INTO sightings (stream_id, event_id, type, key, transport, received_at, payload, epoch, sequence)
SELECT id, 'event-323', '', '', 'webhook', now(), '', 1, 323 FROM streams WHERE name = 'pb.events'""")
        )
        await conn.execute(
            text("""
INSERT INTO variants (stream_id, epoch, sequence, content, event_id, type, key, transport, received_at, digest,
                      payload)
SELECT id, 1, 323, 'x', '', 'OTHER_TYPE', '', 'websocket', now(), sha256('x'), 'x'
FROM streams WHERE name = 'pb.events'""")
        )
        await conn.execute(
            text("""
INSERT INTO attempts (destination_id, stream_id, first, last, entries, outcome, status, error, latency_max_ms,
                      started_at, ended_at)
SELECT d.id, s.id, 299, 301, 3, 'refused', 422, 'no <thank> you', 12, now(), now()
FROM destinations d, streams s WHERE d.name = 'audit' AND s.name = 'pb.events'""")
        )
        await conn.execute(
            text("""
INSERT INTO parked (destination_id, stream_id, position, attempts, status, error, parked_at)
SELECT d.id, s.id, 300, 5, 422, 'no <thank> you', now()
FROM destinations d, streams s WHERE d.name = 'audit' AND s.name = 'pb.events'""")
        )
    async with reading(engine) as client:
        page = (await client.get(f"{LOG}/300")).text
    assert "Without a number" in page
    assert "OTHER_TYPE" in page
    assert "no &lt;thank&gt; you" in page
    assert re.search(r"refused</span></td><td class=\"num\">299 – 301", page)
    states = dict(re.findall(r'<tr data-key="(\w+)">.*?<span class="state \w+">([\w ]+)</span>', page))
    assert states == {"audit": "parked", "books": "waiting", "ledger": "waiting"}
    assert "&#34;price&#34;: 1.10," in page, "numbers stand as the venue wrote them"


async def test_a_gap_tells_every_read_that_was_tried_by_pages(engine: AsyncEngine) -> None:
    day = await fill(engine)
    async with engine.begin() as conn:
        stream_id = (await conn.execute(text("SELECT id FROM streams WHERE name = 'pb.events'"))).scalar_one()
        made = [Read(now() - timedelta(seconds=n), "tail", reached=420, rows=n) for n in range(1, 61)]
        await reads.insert(conn, stream_id=stream_id, epoch=1, made=made)
    async with reading(engine) as client:
        path = f"/streams/pb.events/gaps/{day.open_gap}"
        first = (await client.get(path)).text
        onward = link(first, "Older")
        assert onward is not None
        second = (await client.get(path + onward.partition("#")[0])).text
        assert (len(keys(first)), len(keys(second))) == (50, 13)
        assert not set(keys(first)) & set(keys(second))
        assert "the venue answered HTTP 503 &lt;b&gt;" in second
        lost = (await client.get(f"/streams/pb.events/gaps/{day.lost_gap}")).text
        assert "&#34;oldest&#34;: 45" in lost
        assert (await client.get(f"/streams/po.wallet/gaps/{day.open_gap}")).status_code == 404, "it is not its gap"


@pytest.mark.parametrize(
    "payload", [HOSTILE.encode(), b"\xff\xfe{", b"", b"[" * 5000, b'{"a": "' + b"x" * 300_000 + b'"}']
)
async def test_whatever_a_payload_is_it_is_shown_as_text(engine: AsyncEngine, payload: bytes) -> None:
    await append_events(engine, "pb.events", 1, payload=payload)
    async with reading(engine) as client:
        answer = await client.get(f"{LOG}/1")
        assert answer.status_code == 200
        assert len(answer.content) < 1_000_000
        assert "<img" not in answer.text
        assert "\u202e" not in answer.text
        assert f"{len(payload):,} bytes" in answer.text
        assert (await client.get(LOG)).status_code == 200


@pytest.mark.parametrize("bracket", [b"[]", b"{}"])
def test_no_nesting_makes_a_payload_grow_beyond_all_bounds(bracket: bytes) -> None:
    name = b'"a":' if bracket == b"{}" else b""
    deep = (bracket[:1] + name) * 500 + b"[" + b"1," * 50_000 + b"1]" + bracket[1:] * 500
    wide = b"[" + b"[1]," * 90_000 + b"[1]]"
    for payload in (deep, wide):
        tracemalloc.start()
        try:
            told = shown(payload)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 32_000_000
        assert len(told) <= PAYLOAD_CHARS_MAX + 1
    assert shown(b'{"a":[1]}').count("\n") == 4


async def test_a_report_is_the_one_that_the_api_tells_and_may_run_nothing(
    engine: AsyncEngine, browser: Browser
) -> None:
    await fill(engine)
    day = await keep_a_report(engine)
    async with listening(engine) as place, place.client() as client:
        told = (await client.get(f"/v1/reports/{day}")).json()
        assert (await client.get(f"/reports/{day}?format=json")).json() == told
        shown = await client.get(f"/reports/{day}")
        assert told["digest"] in shown.text
        assert "script-src" not in shown.headers["content-security-policy"]
        assert shown.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
        answer = await client.get(f"/reports/make?day={day}&stream=&destination=a*&format=html")
        assert (answer.status_code, answer.headers["location"]) == (
            303,
            f"/reports/{day}?destination=a%2A&format=html",
        )
        for wrong in ("/reports/make?day=//evil.example", "/reports/yesterday", f"/reports/{day}?format=exe"):
            assert (await client.get(wrong)).status_code == 400
        async with tab(browser, place.address) as opened:
            await opened.page.goto("/reports")
            await opened.page.get_by_role("link", name=day, exact=True).click()
            await expect(opened.page.locator("h1")).to_have_text("Reconciliation")
            assert await opened.page.locator("svg").count() > 0
            await opened.accessible()
            await opened.looked_at("report")


async def test_all_of_it_works_by_keyboard(engine: AsyncEngine, browser: Browser) -> None:
    await fill(engine)
    async with listening(engine) as place, tab(browser, place.address) as opened:
        page = opened.page
        await page.goto("/")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.closest('main') !== null")
        await page.locator("#gaps a", has_text="pb.events").first.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_have_text("pb.events")
        await page.get_by_role("link", name="Log", exact=True).focus()
        await page.keyboard.press("Enter")
        await page.locator("#position").focus()
        await page.keyboard.type("120")
        await page.keyboard.press("Enter")
        await expect(page.locator("tbody tr").last).to_contain_text("120")
        # A table that is wider than the screen is scrolled by keyboard, so it can be reached by it.
        assert await page.locator(".wide:not([tabindex='0'])").count() == 0


async def test_hostile_names_lead_to_their_own_pages(engine: AsyncEngine) -> None:
    await fill(engine)
    async with reading(engine) as client:
        page = (await client.get("/streams")).text
        path = f"/streams/{quote(HOSTILE, safe='')}"
        assert f'href="{path}"' in page
        for below in ("", "/gaps", "/log", "/log/1"):
            answer = await client.get(path + below)
            assert answer.status_code == 200
            assert "<img" not in answer.text
            assert "\u202e" not in answer.text
