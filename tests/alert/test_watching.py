"""Watching and telling on a real database: once, in order, whatever process ends, and whatever channel is away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from bridge.alert.channel import Accepted, Channel, Failed, Sent
from bridge.alert.logged import LogChannel
from bridge.alert.notice import Message
from bridge.alert.slack import SlackChannel
from bridge.alert.telling import NOTICES_PER_TICK_MAX, Patience, Teller
from bridge.alert.values import Pace, Thresholds
from bridge.alert.watching import Watch
from bridge.clock import ManualClock, SystemClock
from bridge.core.event import Kind
from bridge.core.span import Span
from bridge.egress import HttpEgress
from bridge.operate import silencing
from bridge.operate.acting import Acting
from bridge.operate.faults import Conflict, Invalid, Unknown
from bridge.retention import Retention, RetentionLimits
from bridge.store import alerts as store
from bridge.store import audit, audits, connections, cursors, destinations, gaps, managed, notices, silences
from bridge.store.audits import Audit
from bridge.store.engine import make_engine
from bridge.store.vault import Vault
from tests.alert.receiving import answer, webhook
from tests.logs import START, append_events, append_told, make_stream

pytestmark = pytest.mark.anyio

NOW = START + timedelta(minutes=40)
LIMITS = Thresholds(sources={"pb": 900.0}, takers={"ledger": ("*",)}, keep_s=86_400.0, database_bytes_max=1000)
ONLY_GAPS = replace(LIMITS, sources={}, takers={}, database_bytes_max=None)
DAY_S = 86_400.0
PACE = Pace(resolve_s=60, quiet_s=900, repeat_s=300)


@dataclass
class Ear:
    """A channel that remembers; it takes nothing while ``deaf``."""

    name: str = "ops"
    severity: str = "warning"
    timeout_s: float = 10.0
    deaf: bool = False
    got: list[Message] = field(default_factory=list)
    asked: int = 0

    async def send(self, message: Message) -> Sent:
        self.asked += 1
        if self.deaf:
            return Failed("answered 500")
        self.got.append(message)
        return Accepted()

    @property
    def heard(self) -> list[tuple[str, str]]:
        return [(one.kind.value, one.subject) for one in self.got]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


def watch(engine: AsyncEngine, clock: ManualClock, *channels: Channel, limits: Thresholds = ONLY_GAPS) -> Watch:
    return Watch(engine, clock, limits, PACE, [LogChannel(), *channels])


def teller(engine: AsyncEngine, clock: ManualClock, channel: Channel, *, patience: Patience = Patience()) -> Teller:  # noqa: B008 - a frozen value
    return Teller(engine, clock, channel, patience=patience, jitter=lambda: 0.999, observe=lambda *_: None)


async def open_gap(engine: AsyncEngine, stream: str = "pb.events", *, now: Any = START, **given: Any) -> None:
    row = await make_stream(engine, stream)
    async with engine.begin() as conn:
        await gaps.open_all(
            conn,
            stream_id=row.id,
            epoch=1,
            found=[(Span.inclusive(7, 9), now)],
            deadline_at=given.get("deadline_at"),
            now=now,
        )


async def close_gaps(engine: AsyncEngine) -> None:
    await run(engine, "UPDATE gaps SET state = 'void', closed_at = now() WHERE state = 'open'")


async def keep_audit(engine: AsyncEngine, ended_at: datetime | None, **found: Any) -> None:
    row = await make_stream(engine, "pb.events")
    async with engine.begin() as conn:
        await audits.add(conn, stream_id=row.id, audit=Audit(began_at=START, ended_at=ended_at, **found))


async def run(engine: AsyncEngine, statement: str) -> list[Any]:
    async with engine.begin() as conn:
        found = await conn.execute(text(statement))
        return list(found.all()) if found.returns_rows else []


async def firing(engine: AsyncEngine) -> dict[tuple[str, str], int]:
    async with engine.connect() as conn:
        return await store.firing(conn)


async def test_every_rule_finds_its_rows(engine: AsyncEngine, clock: ManualClock) -> None:
    await append_events(engine, "pb.events", 5)
    await append_told(engine, "pb.events", Kind.GAP, b'{"reason":"lost"}')
    await append_told(engine, "pb.events", Kind.CONFLICT, b"{}")
    await run(engine, "UPDATE hours SET late = 2")
    await open_gap(engine, deadline_at=NOW + timedelta(minutes=1))
    await run(engine, f"UPDATE streams SET unmatched = 1, suspect_at = '{START.isoformat()}'")
    await run(
        engine,
        "INSERT INTO sightings (stream_id, event_id, type, key, transport, received_at, payload)"
        f" SELECT id, 'x', '', '', 'webhook', '{START.isoformat()}', '' FROM streams",
    )
    async with engine.begin() as conn:
        await connections.put(conn, source="pb", state="disconnected", detail="", now=START)
        # What is read again says nothing of whether the venue tells by itself.
        heard = text("INSERT INTO heard SELECT id, :way, 9, 9, :at FROM streams")
        for way, at in (("replay", NOW), ("webhook", START)):
            await conn.execute(heard, {"way": way, "at": at})
        ids = await destinations.ensure(conn, ["ledger", "gone"], now=START)
        stream_id = (await cursors.streams(conn))["pb.events"]
        await cursors.ensure(conn, [(ids["ledger"], stream_id), (ids["gone"], stream_id)], now=START)
        await conn.execute(
            text("UPDATE destinations SET state = 'stopped', reason = 'answered 410' WHERE name = 'gone'")
        )
    await keep_audit(engine, NOW, unlisted=1)
    takers = {**LIMITS.takers, "gone": ("by.*",)}
    await watch(engine, clock, limits=replace(LIMITS, keep_s=2400, takers=takers)).tick()
    found = await firing(engine)
    assert found == {
        ("audit", "critical"): 1,
        ("conflict", "warning"): 1,
        ("database", "critical"): 1,
        ("expiring", "critical"): 1,
        ("frozen", "critical"): 1,
        ("gap_deadline", "critical"): 1,
        ("gap_open", "warning"): 1,
        ("lagging", "warning"): 1,
        ("late", "warning"): 1,
        ("loss", "critical"): 1,
        ("silent", "warning"): 1,
        ("stopped", "critical"): 1,
        ("unmatched", "warning"): 1,
    }


async def test_a_bridge_where_all_is_well_has_nothing_to_say(engine: AsyncEngine, clock: ManualClock) -> None:
    await append_events(engine, "pb.events", 5)
    async with engine.begin() as conn:
        ids = await destinations.ensure(conn, ["ledger"], now=START)
        await cursors.ensure(conn, [(ids["ledger"], (await cursors.streams(conn))["pb.events"])], now=START)
        await conn.execute(text("UPDATE cursors SET position = 5"))
    limits = replace(LIMITS, database_bytes_max=2**60)
    assert await watch(engine, clock, limits=limits).tick() == 0
    assert await firing(engine) == {}


async def test_nobody_is_woken_for_a_destination_that_left_the_file(engine: AsyncEngine, clock: ManualClock) -> None:
    await append_events(engine, "pb.events", 5)
    async with engine.begin() as conn:
        await managed.provision(conn, {name: {"streams": ["pb.*"]} for name in ("ledger", "left")}, now=START)
        ids = await destinations.ids(conn, ["ledger", "left"])
        stream_id = (await cursors.streams(conn))["pb.events"]
        await cursors.ensure(conn, [(of, stream_id) for of in ids.values()], now=START)
    limits = replace(ONLY_GAPS, takers={"ledger": ("pb.*",)}, keep_s=2400)
    watching = watch(engine, clock, limits=limits)
    await watching.tick()
    async with engine.begin() as conn:
        assert {alert.key for alert in await store.open_now(conn, limit=10)} == {
            ("lagging", "ledger"),
            ("expiring", "ledger"),
        }
        for name in ids:
            await destinations.stop(conn, name, reason="answered 410", now=START)
    await watching.tick()
    assert (await firing(engine))["stopped", "critical"] == 1


async def test_what_an_audit_found_is_told_once_until_a_later_one_finds_nothing(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    ear = Ear()
    watching, telling = watch(engine, clock, ear), teller(engine, clock, ear)

    async def heard_after(seconds: float) -> list[tuple[str, str]]:
        for _ in range(int(seconds // 300)):
            clock.advance(300)
            await watching.tick()
            await telling.tick()
        return [(one.kind.value, one.severity) for one in ear.got]

    await keep_audit(engine, NOW - timedelta(days=2), fresh=5)
    await keep_audit(engine, NOW - timedelta(hours=1), rows=9)
    assert await heard_after(300) == []
    await keep_audit(engine, clock.now(), fresh=2, rows=9)
    assert await heard_after(3600) == [("firing", "warning")]
    assert "found 2 events that we had missed." in ear.got[0].sentence
    await keep_audit(engine, clock.now(), conflicts=1, unlisted=1)
    assert await heard_after(3600) == [("firing", "warning"), ("worse", "critical")]
    await keep_audit(engine, clock.now(), error="HTTP 500")
    await keep_audit(engine, None)
    assert len(await heard_after(1200)) == 2
    await run(engine, "DELETE FROM audits WHERE ended_at IS NULL")
    await keep_audit(engine, clock.now(), rows=9)
    assert (await heard_after(1800))[2:] == [("resolved", "critical")]


async def test_it_is_told_once_on_every_channel_that_wants_it_and_again_when_it_is_over(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    everything, worst = Ear("ops"), Ear("boss", severity="critical")
    watching = watch(engine, clock, everything, worst)
    tellers = [teller(engine, clock, ear) for ear in (everything, worst)]
    await open_gap(engine)
    for _ in range(3):
        await watching.tick()
        clock.advance(15)
    await run(engine, f"UPDATE gaps SET deadline_at = '{clock.now().isoformat()}'")
    await watching.tick()
    await close_gaps(engine)
    clock.advance(60)
    await watching.tick()
    for one in tellers:
        await one.tick()
    assert [(one.kind.value, one.rule) for one in everything.got] == [
        ("firing", "gap_open"),
        ("firing", "gap_deadline"),
        ("resolved", "gap_deadline"),
        ("resolved", "gap_open"),
    ]
    assert [(one.kind.value, one.rule) for one in worst.got] == [
        ("firing", "gap_deadline"),
        ("resolved", "gap_deadline"),
    ]
    assert await firing(engine) == {}


async def test_entries_of_the_log_are_counted_as_they_come(engine: AsyncEngine, clock: ManualClock) -> None:
    ear = Ear()
    watching, telling = watch(engine, clock, ear), teller(engine, clock, ear)
    for _ in range(3):
        await append_told(engine, (await make_stream(engine, "pb.events")).name, Kind.GAP, b'{"reason":"lost"}')
    await watching.tick()
    clock.advance(200)
    await append_told(engine, "pb.events", Kind.GAP, b'{"reason":"lost"}')
    await watching.tick()
    clock.advance(200)
    await watching.tick()
    for _ in range(3):
        clock.advance(450)
        await watching.tick()
    await telling.tick()
    assert [(one.kind.value, one.figures["count"], one.sentence[:6]) for one in ear.got] == [
        ("firing", 3, "3 loss"),
        ("again", 4, "1 more"),
        ("resolved", 4, "4 loss"),
    ]


async def test_what_was_decided_before_a_process_ended_is_told_by_the_next(
    engine: AsyncEngine, clock: ManualClock, database_url: str
) -> None:
    await open_gap(engine)
    first = make_engine(database_url)
    await watch(first, clock, Ear()).tick()
    await first.dispose()
    ear = Ear()
    assert await watch(engine, clock, ear).tick() == 0
    assert await teller(engine, clock, ear).tick() == 1
    assert ear.heard == [("firing", "pb.events")]


class Dying(Ear):
    """Its process ends after the other side has taken the notice, and before anybody knows."""

    async def send(self, message: Message) -> Sent:
        await super().send(message)
        raise asyncio.CancelledError


async def test_what_was_taken_before_a_process_ended_is_told_again_under_the_same_key(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    await open_gap(engine)
    await watch(engine, clock, Ear()).tick()
    dying, ear = Dying(), Ear()
    with pytest.raises(asyncio.CancelledError):
        await teller(engine, clock, dying).tick()
    assert await teller(engine, clock, ear).tick() == 0, "its lease has not ended"
    clock.advance(16)
    assert await teller(engine, clock, ear).tick() == 1
    assert dying.got == ear.got


@asynccontextmanager
async def several(url: str, count: int) -> AsyncIterator[list[AsyncEngine]]:
    engines = [make_engine(url, pool_max=2) for _ in range(count)]
    try:
        yield engines
    finally:
        for one in engines:
            await one.dispose()


async def test_workers_that_look_and_tell_at_the_same_time_tell_once(
    engine: AsyncEngine, clock: ManualClock, database_url: str
) -> None:
    for nth in range(8):
        await open_gap(engine, f"pb.{nth}")
    ear = Ear()
    async with several(database_url, 4) as engines:
        said = await asyncio.gather(*(watch(one, clock, ear).tick() for one in engines))
        assert sorted(said) == [0, 0, 0, 8]
        told = await asyncio.gather(*(teller(one, clock, ear).tick() for one in engines))
    assert sum(told) == 8
    assert sorted(ear.heard) == [("firing", f"pb.{nth}") for nth in range(8)]


async def test_a_channel_that_is_away_keeps_nobody_waiting_and_gets_everything_in_order_afterwards(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    ear, deaf = Ear("ops"), Ear("deaf", deaf=True)
    watching, outcomes = watch(engine, clock, ear, deaf), list[tuple[str, str]]()
    to_ear = teller(engine, clock, ear)
    to_deaf = Teller(
        engine,
        clock,
        deaf,
        patience=Patience(),
        jitter=lambda: 0.999,
        observe=lambda *outcome: outcomes.append(outcome),
    )
    await open_gap(engine, "pb.a")
    await watching.tick()
    with capture_logs() as logged:
        assert await to_deaf.tick() == 0
    assert [(line["event"], line["channel"], line["reason"]) for line in logged] == [
        ("alert.untold", "deaf", "answered 500")
    ]
    await open_gap(engine, "pb.b")
    await watching.tick()
    await close_gaps(engine)
    clock.advance(60)
    await watching.tick()
    assert await to_ear.tick() == 4
    for _ in range(100):
        await to_deaf.tick()
    assert deaf.asked == 2, "after a failure it is left alone"
    deaf.deaf = False
    for _ in range(20):
        clock.advance(30)
        await to_deaf.tick()
    assert sorted(deaf.heard) == sorted(ear.heard)
    for subject in ("pb.a", "pb.b"):
        assert [kind for kind, about in deaf.heard if about == subject] == ["firing", "resolved"]
    assert outcomes == [("deaf", "failed")] * 2 + [("deaf", "told")] * 4


async def test_a_webhook_that_recovers_gets_what_it_missed(engine: AsyncEngine, clock: ManualClock) -> None:
    async with webhook() as hook, HttpEgress(SystemClock()) as egress:
        hook.answers = [answer(503), answer(429, "Retry-After: 100")]
        channel = SlackChannel("ops", "warning", hook.url, egress, allow_private=True)
        telling = teller(engine, clock, channel)
        await open_gap(engine)
        await watch(engine, clock, channel).tick()
        await telling.tick()
        clock.advance(10)
        await telling.tick()
        clock.advance(99)
        for one in (telling, teller(engine, clock, channel)):
            assert await one.tick() == 0, "it asked for 100 s, and the next process knows"
        clock.advance(2)
        assert await teller(engine, clock, channel).tick() == 1
    assert hook.requests == 3
    assert hook.texts[0].startswith("*warning: gap_open pb.events*\n")


async def test_a_notice_that_nobody_takes_is_given_up_in_the_end_and_holds_up_no_other(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    ear = Ear(deaf=True)
    telling = teller(engine, clock, ear, patience=Patience(give_up_s=600))
    await open_gap(engine, "pb.a")
    await watch(engine, clock, ear).tick()
    with capture_logs() as logged:
        for _ in range(40):
            clock.advance(30)
            await telling.tick()
    assert [line["event"] for line in logged].count("alert.given_up") == 1
    assert logged[-1]["event"] == "alert.given_up"
    ear.deaf = False
    await open_gap(engine, "pb.b")
    await watch(engine, clock, ear).tick()
    clock.advance(400)
    await telling.tick()
    assert ear.heard == [("firing", "pb.b")]


async def test_one_notice_that_is_refused_goes_after_those_that_were_not_tried(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    class Picky(Ear):
        async def send(self, message: Message) -> Sent:
            self.deaf = message.subject == "pb.bad"
            return await super().send(message)

    ear = Picky()
    telling = teller(engine, clock, ear)
    for stream in ("pb.bad", "pb.c", "pb.d"):
        await open_gap(engine, stream)
    await watch(engine, clock, ear).tick()
    for _ in range(4):
        await telling.tick()
        clock.advance(61)
    assert ear.heard == [("firing", "pb.c"), ("firing", "pb.d")]


async def test_a_tick_tells_only_so_many(engine: AsyncEngine, clock: ManualClock) -> None:
    ear = Ear()
    pace = replace(PACE, notices_per_minute_max=1000)
    await run(
        engine,
        "INSERT INTO streams (name, source, numbering, settle_s)"
        f" SELECT 'pb.' || n, 'pb', 'venue', 2 FROM generate_series(1, {NOTICES_PER_TICK_MAX + 5}) n",
    )
    await run(
        engine,
        "INSERT INTO gaps (stream_id, epoch, first, last, opened_at, due_at)"
        f" SELECT id, 1, 1, 1, '{START.isoformat()}', now() FROM streams",
    )
    await Watch(engine, clock, ONLY_GAPS, pace, [LogChannel(), ear]).tick()
    telling = teller(engine, clock, ear)
    assert [await telling.tick(), await telling.tick()] == [NOTICES_PER_TICK_MAX, 5]


async def act(engine: AsyncEngine, clock: ManualClock, done: Callable[[Acting], Awaitable[Any]]) -> Any:
    async with engine.begin() as conn:
        return await done(Acting(conn, "cli:ada", clock.now(), Vault(), {}))


async def test_a_silence_is_an_act_on_record_that_ends_by_itself_or_before(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    ear = Ear()
    watching, telling = watch(engine, clock, ear), teller(engine, clock, ear)
    for_an_hour: dict[str, Any] = {"rule": "gap_*", "subject": "pb.*", "hours": 1, "reason": "a move"}
    first = await act(engine, clock, lambda acting: silencing.silence(acting, **for_an_hour))
    await open_gap(engine)
    await watching.tick()
    assert (await telling.tick(), await firing(engine)) == (0, {("gap_open", "warning"): 1})
    clock.advance(3599)
    await watching.tick()
    assert await telling.tick() == 0
    clock.advance(1)
    await watching.tick()
    assert await telling.tick() == 1
    with pytest.raises(Unknown):
        await act(engine, clock, lambda acting: silencing.unsilence(acting, first))
    second = await act(engine, clock, lambda acting: silencing.silence(acting, **for_an_hour))
    await act(engine, clock, lambda acting: silencing.unsilence(acting, second))
    async with engine.connect() as conn:
        deeds = await audit.listing(conn, limit=10)
        assert await silences.holding(conn, now=clock.now()) == []
    assert [(deed.actor, deed.action, deed.subject) for deed in deeds] == [
        ("cli:ada", "alerts.unsilenced", "gap_* pb.*"),
        ("cli:ada", "alerts.silenced", "gap_* pb.*"),
        ("cli:ada", "alerts.silenced", "gap_* pb.*"),
    ]
    assert deeds[-1].detail["reason"] == "a move"


@pytest.mark.parametrize(
    "given, field",
    [({"hours": 0}, "hours"), ({"hours": 721}, "hours"), ({"reason": " "}, "reason"), ({"rule": "a\0b"}, "rule")],
)
async def test_a_silence_without_an_end_or_a_reason_is_refused(
    engine: AsyncEngine, clock: ManualClock, given: dict[str, Any], field: str
) -> None:
    wanted = {"rule": "*", "subject": "*", "hours": 1, "reason": "a move", **given}
    with pytest.raises(Invalid) as refused:
        await act(engine, clock, lambda acting: silencing.silence(acting, **wanted))
    assert [name for name, _ in refused.value.problems] == [field]


async def test_there_are_only_so_many_silences(
    engine: AsyncEngine, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silences, "SILENCES_MAX", 1)
    for_an_hour: dict[str, Any] = {"rule": "*", "subject": "*", "hours": 1, "reason": "a move"}
    await act(engine, clock, lambda acting: silencing.silence(acting, **for_an_hour))
    with pytest.raises(Conflict):
        await act(engine, clock, lambda acting: silencing.silence(acting, **for_an_hour))


async def test_what_is_over_is_forgotten_in_time_and_what_holds_is_kept(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    await open_gap(engine, "pb.a")
    watching = watch(engine, clock, Ear())
    await watching.tick()
    await close_gaps(engine)
    clock.advance(60)
    await watching.tick()
    await open_gap(engine, "pb.b", now=clock.now())
    clock.advance(400)
    await watching.tick()
    await act(
        engine, clock, lambda acting: silencing.silence(acting, rule="*", subject="*", hours=1, reason="a move")
    )
    clock.advance(31 * 86_400)
    await Retention(engine, clock, RetentionLimits()).tick()
    assert [tuple(row) for row in await run(engine, "SELECT subject FROM alerts")] == [("pb.b",)]
    assert {tuple(row) for row in await run(engine, "SELECT DISTINCT kind FROM notices")} == {("firing",)}
    assert await run(engine, "SELECT id FROM silences") == []


async def test_what_was_told_is_not_told_again_because_its_alert_was_forgotten(
    engine: AsyncEngine, clock: ManualClock
) -> None:
    await append_told(engine, (await make_stream(engine, "pb.events")).name, Kind.GAP, b'{"reason":"lost"}')
    watching = watch(engine, clock)
    assert await watching.tick() == 1
    clock.advance(900)
    assert await watching.tick() == 1
    for later_s in (DAY_S, 60, 60, 3600, 3600):
        clock.advance(later_s)
        await Retention(engine, clock, RetentionLimits(keep_days=1)).tick()
        assert await watching.tick() == 0, "it was told, and that it is over, a day ago"
    assert await run(engine, "SELECT id FROM alerts") == []


async def test_who_has_not_been_told_is_counted_by_channel(engine: AsyncEngine, clock: ManualClock) -> None:
    ear = Ear()
    await open_gap(engine)
    await watch(engine, clock, ear).tick()
    async with engine.connect() as conn:
        assert await notices.waiting(conn) == {"log": 1, "ops": 1}
    await teller(engine, clock, ear).tick()
    async with engine.connect() as conn:
        assert await notices.waiting(conn) == {"log": 1}
