"""``bridge status`` and ``bridge gaps`` on a database with something to show."""

import json
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.budget import Left
from bridge.core.span import Span
from bridge.store import budgets, connections, destinations, evidence, gaps, leases, reads, streams
from bridge.store.evidence import Evidence
from bridge.store.reads import Read
from tests.cli.conftest import Invoke
from tests.cli.rows import fill, now, on, open_gap


def test_status_shows_streams_sockets_and_destinations(invoke: Invoke, database_url: str) -> None:
    on(database_url, fill)
    shown = invoke({"DATABASE_URL": database_url}, "status")
    assert shown.exit_code == 0, shown.output
    assert "pb.events" in shown.output
    assert "in 5h 00m" in shown.output or "in 4h 59m" in shown.output
    assert "connected" in shown.output
    assert "ledger" in shown.output


def test_status_tells_a_program_the_numbers(invoke: Invoke, database_url: str) -> None:
    on(database_url, fill)
    told = json.loads(invoke({"DATABASE_URL": database_url}, "status", "--json").stdout)
    [stream] = told["streams"]
    assert (stream["stream"], stream["position"], stream["gaps_open"]) == ("pb.events", 3, 1)
    assert told["sources"][0]["socket"] == "connected"
    [destination] = told["destinations"]
    [cursor] = destination["streams"]
    assert (destination["state"], cursor["position"], cursor["behind"]) == ("active", 2, 1)
    assert cursor["oldest_at"].startswith("2026-02-18T23:00:00")


def test_status_says_what_is_left_of_the_venues_quota_while_somebody_holds_the_source(
    invoke: Invoke, database_url: str
) -> None:
    async def spend(engine: AsyncEngine) -> None:
        at = now()
        async with engine.begin() as connection:
            left = {"private": Left(20, 20, 0.4, 40), "public": Left(50, 50, 31.9, 0)}
            await budgets.put(connection, source="pv", left=left, now=at)
            await budgets.put(connection, source="gone", left={"rest": Left(20, 20, 7, 0)}, now=at)
            await leases.take(connection, name="source:pv", holder="a", now=at, until=at + timedelta(minutes=5))

    on(database_url, spend)
    shown = invoke({"DATABASE_URL": database_url}, "status").output
    assert "private 0 of 20, 20/s, paused for " in shown
    assert "public 31 of 50, 50/s" in shown
    assert "7 of 20" not in shown, "what is left to nobody is no news"
    told = {
        one["source"]: one
        for one in json.loads(invoke({"DATABASE_URL": database_url}, "status", "--json").stdout)["sources"]
    }
    assert (told["pv"]["socket"], [one["name"] for one in told["pv"]["budgets"]]) == (None, ["private", "public"])
    assert (told["pv"]["budgets"][1]["tokens"], told["pv"]["budgets"][1]["attended"]) == (31.9, True)
    assert told["gone"]["budgets"][0]["attended"] is False
    [line] = [line for line in invoke({"DATABASE_URL": database_url}, "status").output.splitlines() if "gone" in line]
    assert line.split() == ["gone", "-", "-", "-", "-"]


