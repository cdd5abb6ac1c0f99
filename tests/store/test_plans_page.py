"""What pages ask for stays cheap with ten thousand streams, gaps in two thousand of them, and fifty destinations."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.core.span import Span
from bridge.store import attempts, audit, board, evidence, gaps, hearing, log, parked, reads, stance, standing, strips
from bridge.store.attempts import Chosen
from bridge.store.board import Rank
from bridge.store.embedded import EmbeddedPostgres
from bridge.store.strips import Window
from tests.store.planning import filled, plan_of, scanned, undone

pytestmark = pytest.mark.anyio

STREAMS = 10_000
CALLS = 12
"""More often than Postgres plans anew before it considers a plan for all values."""

# Ten events of each stream, and a past of gaps; two open gaps of every fifth. One stream has much of everything.
FILL = f"""
INSERT INTO streams (name, source, numbering, base, frontier, head, position, settle_s)
SELECT 'pb' || n % 10 || '.s' || lpad(CAST(n AS text), 5, '0'), 'pb' || n % 10, 'venue', 1, 11, 20, 10, 2
FROM generate_series(1, {STREAMS}) n;

INSERT INTO events (stream_id, epoch, sequence, event_id, type, key, transport, received_at, digest, payload)
SELECT id, 1, n, 'id-' || n, 'T', 'k', 'webhook', now(), sha256('x'), 'x' FROM streams, generate_series(1, 10) n;

INSERT INTO events (stream_id, epoch, sequence, event_id, type, key, transport, received_at, digest, payload)
SELECT 1, 1, n, 'id-' || n, 'T', 'k', 'webhook', now(), sha256('x'), 'x' FROM generate_series(11, 20000) n;

INSERT INTO log (stream_id, position, kind, epoch, sequence, appended_at, chain)
SELECT stream_id, sequence, 'event', 1, sequence, now(), digest FROM events;

INSERT INTO evidence (stream_id, epoch, first, last, verdict, detail, recorded_at)
SELECT 1, 1, n, n, CASE n % 10 WHEN 0 THEN 'loss' ELSE 'proof' END, '{{}}', now() FROM generate_series(1, 20000) n;

INSERT INTO evidence (stream_id, epoch, first, last, verdict, detail, recorded_at)
SELECT id, 1, n, n, 'proof', '{{}}', now() FROM streams, generate_series(1, 5) n;

INSERT INTO gaps (stream_id, epoch, first, last, state, opened_at, due_at, closed_at)
SELECT id, 1, n, n, 'void', now(), now(), now() FROM streams, generate_series(1, 10) n;

INSERT INTO gaps (stream_id, epoch, first, last, opened_at, due_at, deadline_at)
SELECT id, 1, 11 + n, 11 + n, now(), now(), now() + id * interval '1 second'
FROM streams, generate_series(0, 1) n WHERE id % 5 = 0;

INSERT INTO reads (stream_id, epoch, at, why, reached, pages, rows, fresh)
SELECT id, 1, now(), 'tail', 20, 1, 1, 0 FROM streams, generate_series(1, 10) n;

INSERT INTO sightings (stream_id, event_id, type, key, transport, received_at, payload, epoch, sequence)
SELECT id, 'id-' || n, '', '', 'webhook', now(), '', 1, n FROM streams, generate_series(1, 5) n;

INSERT INTO variants (stream_id, epoch, sequence, content, event_id, type, key, transport, received_at, digest,
                      payload)
SELECT id, 1, 1, 'x', '', '', '', 'webhook', now(), sha256('x'), 'x' FROM streams;

INSERT INTO destinations (name, changed_at) SELECT 'd' || n, now() FROM generate_series(1, 50) n;

INSERT INTO cursors (destination_id, stream_id, position, due_at)
SELECT d.id, s.id, 9, now() FROM destinations d, streams s WHERE s.id <= 400;

INSERT INTO attempts (destination_id, stream_id, first, last, entries, outcome, latency_max_ms, started_at, ended_at)
SELECT 1 + n % 50, 1 + n % 400, 1, 9, 1, 'accepted', 1, now(), now() FROM generate_series(1, 100000) n;

