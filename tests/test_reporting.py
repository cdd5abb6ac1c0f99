"""The report of each day: made once, kept to the byte, told to who asks until it is taken, and deleted in time."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from bridge.clock import ManualClock
from bridge.core.delivery import Answered, NotSent, Outcome
from bridge.core.destination import DestinationPolicy
from bridge.core.span import Span
from bridge.core.timeline import Missing
from bridge.core.tracing import Sampling, traceparent
from bridge.follow.words import of_missing
from bridge.ingest.followed import Chapter, append
from bridge.report import Period, make, making
from bridge.reporting import Reporting, ReportLimits
from bridge.retention import Retention, RetentionLimits
from bridge.store import reports
from bridge.traces.posting import Posting
from tests.consuming import KEY
from tests.deliver.sending import deliverer
from tests.followed import EXECUTION, declare
from tests.logs import START, append_events
from tests.report.reading import bytes_of
from tests.test_retention import NoPause
from tests.traces.keeping import Kept
from tests.web.serving import reading

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
MIDNIGHT = START.replace(hour=0, minute=0, second=0, microsecond=0)
NEXT = MIDNIGHT + DAY
LIMITS = ReportLimits(after_s=900, attempts_max=3, retry_first_s=10, retry_max_s=100)
OK = Answered(204, None, "", 0.001)


class Post:
    """An egress that answers as it is told, and keeps what it was sent."""

    def __init__(self) -> None:
        self.answer: Outcome = OK
        self.sent: list[tuple[str, dict[str, str], bytes]] = []

    async def post(self, url: str, headers: Any, body: bytes, *, timeout_s: float, allow_private: bool) -> Outcome:
        self.sent.append((url, dict(headers), body))
        return self.answer


def policy(name: str, *, reports: bool) -> DestinationPolicy:
    return DestinationPolicy(name, f"http://{name}", (KEY,), reports=reports)


POLICIES = (policy("ledger", reports=True), policy("audit", reports=False))


@pytest.fixture
def clock() -> NoPause:
    return NoPause(START)  # an hour before midnight


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
async def reporting(engine: AsyncEngine, post: Post, clock: NoPause) -> Reporting:
    """Both destinations have a row; the log has five entries."""
    await append_events(engine, "pb.events", 5)
    await deliverer(engine, post, clock, *POLICIES).drain()
    post.sent.clear()
    return reporter(engine, post, clock)


def reporter(
    engine: AsyncEngine,
    post: Post,
    clock: ManualClock,
    policies: Callable[[], Sequence[DestinationPolicy]] = lambda: POLICIES,
    posting: Posting | None = None,
) -> Reporting:
    return Reporting(engine, post, clock, policies=policies, jitter=lambda: 0.5, limits=LIMITS, posting=posting)


async def ask(engine: AsyncEngine, statement: str) -> list[tuple[Any, ...]]:
    async with engine.begin() as conn:
        done = await conn.execute(text(statement))
        return [tuple(row) for row in done.all()] if done.returns_rows else []


async def test_a_day_is_reported_once_when_it_is_over_and_signed_to_who_asked(
    engine: AsyncEngine, clock: NoPause, post: Post, reporting: Reporting
) -> None:
    assert await reporting.tick() == 0, "the day is not over"
    clock.advance(3600)
    assert await reporting.tick() == 0, "what was on its way may not be in yet"
    clock.advance(900)
    assert await reporting.tick() == 2
    assert await reporting.tick() == 0
    [(url, headers, body)] = post.sent
    assert url == "http://ledger"
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert headers["webhook-signature"] == Webhook(KEY).sign(headers["webhook-id"], at, body.decode())
    told = json.loads(body)
    [(since, digest)] = await ask(engine, "SELECT since, digest FROM reports")
    assert since == MIDNIGHT
    assert (told["type"], told["position"], told["digest"]) == ("bridge.report", None, digest)
    assert (told["events"], told["streams"], told["lost"]) == (5, 1, 0)
    assert told["path"] == "/v1/reports/2026-02-18"
    async with reading(engine) as client:
        kept = (await client.get(told["path"])).content
    assert json.loads(kept)["digest"] == digest


async def test_stretches_of_time_that_are_lost_are_told_where_nobody_can_count_events(
    engine: AsyncEngine, clock: NoPause, post: Post, reporting: Reporting
) -> None:
    fills = await declare(engine, EXECUTION)
    reasons = ("lost", "superseded", "lost")
    missing = [Missing(Span(at * 1_000_000, at * 1_000_000 + 9), why, {}) for at, why in enumerate(reasons)]
    async with engine.begin() as conn:
        await append(conn, fills.id, Chapter(position=0, sayings=[of_missing(one) for one in missing]), now=START)
    clock.advance(3600 + 900)
    await reporting.tick()
    told = json.loads(post.sent[-1][2])
    assert (told["lost"], told["stretches_lost"]) == (0, 2)


async def test_a_day_without_a_bridge_is_not_reported_and_one_without_a_worker_is_made_good(
    engine: AsyncEngine, clock: NoPause, reporting: Reporting
) -> None:
    clock.advance(3 * 86_400)
    assert await reporting.tick() == 6
    found = await ask(engine, "SELECT since FROM reports ORDER BY since")
    assert [since for (since,) in found] == [MIDNIGHT + n * DAY for n in range(3)]


async def test_the_day_on_which_everything_stopped_is_made_good_however_long_ago_it_was(
    engine: AsyncEngine, clock: NoPause, reporting: Reporting
) -> None:
    clock.advance(2 * 86_400)
    assert await reporting.tick() == 4, "two days, and who is told of them"
    clock.advance(3600)
    await append_events(engine, "pb.events", 3)
    clock.advance(20 * 86_400)
    made = 0
    while more := await reporting.tick():
        assert more <= 2 * LIMITS.days_max
        made += more
    found = await ask(engine, "SELECT since FROM reports ORDER BY since")
    assert [since for (since,) in found] == [MIDNIGHT + n * DAY for n in range(22)]
    assert made == 2 * 20


async def test_what_retention_has_deleted_is_not_made_and_told_again(
    engine: AsyncEngine, clock: NoPause, post: Post, reporting: Reporting
) -> None:
    limits = replace(LIMITS, keep_days=2.0)
    short = Reporting(engine, post, clock, policies=lambda: POLICIES, jitter=lambda: 0.5, limits=limits)
    clock.advance(6 * 86_400)
    await short.tick()
    await Retention(engine, clock, RetentionLimits(reports_days=limits.keep_days)).tick()
    assert await short.tick() == 0
    assert len(post.sent) == len(await ask(engine, "SELECT 1 FROM reports")) == 2


async def test_what_cannot_be_reported_keeps_nobody_from_being_told(
    engine: AsyncEngine, clock: NoPause, post: Post, reporting: Reporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.answer = Answered(500, None, "not today", 0.1)
    clock.advance(3600 + 900)
    await reporting.tick()
    post.answer = OK
    clock.advance(86_400)
    monkeypatch.setattr(making, "STREAMS_MAX", 0)
    with capture_logs() as logs:
        assert await reporting.tick() == 1
    assert [(line["event"], line.get("day")) for line in logs] == [
        ("report.refused", "2026-02-19"),
        ("report.told", "2026-02-18"),
    ]
    monkeypatch.undo()
    assert await reporting.tick() == 2, "it is made as soon as it can be"


async def test_who_was_overtaken_says_nothing_of_how_it_ended(
    engine: AsyncEngine, clock: NoPause, post: Post, reporting: Reporting
) -> None:
    class Slow(Post):
        async def post(self, *_: Any, **__: Any) -> Outcome:
            clock.advance(LIMITS.notices_max * POLICIES[0].timeout_s)
            assert await reporting.tick() == 1
            return NotSent("no route", 0.1)

    clock.advance(3600 + 900)
    await reporter(engine, Slow(), clock).tick()
    [(due_at, told_at, error)] = await ask(engine, "SELECT due_at, told_at, error FROM report_notices")
    assert (due_at, error) == (None, None)
    assert told_at is not None
    assert len(post.sent) == 1


async def test_who_does_not_take_it_is_told_again_with_the_same_id_and_in_the_end_given_up(
    engine: AsyncEngine, clock: NoPause, post: Post, reporting: Reporting
) -> None:
    post.answer = Answered(500, None, "not today", 0.1)
    clock.advance(3600 + 900)
    assert await reporting.tick() == 1
    assert await reporting.tick() == 0
    assert len(post.sent) == 1, "it waits before it tries again"
    clock.advance(60)
    await reporting.tick()
    post.answer = NotSent("no route", 0.1)
    clock.advance(120)
    await reporting.tick()
    clock.advance(86_400 / 2)
    await reporting.tick()
    assert len({headers["webhook-id"] for _, headers, _ in post.sent}) == 1
    assert [headers["bridge-attempt"] for _, headers, _ in post.sent] == ["1", "2", "3"]
    assert await ask(engine, "SELECT due_at, told_at, error FROM report_notices") == [(None, None, "no route")]


async def test_each_attempt_is_a_span_of_one_trace_and_carries_the_header(
    engine: AsyncEngine, clock: NoPause, post: Post, reporting: Reporting
) -> None:
    kept, traced = Kept(), iter((5, 6))
    posting = Posting(Sampling.of(1), kept, lambda bits: next(traced))
    clock.advance(3600 + 900)
    post.answer = NotSent("no route", 0.1)
    await reporter(engine, post, clock, posting=posting).tick()
    post.answer = OK
    clock.advance(60)
    await reporter(engine, post, clock, posting=posting).tick()
    assert [one.error for one in kept.spans] == ["not_sent", ""]
    assert {one.attributes["bridge.notice"] for one in kept.spans} == {"bridge.report"}
    [trace] = {one.trace for one in kept.spans}
    headers = [traceparent(trace.trace_id, span_id, sampled=True) for span_id in (5, 6)]
    assert [sent["traceparent"] for _, sent, _ in post.sent] == headers


async def test_a_worker_that_died_with_a_notice_leaves_it_to_the_next(
    engine: AsyncEngine, clock: NoPause, post: Post, reporting: Reporting
) -> None:
    class Killed(Exception):
        pass

    class Deadly(Post):
        async def post(self, *_: Any, **__: Any) -> Outcome:
            raise Killed

    clock.advance(3600 + 900)
    with pytest.raises(Killed):
        await reporter(engine, Deadly(), clock).tick()
    assert await reporting.tick() == 0, "it may still be under way"
    clock.advance(LIMITS.notices_max * POLICIES[0].timeout_s)
    assert await reporting.tick() == 1
    assert len(post.sent) == 1


async def test_a_report_is_read_once_however_many_are_told_of_it_and_one_that_is_gone_is_told_to_nobody(
    engine: AsyncEngine, clock: NoPause, post: Post, reporting: Reporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.advance(3600 + 900)
    both = reporter(engine, post, clock, lambda: [policy("ledger", reports=True), policy("audit", reports=True)])
    reads: list[object] = []
    body = reports.body

    async def counted(conn: Any, **period: Any) -> bytes | None:
        reads.append(period)
        return await body(conn, **period) if len(reads) == 1 else None

    monkeypatch.setattr(reports, "body", counted)
    assert await both.tick() == 3
    assert (len(post.sent), len(reads)) == (2, 1)
    await ask(engine, f"UPDATE report_notices SET due_at = '{START.isoformat()}', told_at = NULL RETURNING 1")
    assert await both.tick() == 0
    assert len(post.sent) == 2


async def test_two_workers_make_one_report_and_tell_it_once(
    engine: AsyncEngine, clock: NoPause, post: Post, reporting: Reporting
) -> None:
    clock.advance(3600 + 900)
    other = reporter(engine, post, clock)
    period = Period.of(MIDNIGHT, NEXT)
    assert await reporting._keep(period)
    assert not await other._keep(period)
    assert (await other._tell(), await reporting._tell()) == (1, 0)


async def test_what_is_kept_is_what_was_made_even_if_the_log_has_changed_since(
    engine: AsyncEngine, clock: NoPause, reporting: Reporting
) -> None:
    clock.advance(3600 + 900)
    await reporting.tick()
    async with engine.connect() as conn:
        made = bytes_of(await make(conn, Period.of(MIDNIGHT, NEXT), now=clock.now()))
    await ask(engine, "UPDATE hours SET events = events + 1 RETURNING 1")
    async with reading(engine) as client:
        assert (await client.get("/v1/reports/2026-02-18")).content == made
        anew = (await client.get("/v1/reports/2026-02-18?stream=pb.*")).json()
        assert anew["streams"][0]["counts"]["events"] == 6


async def test_reports_are_listed_by_pages_and_made_for_hours_streams_and_destinations(
    engine: AsyncEngine, clock: NoPause, reporting: Reporting
) -> None:
    clock.advance(2 * 86_400)
    await reporting.tick()
    async with reading(engine) as client:
        page = (await client.get("/v1/reports?limit=1")).json()
        [newest] = page["reports"]
        [older] = (await client.get(f"/v1/reports?limit=2&before={page['next']}")).json()["reports"]
        assert (newest["since"], older["since"]) == ("2026-02-19T00:00:00Z", "2026-02-18T00:00:00Z")
        hour = (await client.get("/v1/reports/2026-02-18?hour=23&hours=1&destination=led*")).json()
        assert (hour["since"], hour["until"]) == ("2026-02-18T23:00:00Z", "2026-02-19T00:00:00Z")
        assert [one["destination"] for one in hour["destinations"]] == ["ledger"]
        assert hour["destinations"][0]["deliveries"]["delivered"] == 5
        part = await client.get("/v1/reports/2026-02-18?hour=22&hours=1")
        assert part.json()["streams"][0]["counts"]["events"] == 0
        assert part.headers["content-disposition"] == 'inline; filename="bridge-2026-02-18T22-1h.json"'
        sheet = await client.get("/v1/reports/2026-02-18?format=csv")
        assert sheet.headers["content-type"] == "text/csv; charset=utf-8"
        assert sheet.headers["content-disposition"] == 'inline; filename="bridge-2026-02-18.csv"'
        assert sheet.text.splitlines()[1].startswith("pb.events,2026-02-18T23:00:00Z,5,5,")
        for wrong in ("2026-02-30", "today", "2026-02-18?hour=24", "2026-02-18?hours=0", "2026-02-18?format=xls"):
            assert (await client.get(f"/v1/reports/{wrong}")).status_code == 400


async def test_what_reports_are_made_of_goes_in_time_but_for_what_the_next_one_begins_with(
    engine: AsyncEngine, clock: NoPause, post: Post, reporting: Reporting
) -> None:
    clock.advance(3600)
    await append_events(engine, "pb.events", 2)
    await ask(engine, f"UPDATE hours SET hour = '{NEXT.isoformat()}', position = 7 RETURNING 1")
    await ask(
        engine,
        "INSERT INTO hours SELECT stream_id, hour - interval '1 hour' * n, webhook, websocket, replay, first_webhook,"
        " first_websocket, first_replay, events, gaps, late, recovered, conflicts, epoch, frontier, head,"
        " position - n, chain, void, lost FROM hours, generate_series(1, 6) AS n RETURNING 1",
    )
    await deliverer(engine, post, clock, *POLICIES).drain()
    clock.advance(900)
    await reporting.tick()
    clock.advance(10 * 86_400 - 900 - 2 * 3600)
    await Retention(engine, clock, RetentionLimits(reports_days=10, rows_max=2)).tick()
    left = await ask(engine, "SELECT hour FROM hours ORDER BY hour")
    assert [hour for (hour,) in left] == [NEXT - timedelta(hours=n) for n in (2, 1, 0)]
    assert len(await ask(engine, "SELECT 1 FROM delivery_hours")) == 4
    assert await ask(engine, "SELECT count(*) FROM reports") == [(1,)]
    clock.advance(86_400)
    await Retention(engine, clock, RetentionLimits(reports_days=10, rows_max=2)).tick()
    assert await ask(engine, "SELECT hour, position FROM hours") == [(NEXT, 7)]
    assert len(await ask(engine, "SELECT 1 FROM delivery_hours")) == 2
    assert await ask(engine, "SELECT count(*) FROM reports") == [(0,)]


async def test_a_fault_of_the_database_is_none_of_who_asks(engine: AsyncEngine, reporting: Reporting) -> None:
    await ask(engine, "ALTER TABLE hours RENAME TO nowhere")
    async with reading(engine) as client:
        answer = await client.get("/v1/reports/2026-02-18?stream=pb.*")
    assert answer.status_code == 500
    assert "database" in answer.json()["detail"]


async def test_what_is_too_much_for_a_report_says_what_to_ask_for(
    engine: AsyncEngine, reporting: Reporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "STREAMS_MAX", 0)
    async with reading(engine) as client:
        answer = await client.get("/v1/reports/2026-02-18")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "stream")
    assert "ask for some" in answer.json()["detail"]