def test_the_last_word_of_a_listener_that_is_gone_is_not_shown_as_news(invoke: Invoke, database_url: str) -> None:
    async def leave(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connections.put(connection, source="pb", state="connected", detail="", now=now())
            past = now() - timedelta(minutes=1)
            await leases.take(connection, name="source:pb", holder="a", now=past, until=past)

    on(database_url, leave)
    told = json.loads(invoke({"DATABASE_URL": database_url}, "status", "--json").stdout)
    assert told["sources"][0]["socket"] == "unattended"


def test_status_says_so_when_something_waits_for_a_person(invoke: Invoke, database_url: str) -> None:
    async def stop(engine: AsyncEngine) -> None:
        await fill(engine)
        async with engine.begin() as connection:
            await destinations.stop(connection, "ledger", reason="410 [bold]gone[/bold]\x1b[31m", now=now())

    on(database_url, stop)
    shown = invoke({"DATABASE_URL": database_url}, "status")
    assert shown.exit_code == 1
    assert "410 [bold]gone[/bold]" in shown.output, "a destination's words are shown as they are"
    assert "\x1b[31m" not in shown.output, "and never reach the terminal as commands"


def test_status_says_what_was_deleted_before_it_was_delivered(invoke: Invoke, database_url: str) -> None:
    async def expire(engine: AsyncEngine) -> None:
        await fill(engine)
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE cursors SET expired_first = 1, expired_last = 2"))

    on(database_url, expire)
    shown = invoke({"DATABASE_URL": database_url, "COLUMNS": "240"}, "status")
    assert "expired" in shown.output
    told = json.loads(invoke({"DATABASE_URL": database_url}, "status", "--json").stdout)
    [cursor] = told["destinations"][0]["streams"]
    assert (cursor["expired_first"], cursor["expired_last"]) == (1, 2)


def test_gaps_are_listed_newest_first_and_open_ones_by_their_deadline(invoke: Invoke, database_url: str) -> None:
    async def several(engine: AsyncEngine) -> None:
        await open_gap(engine, 7, 9)
        await open_gap(engine, 20, 20)
        await open_gap(engine, 5, 5, stream="other.events")
        async with engine.begin() as connection:
            await connection.execute(
                text("UPDATE gaps SET state = 'recovered', closed_at = opened_at, found = 3 WHERE first = 7")
            )

    on(database_url, several)
    environ = {"DATABASE_URL": database_url}

    def told(*words: str) -> list[int]:
        return [gap["first"] for gap in json.loads(invoke(environ, "gaps", *words, "--json").stdout)["gaps"]]

    assert told() == [5, 20, 7]
    assert told("pb.events") == [20, 7]
    assert told("pb.events", "--open") == [20]
    assert told("--limit", "1") == [5]
    shown = invoke(environ, "gaps", "pb.events")
    assert "recovered" in shown.output


def test_gaps_of_a_stream_that_is_not_there_are_a_problem(invoke: Invoke, database_url: str) -> None:
    shown = invoke({"DATABASE_URL": database_url}, "gaps", "no.such")
    assert shown.exit_code == 1
    assert "there is no stream no.such" in shown.stderr


def test_a_database_that_is_not_at_head_is_refused_with_what_to_do(invoke: Invoke, empty_database_url: str) -> None:
    shown = invoke({"DATABASE_URL": empty_database_url}, "status")
    assert shown.exit_code == 1
    assert "alembic upgrade head" in shown.stderr
    assert "Traceback" not in shown.output


def test_a_database_that_is_away_is_named_without_its_password(invoke: Invoke, free_port: int) -> None:
    url = f"postgres://bridge:hushhush@127.0.0.1:{free_port}/bridge"
    shown = invoke({"DATABASE_URL": url}, "status")
    assert shown.exit_code == 1
    assert "database" in shown.stderr
    assert "hushhush" not in shown.output
    assert "Traceback" not in shown.output


def test_a_name_that_does_not_resolve_is_named_as_that(invoke: Invoke) -> None:
    shown = invoke({"DATABASE_URL": "postgres://a:b@no-such-host.invalid/bridge"}, "status")
    assert shown.exit_code == 1
    assert "cannot be reached" in shown.stderr


def test_a_database_that_does_not_exist_is_named_as_that(invoke: Invoke, database_url: str) -> None:
    name = database_url.split("?", maxsplit=1)[0].rsplit("/", 1)[1]
    shown = invoke({"DATABASE_URL": database_url.replace(name, "not_there")}, "status")
    assert shown.exit_code == 1
    assert "not_there" in shown.stderr


def test_one_gap_is_shown_with_every_read_that_was_tried(invoke: Invoke, database_url: str) -> None:
    async def work(engine: AsyncEngine) -> int:
        await fill(engine)
        async with engine.begin() as connection:
            stream = await streams.read(connection, "pb.events")
            assert stream is not None
            made = [
                Read(now(), "proof", 2, 12, 12, 1, 9, 0, withheld="stable"),
                Read(now(), "hole", error="HTTP 503"),
            ]
            await reads.insert(connection, stream_id=stream.id, epoch=1, made=made)
            proof = Evidence(Span.inclusive(7, 8), "proof", {"looks": 2})
            await evidence.insert(connection, stream_id=stream.id, epoch=1, found=[proof], now=now())
            return (await gaps.listing(connection, stream_id=stream.id))[0].id

    gap_id = str(on(database_url, work))
    environ = {"DATABASE_URL": database_url}
    shown = invoke(environ, "gaps", "pb.events", "--gap", gap_id)
    assert shown.exit_code == 0, shown.output
    for words in ("epoch 1, 7 to 9", "still open", "stable", "HTTP 503", '{"looks":2}'):
        assert words in shown.output
    told = json.loads(invoke(environ, "gaps", "pb.events", "--gap", gap_id, "--json").stdout)
    assert [one["error"] or one["withheld"] for one in told["reads"]] == ["HTTP 503", "stable"]
    for asked in (("pb.events", "--gap", "999"), ("--gap", gap_id), ("no", "--gap", gap_id)):
        refused = invoke(environ, "gaps", *asked)
        assert (refused.exit_code, "there is no gap" in refused.stderr) == (1, True)
    assert invoke(environ, "gaps", "pb.events", "--gap", "9" * 20).exit_code == 2
