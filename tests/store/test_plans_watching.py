"""What alerts and measurements ask for stays cheap with ten thousand streams: no history is read from end to end."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.metrics import Metrics
from bridge.store import alerts, budgets, counters, measured, notices, watched
from bridge.store.embedded import EmbeddedPostgres
from bridge.store.watched import Reach, look
from tests.store.planning import filled, plan_of, scanned, undone

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
STREAMS = 10_000
SOURCES = {f"pb{nth}": True for nth in range(10)}
CONFIGURED = measured.Configured(sources=SOURCES, sockets=SOURCES, destinations=("ledger",), channels=("log", "ops"))

# Of each stream a day of hours and a past of gaps; a hundred of them have something to tell. Nearly all is delivered.
FILL = f"""
INSERT INTO streams (name, source, numbering, position, settle_s, unmatched)
SELECT 'pb' || n % 10 || '.s' || n, 'pb' || n % 10, 'venue', 3, 2, (n % 1000 = 0)::int
FROM generate_series(1, {STREAMS}) n;

INSERT INTO log (stream_id, position, kind, epoch, sequence, appended_at, chain)
SELECT s.id, p, 'event', 1, p, timestamptz '{NOW.isoformat()}' - interval '10 minutes', sha256('x')
FROM streams s, generate_series(1, 3) p;

INSERT INTO hours (stream_id, hour, webhook, websocket, replay, first_webhook, first_websocket, first_replay,
                   events, gaps, late, recovered, conflicts, epoch, head, position, chain, void, lost)
SELECT s.id, timestamptz '{NOW.isoformat()}' - h * interval '1 hour', 1, 1, 1, 1, 0, 0, 1, 0,
       (s.id % 100 = 0 AND h = 2)::int, 0, 0, 1, 9, 9, sha256('x'), 0, 0
FROM streams s, generate_series(0, 23) h;

INSERT INTO gaps (stream_id, epoch, first, last, state, opened_at, due_at, closed_at)
SELECT s.id, 1, n, n, 'void', now(), now(), now() FROM streams s, generate_series(1, 10) n;

INSERT INTO gaps (stream_id, epoch, first, last, opened_at, due_at, deadline_at)
SELECT id, 1, 99, 99, timestamptz '{NOW.isoformat()}' - interval '1 hour', now(), timestamptz '{NOW.isoformat()}'
FROM streams WHERE id % 100 = 0;

INSERT INTO audits (stream_id, epoch, why, began_at, ended_at, fresh)
SELECT s.id, 1, 'sweep', at, at, (s.id % 100 = 0 AND h = 0)::int FROM streams s, generate_series(0, 5) h,
       LATERAL (SELECT timestamptz '{NOW.isoformat()}' - h * interval '1 hour' AS at) AS ended;

INSERT INTO heard (stream_id, transport, events, first, last_at)
SELECT id, way, 1, 1, timestamptz '{NOW.isoformat()}' FROM streams, unnest(ARRAY['webhook', 'replay']) way;

INSERT INTO sightings (stream_id, event_id, type, key, transport, received_at, payload, epoch, sequence)
SELECT s.id, 'id-' || n, '', '', 'webhook', now(), '', 1, CASE WHEN n < 10 THEN n END
FROM streams s, generate_series(1, 10) n WHERE n < 10 OR s.unmatched > 0;

INSERT INTO destinations (name, changed_at) VALUES ('ledger', now());

INSERT INTO cursors (destination_id, stream_id, position, due_at)
SELECT 1, id, CASE id % 100 WHEN 0 THEN 1 ELSE 3 END, now() FROM streams;

INSERT INTO counters (series, subject, kind, value)
SELECT 'remarks', name, kind, 1 FROM streams, unnest(ARRAY['gap', 'late', 'conflict']) kind;

INSERT INTO counters (series, subject, kind, value)
SELECT 'latency', 'ledger', kind, 3 FROM unnest(ARRAY['0.032', '+Inf', 'sum']) kind;

INSERT INTO alerts (rule, subject, severity, sentence, figures, first_at, last_at, resolved_at)
SELECT 'gap_open', 'pb.s' || n, 'warning', 'x', '{{}}', now(), now(), CASE WHEN n % 100 <> 0 THEN now() END
FROM generate_series(1, 20000) n;

INSERT INTO notices (alert_id, channel, kind, message, decided_at, due_at, told_at)
SELECT id, way, 'firing', '{{}}', timestamptz '{NOW.isoformat()}' - id * interval '1 minute', now(),
       CASE WHEN id % 1000 <> 0 THEN now() END
