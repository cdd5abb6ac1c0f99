"""``bridge compare --upstream``: a real process, a simulated venue, and a consumer's list laid beside each other."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.cli.upstream import QUOTA_SHARE, spool
from bridge.cli.venue import opened
from bridge.clock import ManualClock, SystemClock
from bridge.config import load_settings
from bridge.core.event import Event, Transport, digest_of
from bridge.core.span import Span
from bridge.ingest import Base, Door, Finding, StreamSpec
from bridge.sim.playbatman import Faults, SimConfig
from bridge.store import audits, streams
from bridge.store.audits import Audit
from bridge.store.comparing import Listed
from bridge.store.evidence import Evidence
from tests.cli.conftest import Invoke
from tests.cli.rows import on
from tests.cli.test_compare import digests_of, write
from tests.cli.test_configured import written
from tests.cli.test_real import bridge
from tests.cli.venue import venue_on

REPLAY = "[sources.pb.replay]\npage_max = 10\noverlap = 2\nrequests_per_s = 400\n"
HISTORY = SimConfig(port=0, events_per_s=0.0, history_count=60, history_age_s=3600.0, retention_s=3000.0)


@dataclass
class Place:
    """A bridge beside a venue, and the numbers on which they differ."""

    environ: dict[str, str]
    url: str
    numbers: list[int]
    missed: int
    other: int
    unlisted: int
    old: int
    lost: int
    void: int
    waits: int

    def consumer(self, path: Path) -> Path:
        """A consumer that lacks two, has one with other content, and has what nobody told it."""
        held = digests_of(self.url)
        del held[self.numbers[5]], held[self.old]
        wrong = {self.numbers[6]: "00" * 32, self.waits - 1: "22" * 32, self.waits + 99: "33" * 32}
        return write(path, list({**held, **wrong, self.lost: "44" * 32, self.void: "55" * 32}.items()))


def own(number: int, at: Any, *, body: bytes = b'{"ours":1}') -> Event:
    return Event(f"own-{number}", "ORDER_MATCHED", "market-1", body, digest_of(body), number, at)


@pytest.fixture
def place(tmp_path: Path, database_url: str) -> Iterator[Place]:
    """The bridge has heard all but one of the venue's events, and some that the venue does not list."""
    with venue_on(HISTORY) as port:
        environ = written(tmp_path, port, more=REPLAY) | {"DATABASE_URL": database_url}

        async def work(engine: AsyncEngine) -> Place:
            async with opened(load_settings(environ).numbered["pb"], SystemClock()) as source:
                rows = (await source.replay.page(since=None, limit=1000)).events
            return await fill(engine, environ, database_url, rows)

        yield on(database_url, work)


async def fill(engine: AsyncEngine, environ: dict[str, str], url: str, rows: tuple[Event, ...]) -> Place:
    numbers = [event.sequence for event in rows if event.sequence is not None]
    assert numbers[0] > 10, "the venue has forgotten the first ones"
    free = [n for n in range(numbers[7], numbers[-1]) if n not in numbers]
    unlisted, lost, void = free[2], free[5], free[8]
    found = Place(environ, url, numbers, numbers[10], numbers[20], unlisted, 3, lost, void, numbers[-1] + 9)
    first_at = rows[0].occurred_at
    assert first_at is not None
    heard = [event for event in rows if event.sequence not in (found.missed, found.other)]
    heard += [own(found.other, first_at + timedelta(minutes=9)), own(unlisted, first_at + timedelta(minutes=9))]
    heard += [own(found.old, first_at - timedelta(minutes=1)), own(found.waits, first_at + timedelta(minutes=60))]
    clock = ManualClock(SystemClock().now() - timedelta(minutes=10))
    async with Door(engine, clock, {"pb.events": StreamSpec("pb.events", "pb", "venue", settle_s=2.0)}) as door:
        await door.accept("pb.events", heard, transport=Transport.WEBHOOK)
        spans = (Span.inclusive(1, lost - 1), Span.inclusive(lost + 1, numbers[-1]))
        known = [Evidence(span, "proof", {}) for span in spans]
        known.append(Evidence(Span.inclusive(lost, lost), "loss", {}))
        await door.record("pb.events", Finding(1, tuple(known), base=Base(1, first_at)))
    return found


def named(told: dict[str, Any]) -> dict[int, tuple[str, str | None, str, str | None]]:
    return {one["sequence"]: (one["what"], one["upstream"], one["bridge"], one["consumer"]) for one in told["named"]}


