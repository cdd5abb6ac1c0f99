"""Reports are what the document of the API says of them."""

from datetime import timedelta
from functools import cache
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.event import Transport
from bridge.ingest import Base, Door, Finding, NewEpoch, StreamSpec
from bridge.report import Period, make
from bridge.report.shape import Report
from bridge.web import openapi
from tests.events import START, event
from tests.report.reading import bytes_of
from tests.report.stories import STORIES

GOLDEN = Path(__file__).parent / "golden"
HOUR = timedelta(hours=1)
SPEC = StreamSpec("pb.events", "pb", "venue", settle_s=2.0)


def faults(report: bytes) -> list[str]:
    return [error.message for error in documented().iter_errors(msgspec.json.decode(report))]


@cache
def documented() -> jsonschema_rs.Validator:
    components = openapi.document(page_max=50)["components"]
    return jsonschema_rs.validator_for({"$ref": "#/components/schemas/Report", "components": components})


@pytest.mark.parametrize("story", STORIES)
def test_every_story_is_told_as_documented(story: str) -> None:
    assert faults((GOLDEN / f"{story}.json").read_bytes()) == []


@pytest.mark.anyio
async def test_what_is_heard_in_one_hour_and_stored_in_the_next_is_told_as_documented(engine: AsyncEngine) -> None:
    clock, later = ManualClock(START), START + HOUR
    async with Door(engine, clock, {SPEC.name: SPEC}) as door:
        await door.record("pb.events", Finding(1, base=Base(1, START)))
        await door.accept("pb.events", [event(number) for number in range(1, 7)], transport=Transport.WEBHOOK)
        for number in range(1, 6):
            anew = event(number, event_id=f"new-{number}", life=2)._replace(occurred_at=later)
            await door.accept("pb.events", [anew], transport=Transport.WEBHOOK)
        clock.advance(3600)
        await door.open_epoch("pb.events", NewEpoch(1, Base(1, later)))
    async with engine.connect() as conn:
        made = bytes_of(await make(conn, Period.of(START, START + 2 * HOUR), now=clock.now()))
    assert faults(made) == []
    [stream] = msgspec.json.decode(made, type=Report).streams
    heard = [
        (line.counts.webhook.told, line.counts.webhook.first, line.counts.webhook.again) for line in stream.hours
    ]
    assert heard == [(11, 6, 5), (0, 5, -5)]
    assert msgspec.structs.astuple(stream.counts.webhook) == (11, 11, 0)
