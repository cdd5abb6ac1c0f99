"""A report for people: one HTML file and a PDF, the same bytes each time, whatever the names in it are."""

import re
import warnings
from datetime import timedelta
from io import BytesIO
from random import Random

import msgspec
import pytest
from playwright.async_api import Browser
from pypdf import PdfReader

from bridge.report import Period
from bridge.report.brief import brief_of
from bridge.report.drawing import STREAMS_MAX, charts, most_troubled
from bridge.report.forms import FORMS
from bridge.report.html import html_of
from bridge.report.pdf import pdf_of
from bridge.report.shape import (
    Counts,
    Deliveries,
    DestinationHour,
    DestinationReport,
    GapBar,
    GapCounts,
    Heard,
    HourLine,
    LostRange,
    Report,
    Standing,
    StreamReport,
)
from bridge.report.signs import shown
from bridge.report.telling import ROWS_MAX, sheets_of
from tests.browsing import SCHEMES, Scheme, tab
from tests.events import START
from tests.report.reading import written

BEGIN = START.replace(hour=0)
DAY = Period.of(BEGIN, BEGIN + timedelta(days=1))
HOSTILE = "</title><script>alert(1)</script>$x_{1}$ \"&'"
STATES = ("recovered", "void", "superseded", "lost", "open")


def counts(events: int, lost: int) -> Counts:
    heard = Heard(events, events // 2, events - events // 2)
    return Counts(
        assigned=events + lost, events=events, void=0, lost=lost, open_more=0, late=0, recovered=0, conflicts=0,
        gaps=1, webhook=heard, websocket=heard, replay=heard,
    )  # fmt: skip


def stream(name: str, gaps: int = 5, *, lost: int = 0) -> StreamReport:
    dice = Random(name)
    bars = []
    for number in range(gaps):
        opened_at, state = BEGIN + timedelta(hours=dice.uniform(-2, 23)), STATES[number % len(STATES)]
        closed_at = None if state == "open" else opened_at + timedelta(minutes=dice.uniform(1, 90))
        bars.append(GapBar(opened_at, closed_at, state, None))
    standing = Standing(1, 9, 8, 0, 8, "00" * 32)
    told = LostRange(1, 4, 9, "sequence", lost, BEGIN + timedelta(hours=1), 3, "oldest retained: 10")
    return StreamReport(
        stream=name, source="pb", numbered_by="venue", complete_percent=99.5, why=None, counts=counts(240, lost),
        began=None, ended=standing, unmatched=0,
        hours=[HourLine(BEGIN + timedelta(hours=hour), counts(10, 0), standing) for hour in range(24)],
        gaps=GapCounts(
            opened=gaps, open=0, closed=[], lost=[told] if lost else [], lost_more=0, timeline=bars, timeline_more=0
        ),
    )  # fmt: skip


def destination(name: str) -> DestinationReport:
    told = Deliveries(delivered=10, first_try=9, attempts=11, failed=1, parked=0, expired=0, p50_ms=4.0, p99_ms=45.3)
    hours = [DestinationHour(BEGIN + timedelta(hours=hour), told) for hour in range(24)]
    return DestinationReport(
        destination=name, deliveries=told, first_try_percent=90.0, owed=3, oldest_at=BEGIN, streams=[],
        streams_more=0, hours=hours,
    )  # fmt: skip


REPORT = Report(
    since=DAY.since,
    until=DAY.until,
    streams=[stream("pb.events", lost=6), stream(HOSTILE), stream("po.wallet", 0)],
    destinations=[destination("ledger"), destination(HOSTILE)],
    digest="ab" * 32,
)
BRIEF = brief_of(written(REPORT))
EMPTY = Report(since=DAY.since, until=DAY.until, streams=[], digest="cd" * 32)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("report", [REPORT, EMPTY], ids=["full", "empty"])
def test_the_same_report_gives_the_same_bytes_in_every_form(form: str, report: Report) -> None:
    one, other = written(report), written(report)
    assert b"".join(FORMS[form].write(one)) == b"".join(FORMS[form].write(other))


def test_html_loads_nothing_runs_nothing_and_escapes_every_name() -> None:
    text = html_of(BRIEF)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"(?:src|href)=\"(?!#)|url\((?!#)|@import", text.replace('xlink:href="#', 'xlink:x="#'))
    assert "default-src 'none'" in text


def test_every_destination_that_is_drawn_is_in_the_legend() -> None:
    names = ["-ledger", "_ledger", "ledger"]
    text = html_of(
        brief_of(written(msgspec.structs.replace(EMPTY, destinations=[destination(one) for one in names])))
    )
    assert re.findall(r">([^<>]+) p50<", text) == names


@pytest.mark.anyio
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_html_is_legible_to_a_browser_that_obeys_and_to_who_cannot_see(
    browser: Browser, scheme: Scheme
) -> None:
    async with tab(browser, "about:blank", scheme=scheme) as opened:
        page = opened.page
        await page.set_content(html_of(BRIEF))
        assert await page.locator("svg").count() == len(charts(BRIEF)) == 3
        assert await page.locator("table").count() == 4
        assert await page.locator("tr.bad").count() == 2
        await opened.accessible()


def test_a_pdf_can_be_searched_and_each_page_says_whose_it_is() -> None:
    read = PdfReader(BytesIO(pdf_of(BRIEF)))
    pages = [page.extract_text() for page in read.pages]
    assert read.metadata is not None
    assert read.metadata.creation_date == REPORT.until, "and not when it was written"
    assert "Events: 720, of 3 streams. Lost: 6." in pages[0]
    assert all(REPORT.digest in page and f"page {nth} of {len(pages)}" in page for nth, page in enumerate(pages, 1))
    assert any("pb.events" in page and "99.5 %" in page for page in pages)


def test_a_large_report_draws_the_most_troubled_streams_and_says_what_it_leaves_out() -> None:
    streams = [stream(f"pb.{number}", number % 7, lost=number == ROWS_MAX + 90) for number in range(ROWS_MAX + 100)]
    drawn = most_troubled(streams)
    assert len(drawn) == STREAMS_MAX
    assert {len(one.gaps.timeline) for one in drawn} == {6}
    [sheet, heard, losses] = sheets_of(msgspec.structs.replace(EMPTY, streams=streams))
    assert (len(sheet.rows), sheet.rows[0].bad, sheet.rows[0].cells[0]) == (ROWS_MAX, True, f"pb.{ROWS_MAX + 90}")
    assert "100 more are not shown here" in sheet.says
    assert len(heard.rows) == ROWS_MAX
    assert len(losses.rows) == 1


def test_what_the_font_lacks_is_written_as_a_code_in_tables_and_charts() -> None:
    """Chinese, an emoji and a control character: blank on paper, each of them, were they left as they are."""
    named = msgspec.structs.replace(REPORT, streams=[stream("\u4e2d.\U0001f680\x07")])
    written_out = pdf_of(brief_of(written(named)))
    said = "".join(page.extract_text() for page in PdfReader(BytesIO(written_out)).pages)
    assert r"\u4e2d.\U0001f680\u0007" in said.replace("\n", "")
    assert shown("Größe, Ωμέγα, 3 €") == "Größe, Ωμέγα, 3 €"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # matplotlib warns of each sign that it draws as an empty box
        pdf_of(brief_of(written(named)))