async def rows_of(engine: AsyncEngine, statement: str) -> list[tuple[Any, ...]]:
    async with engine.connect() as conn:
        return [tuple(row) for row in await conn.execute(text(statement))]


@pytest.mark.parametrize("name", ["held.csv", "held.ndjson"])
def test_three_sides_are_compared_down_to_the_event(place: Place, tmp_path: Path, name: str) -> None:
    held = place.consumer(tmp_path / name)
    shown = bridge("compare", "pb.events", "--upstream", "--against", str(held), "--json", **place.environ)
    assert shown.returncode == 1, shown.stderr
    told = json.loads(shown.stdout)
    assert named(told) == {
        place.old: ("lacking", "expired", "has", "lacks"),
        place.numbers[5]: ("lacking", "has", "has", "lacks"),
        place.numbers[6]: ("different", "has", "has", "other"),
        place.missed: ("lacking, missed", "has", "healed", "lacks"),
        place.other: ("conflict", "other", "has", "has"),
        place.unlisted: ("unlisted", "lacks", "has", "has"),
        place.lost: ("extra", "lacks", "lost", "has"),
        place.void: ("extra", "lacks", "void", "has"),
        place.waits - 1: ("extra", "newer", "open", "has"),
        place.waits: ("extra, unlisted", "lacks", "waits", "has"),
        place.waits + 99: ("extra", "newer", "unknown", "has"),
    }
    assert told["counts"] == {
        "lacking": 3, "different": 1, "extra": 5, "missed": 1, "conflict": 1, "unlisted": 2
    }  # fmt: skip
    assert told["listed"] == told["audit"]["rows"] == len(place.numbers)
    found = (told["audit"]["fresh"], told["audit"]["conflicts"], told["audit"]["unlisted"])
    assert found == (1, 1, 2)
    assert told["audit"]["named"]["unlisted"] == [place.unlisted, place.waits]


def test_what_was_missing_is_healed_and_told_and_the_next_look_has_nothing_to_heal(place: Place) -> None:
    first = bridge("compare", "pb.events", "--upstream", **place.environ)
    assert first.returncode == 1
    assert "1 the bridge had missed, and has now from the venue" in first.stdout
    assert f"the venue lists {len(place.numbers)}, from {place.numbers[0]} to {place.numbers[-1]}" in first.stdout
    again = json.loads(bridge("compare", "pb.events", "--upstream", "--json", **place.environ).stdout)
    assert named(again) == {
        place.other: ("conflict", "other", "has", None),
        place.unlisted: ("unlisted", "lacks", "has", None),
        place.waits: ("unlisted", "lacks", "waits", None),
    }

    async def work(engine: AsyncEngine) -> None:
        kinds = await rows_of(engine, "SELECT kind, sequence FROM log WHERE kind <> 'event' ORDER BY position")
        assert kinds == [("gap", None), ("late", place.missed), ("conflict", None)]
        gaps = await rows_of(engine, "SELECT first, last, state, healed_by FROM gaps WHERE healed_by = 'audit'")
        assert gaps == [(place.missed, place.missed, "recovered", "audit")]
        kept = await rows_of(engine, "SELECT why, fresh, unlisted, ended_at IS NULL FROM audits ORDER BY id")
        assert kept == [("asked", 1, 2, False), ("asked", 0, 2, False)]

    on(place.url, work)


def test_a_list_that_cannot_be_read_is_told_before_the_venue_is_asked(
    invoke: Invoke, tmp_path: Path, place: Place
) -> None:
    (tmp_path / "held.csv").write_text("sequence,digest\n1,ab\n")
    shown = invoke(place.environ, "compare", "pb.events", "--upstream", "--against", str(tmp_path / "held.csv"))
    assert (shown.exit_code, "held.csv, line 2: " in shown.stderr) == (1, True), shown.stderr
    assert on(place.url, lambda engine: rows_of(engine, "SELECT id FROM audits")) == []


def test_an_empty_list_agrees_with_nobody(tmp_path: Path, place: Place) -> None:
    with venue_on(SimConfig(port=0, events_per_s=0.0)) as port:
        environ = place.environ | written(tmp_path, port, more=REPLAY)
        shown = bridge("compare", "pb.events", "--upstream", "--json", **environ)
    told = json.loads(shown.stdout)
    assert (shown.returncode, told["listed"]) == (1, 0)
    assert told["counts"]["unlisted"] == told["audit"]["unlisted"] >= len(place.numbers) / 2
    assert {one["upstream"] for one in told["named"]} == {"lacks"}


