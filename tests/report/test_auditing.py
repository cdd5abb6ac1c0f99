"""The venue's side of a report: the audits of each stream that ended in the period."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.report import Period, make
from bridge.report.html import html_of
from bridge.report.shape import AuditCounts
from bridge.report.telling import sheets_of
from bridge.store import audits
from bridge.store.audits import Audit
from tests.logs import START, make_stream

pytestmark = pytest.mark.anyio

BEGIN = START.replace(minute=0, second=0, microsecond=0)
PERIOD = Period.of(BEGIN, BEGIN + timedelta(hours=2))


async def audit(engine: AsyncEngine, name: str, ended_at: datetime | None, **found: Any) -> None:
    stream = await make_stream(engine, name)
    async with engine.begin() as conn:
        await audits.add(conn, stream_id=stream.id, audit=Audit(began_at=BEGIN, ended_at=ended_at, **found))


async def test_a_report_counts_the_audits_that_ended_in_its_period_and_no_other(engine: AsyncEngine) -> None:
    await make_stream(engine, "pb.quiet")
    await audit(engine, "pb.events", BEGIN - timedelta(seconds=1), rows=1, fresh=1)
    await audit(engine, "pb.events", BEGIN, rows=2, fresh=1)
    await audit(engine, "pb.events", BEGIN + timedelta(hours=1), rows=4, conflicts=2, unlisted=3)
    await audit(engine, "pb.events", PERIOD.until, rows=8, fresh=1)
    await audit(engine, "pb.events", None, rows=16, fresh=1)
    await audit(engine, "pb.other", BEGIN, rows=32)
    async with engine.connect() as conn:
        made = await make(conn, PERIOD)
    found = {one.stream: one.audits for one in made.streams}
    last_at = BEGIN + timedelta(hours=1)
    assert found == {
        "pb.events": AuditCounts(passes=2, rows=6, fresh=1, conflicts=2, unlisted=3, last_at=last_at),
        "pb.other": AuditCounts(passes=1, rows=32, last_at=BEGIN),
        "pb.quiet": AuditCounts(),
    }
    told = msgspec.json.decode(msgspec.json.encode(made))["streams"][0]["audits"]
    assert (told["unlisted"], told["failed"]) == (3, 0)
    [sheet] = [sheet for sheet in sheets_of(made) if sheet.title == "Audits"]
    assert [(row.cells[0], row.cells[4:7], row.bad) for row in sheet.rows] == [
        ("pb.events", ("1", "2", "3"), True),
        ("pb.other", ("0", "0", "0"), False),
    ]
    assert "The venue&#39;s own list" in html_of(made)
