"""Plans: on a large table no hot statement reads events or the log from end to end.

Two guards. EXPLAIN shows the plan of each statement as it stands in its module. And the functions themselves are
called so often that Postgres may change to a plan that does not know the values: its own count of sequential scans
must not move.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store import (
    audits,
    cursors,
    events,
    evidence,
    forgetting,
    gaps,
    log,
    losses,
    reads,
    rewind,
    sightings,
    streams,
    sweeps,
)
from bridge.store.cursors import Wish
from bridge.store.embedded import EmbeddedPostgres
from tests.store.planning import filled, indexes, plan_of, scanned, sorted_rows, undone

pytestmark = pytest.mark.anyio

EVENTS = 50_000
FRONTIER = 49_800
NOW = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
CALLS = 12
"""More often than Postgres plans anew before it considers a plan for all values."""

# Two streams of which one has nearly all; a hole at every 40th number; half of it heard by replay.
FILL = f"""
INSERT INTO streams (name, source, numbering, base, frontier, head, position, settle_s)
SELECT name, 'pb', 'venue', 1, {FRONTIER}, {EVENTS}, 48750, 2 FROM unnest(ARRAY['pb.events', 'pb.quiet']) AS name;

INSERT INTO events (stream_id, epoch, sequence, event_id, type, key, transport, occurred_at, received_at,
                    digest, payload)
SELECT CASE n % 1000 WHEN 3 THEN 2 ELSE 1 END, 1, n, 'id-' || n, 'ORDER_MATCHED', 'market-' || n % 7,
       CASE n % 2 WHEN 0 THEN 'webhook' ELSE 'replay' END, at, at, sha256(n::text::bytea),
       decode(repeat('ab', 300), 'hex')
FROM generate_series(1, {EVENTS}) AS n,
     LATERAL (SELECT timestamptz '{NOW.isoformat()}' - (60000 - n) * interval '1 second' AS at) AS heard
WHERE n % 40 <> 1;

INSERT INTO log (stream_id, position, kind, epoch, sequence, appended_at, chain)
SELECT stream_id, row_number() OVER (PARTITION BY stream_id ORDER BY sequence), 'event', 1, sequence,
       received_at, digest
FROM events WHERE sequence < {FRONTIER};

INSERT INTO evidence (stream_id, epoch, first, last, verdict, detail, recorded_at)
SELECT 1, 1, n, n + 30, CASE n % 1000 WHEN 1 THEN 'loss' ELSE 'proof' END, '{{}}', now()
FROM generate_series(1, {EVENTS}, 5) AS n;

INSERT INTO gaps (stream_id, epoch, first, last, state, opened_at, due_at, closed_at)
SELECT 1, 1, n, n, CASE WHEN n < {FRONTIER} THEN 'void' ELSE 'open' END, now(), now(),
       CASE WHEN n < {FRONTIER} THEN now() END
FROM generate_series(1, {EVENTS}, 40) AS n;

INSERT INTO reads (stream_id, epoch, at, why, since, reached)
SELECT 1, 1, timestamptz '{NOW.isoformat()}' - n * interval '1 minute', 'proof', {EVENTS} - n, {EVENTS} - n
FROM generate_series(1, 20000) AS n;

INSERT INTO audits (stream_id, epoch, why, began_at, ended_at)
SELECT 1, 1, 'sweep', at, CASE WHEN n > 1 THEN at END FROM generate_series(1, 20000) AS n,
       LATERAL (SELECT timestamptz '{NOW.isoformat()}' - n * interval '1 hour' AS at) AS began;

INSERT INTO sweeps (stream_id, kind, due_at)
SELECT id, kind, timestamptz '2026-01-01' FROM streams, unnest(ARRAY['tail', 'audit']) AS kind;

INSERT INTO destinations (name, changed_at) SELECT 'destination-' || n, now() FROM generate_series(1, 200) AS n;

INSERT INTO cursors (destination_id, stream_id, position, due_at)
SELECT destinations.id, streams.id, 10, timestamptz '2026-01-01' FROM destinations, streams;

