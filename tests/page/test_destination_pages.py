"""Destinations as people look at them: every page bounded and leading on, what is wrong in view, no secret."""

import re
from html import unescape

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.store.tokens import Scope
from bridge.web.page.destinations import ATTEMPTS_MAX, DESTINATIONS_MAX, STREAMS_MAX
from tests.logs import START, append_events
from tests.page.operating import LEDGER, NO, Operator, delivered, operator, with_parked
from tests.web.operators import OK

PAGE = "/destinations/ledger"


def keys(page: str) -> list[str]:
    """What the rows of a page are about, in their order."""
    return [unescape(key) for key in re.findall(r'<tr data-key="([^"]*)"', page)]


async def leafed(person: Operator, path: str) -> list[str]:
    """Page after page, by the link to the next."""
    pages = [await person.get(path)]
    while (found := re.search(r'href="([^"]*)" rel="next"', pages[-1])) is not None:
        assert len(pages) < 10
        pages.append(await person.get(unescape(found[1])))
    return pages


async def many_streams(engine: AsyncEngine, count: int) -> None:
    """Streams of which every tenth is behind at the ledger, and every twentieth fails."""
    await append_events(engine, "s.first", 1)
    async with engine.begin() as conn:
        await conn.execute(
            text("""
INSERT INTO streams (name, source, numbering, position, settle_s)
SELECT 's' || lpad(n::text, 4, '0'), 's', 'venue', 5, 2 FROM generate_series(1, :count) n"""),
            {"count": count},
        )
        await conn.execute(
            text("""
INSERT INTO cursors (destination_id, stream_id, position, due_at, failures, failing_since, last_error)
SELECT d.id, s.id, 5 - (s.name ~ '0$')::int, :now, (s.name ~ '[02468]0$')::int, :now, '<b>no</b>'
FROM destinations d, streams s WHERE d.name = 'ledger' AND s.name ~ '^s[0-9]'"""),
            {"now": START},
        )


async def test_destinations_are_listed_by_pages_with_what_is_wrong(engine: AsyncEngine) -> None:
    async with operator(engine, Scope.READ) as (bridge, person):
        await with_parked(engine, bridge)
        bridge.post.answer = NO
        await bridge.call("POST", "/destinations", {**LEDGER, "name": "archive"}, status=201)
        await bridge.deliver()
        bridge.post.answer = OK
        await bridge.call("POST", "/destinations", {**LEDGER, "name": "search"}, status=201)
        await bridge.deliver()
        await bridge.call("POST", "/destinations/search/pause", {"reason": "a <i>move</i>"})
        async with engine.begin() as conn:
            await conn.execute(
                text(
                    "INSERT INTO destinations (name, changed_at)"
                    " SELECT 'z' || lpad(n::text, 3, '0'), :now FROM generate_series(1, :count) n"
                ),
                {"now": START, "count": DESTINATIONS_MAX},
            )
        pages = await leafed(person, "/destinations")
        assert [len(keys(page)) for page in pages] == [DESTINATIONS_MAX, 3]
        assert keys(pages[0])[:4] == ["archive", "ledger", "search", "z001"]
        assert "From the beginning" in pages[1]
        rows = dict(zip(keys(pages[0]), pages[0].split("<tr data-key=")[1:], strict=True))
        assert "failing" in rows["archive"]
        assert re.search(r'href="/destinations/ledger/parked">3</a>', rows["ledger"])
        assert "a &lt;i&gt;move&lt;/i&gt;" in rows["search"]
        assert '<td class="num">0.1</td>' in rows["search"], "three entries in an hour"


async def test_one_shows_its_streams_by_pages_and_those_that_are_behind_or_fail(engine: AsyncEngine) -> None:
    async with operator(engine, Scope.READ) as (bridge, person):
        await bridge.call("POST", "/destinations", LEDGER, status=201)
        await many_streams(engine, STREAMS_MAX + 50)
        pages = await leafed(person, PAGE)
        assert [len(keys(page)) for page in pages] == [STREAMS_MAX, 50]
        assert keys(pages[1])[0] == "s0101"
        assert keys((await leafed(person, f"{PAGE}?show=behind"))[0])[:2] == ["s0010", "s0020"]
        failing = await person.get(f"{PAGE}?show=failing")
        assert keys(failing)[:2] == ["s0020", "s0040"]
        assert "&lt;b&gt;no&lt;/b&gt;" in failing
        assert " ".join(failing.split()).count("<dt>Behind</dt><dd>15</dd>") == 1, "the sum is of all of them"
        await person.get(f"{PAGE}?show=nothing", status=400)
        await person.get(f"{PAGE}?after=%00", status=400)
        await person.get("/destinations/nobody", status=404)
        await person.get("/destinations/%00", status=404)