def test_a_venue_that_does_not_answer_ends_the_pass_with_a_line_and_keeps_what_was_read(
    invoke: Invoke, tmp_path: Path, place: Place
) -> None:
    faults = Faults(error_rate=1.0)
    with venue_on(SimConfig(port=0, events_per_s=0.0, faults=faults)) as port:
        environ = place.environ | written(
            tmp_path, port, more=f"{REPLAY}backoff_first_s = 0.01\nbackoff_max_s = 0.02\n"
        )
        shown = invoke(environ, "compare", "pb.events", "--upstream")
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert len(shown.stderr.splitlines()) == 1
    [kept] = on(place.url, lambda engine: rows_of(engine, "SELECT ended_at IS NULL, error, rows FROM audits"))
    assert (kept[0], kept[2]) == (False, 0)
    assert kept[1] in shown.stderr


def test_something_to_compare_with_is_needed(invoke: Invoke, database_url: str) -> None:
    shown = invoke({"DATABASE_URL": database_url}, "compare", "pb.events")
    assert (shown.exit_code, "give --against, --upstream, or both" in shown.stderr) == (1, True)


@pytest.mark.parametrize(
    "change, line",
    [
        ("UPDATE streams SET suspect_at = now()", "is frozen"),
        ("UPDATE streams SET base = NULL, frontier = NULL", "has not begun"),
        ("UPDATE streams SET source = 'gone'", "no source is configured"),
        ("UPDATE streams SET name = 'pb.other'", "there is no stream"),
    ],
)
def test_a_stream_that_cannot_be_asked_about_says_why(invoke: Invoke, place: Place, change: str, line: str) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with engine.begin() as conn:
            await conn.execute(text(change))

    on(place.url, work)
    shown = invoke(place.environ, "compare", "pb.events", "--upstream")
    assert (shown.exit_code, line in shown.stderr) == (1, True), shown.stderr


def test_where_the_venue_has_no_numbers_the_last_audit_of_its_lists_is_told(
    invoke: Invoke, tmp_path: Path, database_url: str
) -> None:
    environ = written(tmp_path) | {"DATABASE_URL": database_url}
    ended_at = SystemClock().now().replace(microsecond=0)

    async def work(engine: AsyncEngine, *, audited: bool) -> None:
        async with engine.begin() as conn:
            row = await streams.ensure(conn, name="by.trades", source="by", numbering="bridge", settle_s=1.0)
            if audited:
                audit = Audit(began_at=ended_at, ended_at=ended_at, rows=41, fresh=2)
                await audits.add(conn, stream_id=row.id, audit=audit)

    on(database_url, lambda engine: work(engine, audited=False))
    shown = invoke(environ, "compare", "by.trades", "--upstream")
    assert (shown.exit_code, "no such audit has ended yet" in shown.stderr) == (1, True)
    on(database_url, lambda engine: work(engine, audited=True))
    shown = invoke(environ, "compare", "by.trades", "--upstream")
    assert "does not number by.trades" in shown.stderr
    assert f"the last audit of {ended_at:%Y-%m-%d %H:%M:%S} UTC looked at 41 rows and found 2 missed" in shown.stderr


def test_the_venue_is_asked_at_a_quarter_of_what_is_configured(tmp_path: Path) -> None:
    with venue_on(HISTORY) as port:
        more = "[sources.pb.replay]\nrequests_per_s = 8\n"
        configured = load_settings(written(tmp_path, port, more=more)).numbered["pb"]
        clock = ManualClock(SystemClock().now())

        async def ask() -> float:
            async with opened(configured, clock, quota_share=QUOTA_SHARE) as source:
                began = clock.monotonic()
                for _ in range(22):
                    await source.replay.page(since=None, limit=1)
                return clock.monotonic() - began

        assert asyncio.run(ask()) == pytest.approx(10, abs=0.1)


def test_a_list_that_is_kept_aside_comes_back_as_it_was_and_in_order() -> None:
    listed = [Listed(1 + n % 2, n * 2**40, n % 3 == 0, n % 5 == 0) for n in range(25_000)]
    with spool() as kept:
        kept.add(listed[:7])
        kept.add(listed[7:])
        assert list(kept.rows()) == listed
        assert list(kept.rows()) == listed