INSERT INTO attempts (destination_id, stream_id, first, last, entries, outcome, latency_max_ms, started_at, ended_at)
SELECT 1 + n % 200, 1, n, n, 1, 'accepted', 1, now(), now() FROM generate_series(1, 20000) AS n;
"""

BASE: dict[str, Any] = {"stream_id": 1, "epoch": 1}
AHEAD = {**BASE, "frontier": FRONTIER}

STATEMENTS: dict[str, tuple[TextClause, dict[str, Any]]] = {
    "events.pending": (events._PENDING, {**AHEAD, "limit": 5000}),
    "events.stored": (events._STORED, {**BASE, "sequences": list(range(49_000, 49_300))}),
    "events.payload": (events._PAYLOAD, {**BASE, "sequence": 49_000}),
    "events.numbers": (events._NUMBERS, {**BASE, "first": 49_600, "last": EVENTS, "limit": 5000}),
    "events.unlisted": (
        events._UNLISTED,
        {
            **BASE,
            "after": 20_000,
            "upto": 21_000,
            "listed": list(range(20_000, 21_000, 2)),
            "looked_at": events.LOOKED_AT_MAX,
            "heard_before": NOW,
            "retained_since": NOW - timedelta(days=1),
            "limit": 100,
        },
    ),
    "reads.of_gap": (reads._OF_GAP, {"gap_id": 1250, "before": None, "limit": 100}),
    "audits.under_way": (audits._UNDER_WAY, {"stream_id": 1, "why": "sweep"}),
    "audits.read_to": (audits._READ_TO, {"stream_id": 1}),
    "audits.listing": (audits._LIST, {"stream_id": 1, "before": 1000, "limit": 100}),
    "audits.figures": (
        audits._FIGURES,
        {"stream_ids": [1, 2], "since": NOW - timedelta(days=10), "until": NOW - timedelta(days=9)},
    ),
    "events.last_below": (events._LAST_BELOW, {**BASE, "below": FRONTIER}),
    "events.next_received": (events._NEXT_RECEIVED, {**BASE, "sequence": 12_000}),
    "events.by_id": (events._BY_ID, {"stream_id": 1, "event_ids": [f"id-{n}" for n in range(100)]}),
    "log.read": (log._READ, {"stream_id": 1, "after": 20_000, "limit": 256, "bytes_max": log.SLICE_BYTES_MAX}),
    "losses.read": (
        losses._READ,
        {
            "ids": [1],
            "afters": [0],
            "untils": [EVENTS],
            "superseded": losses._SUPERSEDED,
            "each": 1_000,
            "in_all": 20_000,
        },
    ),
    "gaps.holes": (gaps._HOLES, {**AHEAD, "appeared_before": NOW, "limit": 1000}),
    "gaps.close_passed": (gaps._CLOSE, {**AHEAD, "frontier": EVENTS, "now": NOW}),
    "evidence.above": (evidence._ABOVE, AHEAD),
    "evidence.losses": (evidence._LOSSES_AT, {**BASE, "lowest": 49_000, "highest": 49_100}),
    "sightings.match": (
        sightings._MATCH,
        {"stream_id": 1, "event_ids": ["id-1"], "epochs": [1], "sequences": [1]},
    ),
    "streams.lock": (streams.LOCK, {"id": 1}),
    "sweeps.due": (sweeps._DUE, {"now": NOW, "sources": ["pb"]}),
    "cursors.claim": (
        cursors._CLAIM,
        {
            "destination_ids": [1, 2],
            "stream_ids": [1, 1],
            "untils": [NOW, NOW],
            "held": [0, 0],
            "checkpoints": [None],
            "now": NOW,
        },
    ),
    "forgetting.due": (forgetting._DUE, {"before": NOW, "tail": 1000}),
    "forgetting.chosen": (forgetting._CHOSEN, {"stream_id": 1, "before": NOW, "limit": 1000, "tail": 1000}),
    "forgetting.forget": (
        forgetting._FORGET,
        {"stream_id": 1, "forgotten": 0, "upto": 100, "epoch": 1, "below": 101},
    ),
    "rewind.at": (rewind._AT, {"stream_id": 1, "position": 20_000}),
    "rewind.event_at": (rewind._EVENT_AT, {"stream_id": 1, "position": 20_000}),
}

LARGE = {"events", "log", "evidence", "attempts", "reads", "audits"}
"""What grows with the events. The other tables are as large as the configuration."""


@pytest.fixture(scope="module")
def day(server: EmbeddedPostgres, template: str, database_names: Iterator[str]) -> Iterator[str]:
    """The URL of a database with a day's worth in it; tests roll back what they do."""
    with filled(server, template, next(database_names), FILL) as url:
        yield url