async def test_nothing_secret_is_on_any_page(engine: AsyncEngine) -> None:
    async with operator(engine, Scope.ADMIN) as (bridge, person):
        made = await bridge.call("POST", "/destinations", LEDGER, status=201)
        shown = await person.get(PAGE)
        assert "https://ledger.example/hooks/in" in shown
        for path in (PAGE, "/destinations", f"{PAGE}/test", "/audit"):
            page = await person.get(path)
            assert "t0ken" not in page
            assert made["secret"] not in page


async def test_attempts_are_found_by_stream_and_outcome_and_read_page_by_page(engine: AsyncEngine) -> None:
    async with operator(engine, Scope.READ) as (bridge, person):
        await delivered(engine, bridge, 1)
        await append_events(engine, "pb.ws", 1)
        async with engine.begin() as conn:
            await conn.execute(
                text("""
INSERT INTO attempts (destination_id, stream_id, first, last, entries, outcome, status, latency_max_ms, started_at,
                      ended_at)
SELECT d.id, s.id, n, n, 1, 'refused', 410, 1, :now, :now
FROM destinations d, streams s, generate_series(1, :count) n WHERE s.name = 'pb.ws'"""),
                {"now": START, "count": ATTEMPTS_MAX + 1},
            )
        pages = await leafed(person, f"{PAGE}/attempts")
        assert [page.count('<a href="/streams/pb.ws">') for page in pages] == [ATTEMPTS_MAX, 1]
        assert pages[1].count('<a href="/streams/pb.events">') == 1
        accepted = await person.get(f"{PAGE}/attempts?stream=&outcome=accepted")
        assert accepted.count('<a href="/streams/') == 1
        assert "selected>accepted" in accepted
        assert "There is none." in await person.get(f"{PAGE}/attempts?stream=pb.events&outcome=refused")
        kept = await leafed(person, f"{PAGE}/attempts?stream=pb.ws&outcome=refused")
        assert [page.count('<a href="/streams/pb.ws">') for page in kept] == [ATTEMPTS_MAX, 1]
        for query in ("outcome=good", "before=0", "what=1"):
            await person.get(f"{PAGE}/attempts?{query}", status=400)
        await person.get("/destinations/nobody/attempts", status=404)


async def test_what_is_parked_is_read_page_by_page_and_each_entry_in_full(engine: AsyncEngine) -> None:
    async with operator(engine, Scope.READ) as (bridge, person):
        await with_parked(engine, bridge, ATTEMPTS_MAX + 2)
        pages = await leafed(person, f"{PAGE}/parked")
        assert [page.count('scope="row"') for page in pages] == [ATTEMPTS_MAX, 2]
        assert "There is none." in await person.get(f"{PAGE}/parked?state=discarded")
        entry = await person.get(f"{PAGE}/parked/pb.events/{ATTEMPTS_MAX + 1}")
        assert "answered 500: not &lt;b&gt;today&lt;/b&gt;" in entry
        assert "250 ms" in entry
        await person.get(f"{PAGE}/parked/pb.events/999", status=404)
        await person.get(f"{PAGE}/parked/pb.events/{10**30}", status=404)
        await person.get(f"{PAGE}/parked/no.such/1", status=404)


@pytest.mark.parametrize("path", ["/destinations", PAGE, f"{PAGE}/attempts", f"{PAGE}/parked", "/alerts", "/audit"])
async def test_a_page_says_what_it_cannot_be_asked(engine: AsyncEngine, path: str) -> None:
    async with operator(engine, Scope.ADMIN) as (bridge, person):
        await bridge.call("POST", "/destinations", LEDGER, status=201)
        assert "is no parameter here" in await person.get(f"{path}?what=1", status=400)