FROM alerts, unnest(ARRAY['log', 'ops']) way;
"""

SINCE = NOW - timedelta(days=1)
STATEMENTS: dict[str, tuple[TextClause, dict[str, Any]]] = {
    "gaps": (watched._GAPS, {"now": NOW, "limit": 10_001}),
    "doubts": (watched._DOUBTS, {"limit": 10_001}),
    "remarks": (watched._REMARKS, {"since": SINCE, "limit": 10_001}),
    "audits": (watched._AUDITS, {"since": SINCE, "shown_since": NOW, "limit": 10_001}),
    "tellings": (watched._TELLINGS, {"limit": 10_001}),
    "takers": (watched._TAKERS, {"limit": 10_001}),
    "behind": (watched._BEHIND, {"before": NOW, "limit": 10_001}),
    "alerts.open": (alerts._OPEN, {"limit": 10_000}),
    "alerts.before": (alerts._BEFORE, {"rules": ["gap_open"] * 100, "subjects": [f"pb.s{n}" for n in range(100)]}),
    "alerts.firing": (alerts._FIRING, {}),
    "notices.recent": (notices._RECENT, {"since": NOW - timedelta(minutes=1), "channel": "log"}),
    "notices.claim": (notices._CLAIM, {"channel": "ops", "now": datetime(2100, 1, 1, tzinfo=UTC), "until": NOW}),
    "notices.waiting": (notices._WAITING, {}),
    "measured.totals": (measured._TOTALS, {"sources": list(SOURCES)}),
    "measured.streams": (measured._STREAMS, {"limit": 1_000, "sources": list(SOURCES)}),
    "measured.gaps": (measured._GAPS, {"now": NOW, "ages": [60.0, 600.0]}),
    "measured.gaps_worst": (measured._GAPS_WORST, {}),
    "measured.heard": (measured._HEARD, {"ids": list(range(1, 1_001))}),
    "measured.sources": (measured._SOURCES, {"limit": 1_000}),
    "measured.attended": (measured._ATTENDED, {"names": ["source:pb1"], "now": NOW}),
    "measured.takers": (
        measured._TAKERS,
        {"limit": 1_000, "file": ["ledger"], "choosing": [1], "choosers": [1] * 9_000, "chosen": list(range(9_000))},
    ),
    "counters.of": (counters._OF, {"series": "latency", "subjects": ["ledger"]}),
    "budgets.listing": (budgets._LIST, {"limit": 1_000}),
}

LARGE = {"events", "log", "hours", "gaps", "sightings", "evidence", "attempts", "alerts", "notices", "audits"}
"""What grows with time. The other tables are as large as the configuration."""


@pytest.fixture(scope="module")
def day(server: EmbeddedPostgres, template: str, database_names: Iterator[str]) -> Iterator[str]:
    """The URL of a database with a day of ten thousand streams in it."""
    with filled(server, template, next(database_names), FILL) as url:
        yield url


@pytest.fixture
async def large(day: str, anyio_backend: str) -> AsyncIterator[AsyncConnection]:
    """A connection to the filled database; what is done on it is undone."""
    async with undone(day) as connection:
        yield connection


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_look_scans_nothing_that_grows_with_time(large: AsyncConnection, name: str) -> None:
    plan = await plan_of(large, *STATEMENTS[name])
    assert LARGE & set(scanned(plan)) == set(), json.dumps(plan, indent=1)


async def test_a_look_finds_what_needs_a_person_among_ten_thousand_streams(large: AsyncConnection) -> None:
    seen = await look(large, Reach(SINCE, NOW - timedelta(minutes=5), True), now=NOW)
    found = (len(seen.gaps), len(seen.doubts), len(seen.remarks), len(seen.tellings), len(seen.behind))
    assert found == (100, 10, 100, 10, 100)
    assert len(seen.audits) == 100
    assert {one.spent for one in seen.gaps} == {1.0}
    assert seen.cut == frozenset()


async def test_what_is_more_than_is_read_is_named(large: AsyncConnection) -> None:
    seen = await look(large, Reach(SINCE, NOW, False), now=NOW, limit=50)
    assert seen.cut == {"gaps", "remarks", "audits", "behind"}
    assert len(seen.gaps) == 50


async def test_a_scrape_of_ten_thousand_streams_tells_of_those_in_trouble_and_sums_up_all(
    large: AsyncConnection,
) -> None:
    seen = await measured.read(large, now=NOW, configured=CONFIGURED, streams_max=150)
    assert (seen.totals.streams, len(seen.streams)) == (STREAMS, 150)
    assert {one.gaps for one in seen.streams[:100]} == {1}, "what has a gap comes first"
    rest = [one.name for one in seen.streams[100:]]
    assert rest == sorted(rest), "and then it goes by name"
    assert (sum(seen.gaps.by_age.values()), seen.gaps.by_age["6h"], seen.gaps.deadline_at) == (100, 100, NOW)
    assert sum(one.events for one in seen.sources) == 2 * STREAMS
    assert len(seen.heard) == 2 * 150
    [ledger] = seen.takers
    assert (ledger.behind, ledger.oldest_at) == (200, NOW - timedelta(minutes=10))
    assert seen.remarks == {"gap": STREAMS, "late": STREAMS, "conflict": STREAMS}


@pytest.mark.parametrize("streams_max", [10, 1_000])
async def test_the_text_of_a_scrape_is_as_long_as_was_allowed_however_many_streams_there_are(
    large: AsyncConnection, streams_max: int
) -> None:
    seen = await measured.read(large, now=NOW, configured=CONFIGURED, streams_max=streams_max)
    text = Metrics().render(seen, now=NOW).decode()
    lines = [line for line in text.splitlines() if line.startswith("bridge_stream_")]
    assert len({line.split('stream="')[1].split('"')[0] for line in lines}) == streams_max
    assert len(lines) <= 15 * streams_max
    assert len(text) < 20_000 + 1_000 * streams_max
    assert f"\nbridge_streams_left_out {STREAMS - streams_max}.0\n" in text