@pytest.fixture
async def large(day: str, anyio_backend: str) -> AsyncIterator[AsyncConnection]:
    """A connection to the filled database; what is done on it is undone."""
    async with undone(day) as connection:
        yield connection


async def test_losses_are_read_by_an_index_that_holds_nothing_else(large: AsyncConnection) -> None:
    plan = await plan_of(large, *STATEMENTS["losses.read"])
    assert list(indexes(plan)) == ["log_gaps_idx"]


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_hot_statement_scans_no_large_table(large: AsyncConnection, name: str) -> None:
    plan = await plan_of(large, *STATEMENTS[name])
    assert LARGE & set(scanned(plan)) == set(), json.dumps(plan, indent=1)


@pytest.mark.parametrize("name", ["events.pending", "events.numbers", "log.read", "gaps.holes"])
async def test_what_is_wanted_in_order_comes_from_the_index_in_order(large: AsyncConnection, name: str) -> None:
    plan = await plan_of(large, *STATEMENTS[name])
    assert list(sorted_rows(plan)) == [], json.dumps(plan, indent=1)


async def test_the_guard_sees_a_scan_when_there_is_one(large: AsyncConnection) -> None:
    plan = await plan_of(large, text("SELECT count(*) FROM events WHERE key = :key"), {"key": "market-1"})
    assert list(scanned(plan)) == ["events"]


Call = Callable[[AsyncConnection], Awaitable[object]]

CALLED: dict[str, Call] = {
    "events.pending": lambda c: events.pending(c, **AHEAD, limit=5000),
    "events.stored": lambda c: events.stored(c, **BASE, sequences=range(49_000, 49_300)),
    "events.by_id": lambda c: events.by_id(c, stream_id=1, event_ids=[f"id-{n}" for n in range(100)]),
    "events.numbers": lambda c: events.numbers(c, **BASE, first=49_600, last=EVENTS, limit=5000),
    "log.read": lambda c: log.read(c, stream_id=1, stream="pb.events", after=20_000, limit=256),
    "gaps.holes": lambda c: gaps.holes(c, **AHEAD, appeared_before=NOW, limit=1000),
    "evidence.above": lambda c: evidence.above(c, **AHEAD),
    "evidence.losses": lambda c: evidence.losses(c, **BASE, lowest=49_000, highest=49_100),
    "sweeps.due": lambda c: sweeps.due(c, sources=["pb"], now=NOW),
    "cursors.claim": lambda c: cursors.claim(c, [Wish(1, 1, NOW), Wish(2, 1, NOW)], now=NOW),
}


@pytest.mark.parametrize("name", CALLED)
async def test_a_hot_function_called_again_and_again_still_scans_no_large_table(
    large: AsyncConnection, name: str
) -> None:
    answers = [await CALLED[name](large) for _ in range(CALLS)]
    assert answers[0], "nothing was found, so nothing was shown"
    asked = text("SELECT relname FROM pg_stat_xact_user_tables WHERE relname = ANY(:large) AND seq_scan > 0")
    assert (await large.execute(asked, {"large": sorted(LARGE)})).scalars().all() == []


async def test_the_log_is_read_at_its_end_as_fast_as_at_its_beginning(large: AsyncConnection) -> None:
    """The plan touches the slice, not the way to it."""
    touched = []
    for after in (0, 40_000):
        values = {**STATEMENTS["log.read"][1], "after": after}
        told = await large.execute(text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {log._READ.text}"), values)
        raw = told.scalar_one()
        plan = (json.loads(raw) if isinstance(raw, str) else raw)[0]["Plan"]
        touched.append(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
    assert touched[1] < 2 * touched[0], touched
