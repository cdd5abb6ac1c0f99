"""What a follower appends has the same trace as what is delivered of it, on a real Postgres."""

from collections import Counter

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.event import Kind, Transport
from bridge.core.tracing import Sampling, of_entry
from bridge.ingest.followed import Chapter, Saying, append
from bridge.store import log, streams
from bridge.store.direct import taken_out
from bridge.traces.settling import Settling
from tests.events import START, event
from tests.traces.keeping import Kept

pytestmark = pytest.mark.anyio

NAME = "by.execution"
CHAPTERS = [
    Chapter(position=0, sayings=[Saying(Kind.EVENT, event(None, event_id="a", n=1), Transport.WEBSOCKET)]),
    Chapter(
        position=1,
        sayings=[
            Saying(Kind.GAP, data=b'{"reason":"lost"}'),
            Saying(Kind.LATE, event(None, event_id="b", n=2), Transport.REPLAY),
            Saying(Kind.EVENT, event(None, event_id="c", n=3), Transport.WEBSOCKET),
        ],
        heard=Counter(websocket=1, replay=1),
    ),
]


async def test_each_entry_has_its_root_and_each_event_its_telling(engine: AsyncEngine) -> None:
    kept = Kept()
    settling = Settling(Sampling.of(1), kept, ManualClock(START))
    async with engine.begin() as conn:
        made = await streams.ensure(conn, name=NAME, source="by", numbering="bridge", settle_s=0.5)
    for chapter in CHAPTERS:
        async with taken_out(engine) as direct, direct.transaction():
            appended = await append(direct, made.id, chapter, now=START)
        settling.followed(appended, chapter)
    async with engine.connect() as conn:
        entries = await log.read(conn, stream_id=made.id, stream=NAME, after=0, limit=10)
    assert len(entries) == 4
    roots = [one for one in kept.spans if one.name == "settled"]
    assert [one.trace for one in roots] == [of_entry(entry) for entry in entries]
    for name, values in {
        "position": [entry.position for entry in entries],
        "kind": [entry.kind.value for entry in entries],
        "sequence": [entry.sequence for entry in entries],
    }.items():
        assert [one.attributes.get(f"bridge.{name}") for one in roots] == values
    told = [(one.trace, one.attributes["bridge.transport"]) for one in kept.spans if one.name == "heard"]
    assert told == [(of_entry(entry), entry.transport) for entry in entries if entry.transport is not None]