INSERT INTO parked (destination_id, stream_id, position, attempts, parked_at)
SELECT 1 + n % 50, 1 + n % 400, n, 1, now() FROM generate_series(1, 20000) n;

INSERT INTO delivery_hours (destination_id, stream_id, hour, delivered, first_try, attempts, failed, parked, expired,
                            latency, position)
SELECT destination_id, stream_id, date_trunc('hour', now()) - n * interval '1 hour', 1, 1, 1, 0, 0, 0, '{{}}', 1
FROM cursors, generate_series(0, 9) n;

INSERT INTO audit (at, actor, action, subject)
SELECT now(), 'ops', 'done', 'd' || n % 50 FROM generate_series(1, 20000) n;
"""

CHOSEN = dict.fromkeys(Chosen.__slots__)
WINDOWS = strips._values([Window(n, 1, 1, 20, 11, 1) for n in range(1, 51)])
IDS = list(range(1, 51))
RANK = Rank(True, datetime(2100, 1, 1, tzinfo=UTC), None, "pb5")
ONE: dict[str, Any] = {"stream_id": 1, "epoch": 1}
LARGE = {"events", "log", "evidence", "attempts", "reads", "sightings", "variants", "gaps", "parked"} | {
    "delivery_hours",
    "audit",
}
"""What grows with time, for whatever the configuration is."""

STATEMENTS: dict[str, tuple[TextClause, dict[str, Any]]] = {
    "board.totals": (board._TOTALS, {"pattern": None}),
    "board.troubled": (board._TROUBLED_AFTER, {**RANK._asdict(), "pattern": None, "limit": 50}),
    "board.troubled_before": (board._TROUBLED_BEFORE, {**RANK._asdict(), "pattern": None, "limit": 50}),
    "board.after": (board._AFTER, {"after": "pb5", "pattern": "%s099%", "limit": 51}),
    "board.before": (board._BEFORE, {"before": "pb5", "pattern": None, "limit": 51}),
    "board.sources": (board._SOURCES, {"limit": 50}),
    "board.takers": (board._TAKERS, {"limit": 50}),
    "board.takers_of": (board._TAKERS_OF, {"stream_id": 1, "limit": 50}),
    "stance.open_gaps": (stance._OPEN_GAPS, {"stream_ids": IDS}),
    "stance.missing": (stance._MISSING, {"stream_ids": IDS, "gaps_max": 100}),
    "strips.held": (strips._HELD, WINDOWS),
    "strips.lost": (strips._LOST, WINDOWS),
    "strips.in_time": (strips._IN_TIME, {"ids": IDS, "since": 0, "limit": 1_000}),
    "gaps.page": (gaps._PAGE, {"stream_id": 1, "before": 50_000, "limit": 51}),
    "gaps.one": (gaps._ONE, {"stream_id": 1, "id": 1}),
    "evidence.touching": (evidence._TOUCHING, {**ONE, "lowest": 10_000, "highest": 10_010, "limit": 1_000}),
    "reads.of_gap": (reads._OF_GAP, {"gap_id": 1, "before": None, "limit": 51}),
    "log.glance": (log._GLANCE, {"stream_id": 1, "after": 10_000, "limit": 50, "bytes_max": 640}),
    "hearing.sightings": (hearing._SIGHTINGS, {"stream_id": 1, "event_id": "id-1"}),
    "hearing.variants": (hearing._VARIANTS, {**ONE, "sequence": 1, "limit": 50}),
    "hearing.deliveries": (hearing._DELIVERIES, {"stream_id": 1, "position": 5, "limit": 50}),
    "hearing.attempts": (hearing._ATTEMPTS, {"stream_id": 1, "position": 5, "limit": 50, "looked_at": 1000}),
    "standing.totals": (standing._TOTALS, {"ids": [1, 2, 3]}),
    "standing.parked": (standing._PARKED, {"ids": [1]}),
    "standing.delivered": (standing._DELIVERED, {"ids": [1, 2, 3], "hours": []}),
    "standing.cursors": (
        standing._CURSORS,
        {"id": 1, "after": "pb5", "behind": True, "failing": False, "limit": 101},
    ),
    "attempts.chosen": (attempts._CHOSEN, {**CHOSEN, "destination_id": 1, "stream": "pb1.s00001", "limit": 101}),
    "parked.listing": (
        parked._LISTING,
        {"destination_id": 1, "stream": "pb5", "position": 5, "state": "due", "limit": 101},
    ),
    "audit.listing": (audit._LISTING, {"before": 15_000, "subject": "d1", "limit": 101}),
    "hearing.position_of": (hearing._NUMBERED, {**ONE, "sequence": 10_000, "most": 2**62}),
}


@pytest.fixture(scope="module")
def many(server: EmbeddedPostgres, template: str, database_names: Iterator[str]) -> Iterator[str]:
    """The URL of a database with as many streams as are promised."""
    with filled(server, template, next(database_names), FILL) as url:
        yield url


@pytest.fixture
async def crowded(many: str, anyio_backend: str) -> AsyncIterator[AsyncConnection]:
    """A connection to it."""
    async with undone(many) as connection:
        yield connection


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_page_reads_no_history_from_end_to_end(crowded: AsyncConnection, name: str) -> None:
    plan = await plan_of(crowded, *STATEMENTS[name])
    assert LARGE & set(scanned(plan)) == set(), json.dumps(plan, indent=1)


Call = Callable[[AsyncConnection], Awaitable[object]]

CALLED: dict[str, Call] = {
    "board.totals": board.totals,
    "board.troubled": lambda c: board.troubled(c, limit=50),
    "board.after": lambda c: board.after(c, "", limit=51),
    "stance.some": lambda c: stance.some(c, IDS),
    "strips.held": lambda c: strips.held(c, [Window(n, 1, 1, 20, 11, 1) for n in IDS]),
    "strips.lost": lambda c: strips.lost(c, [Window(1, 1, 1, 20_000, 11, 40)]),
    "gaps.page": lambda c: gaps.page(c, stream_id=1, before=None, limit=51),
    "evidence.touching": lambda c: evidence.touching(c, **ONE, span=Span(10_000, 10_011), limit=50),
    "hearing.deliveries": lambda c: hearing.deliveries(c, stream_id=1, position=5, limit=50),
}


@pytest.mark.parametrize("name", CALLED)
async def test_what_is_asked_again_and_again_still_reads_no_history(crowded: AsyncConnection, name: str) -> None:
    answers = [await CALLED[name](crowded) for _ in range(CALLS)]
    assert answers[0], "nothing was found, so nothing was shown"
    asked = text("SELECT relname FROM pg_stat_xact_user_tables WHERE relname = ANY(:large) AND seq_scan > 0")
    assert (await crowded.execute(asked, {"large": sorted(LARGE)})).scalars().all() == []


async def test_streams_are_paged_both_ways_and_no_name_is_a_pattern(crowded: AsyncConnection) -> None:
    first = await board.after(crowded, "", limit=50)
    second = await board.after(crowded, first[-1].name, limit=50)
    assert await board.before(crowded, second[0].name, limit=50) == first
    assert [one.name for one in await board.after(crowded, "", pattern=board.pattern_of("s00007"), limit=9)] == [
        "pb7.s00007"
    ]
    assert await board.after(crowded, "", pattern=board.pattern_of("s_0007"), limit=9) == []
    found = await board.after(crowded, "", pattern=board.pattern_of("pb?.s0000*"), limit=50)
    assert len(found) == 9


async def test_trouble_comes_first_and_the_nearest_expiry_first_of_all(crowded: AsyncConnection) -> None:
    found = await board.troubled(crowded, limit=STREAMS)
    assert [one.id for one in found] == list(range(5, STREAMS + 5, 5))
    assert await board.troubled(crowded, after=found[-3].rank, limit=50) == found[-2:]
    assert await board.troubled_before(crowded, found[3].rank, limit=2) == found[1:3]
    totals = await board.totals(crowded)
    assert (totals.streams, totals.troubled, totals.gaps) == (STREAMS, STREAMS // 5, 2 * STREAMS // 5)
