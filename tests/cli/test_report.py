"""``bridge report``, by the command that people type."""

import csv
import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.destination import DestinationPolicy
from bridge.core.event import Kind
from tests.cli.conftest import Invoke
from tests.cli.rows import on
from tests.consuming import KEY
from tests.deliver.desk import Desk
from tests.deliver.sending import deliverer
from tests.events import START
from tests.logs import append_events, append_told

DAY = START.strftime("%Y-%m-%d")


async def fill(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 5)
    await append_events(engine, "by.trades", 2)


async def contradict(engine: AsyncEngine) -> None:
    await append_told(engine, "pb.events", Kind.CONFLICT, b"{}")


def test_a_day_as_a_table_as_json_and_as_a_sheet(invoke: Invoke, database_url: str) -> None:
    on(database_url, fill)
    environ = {"DATABASE_URL": database_url}
    shown = invoke(environ, "report", "--day", DAY)
    assert shown.exit_code == 0, shown.output
    assert "pb.events" in shown.output
    told = json.loads(invoke(environ, "report", "--day", DAY, "--stream", "pb.*", "--format", "json").stdout)
    assert [(one["stream"], one["counts"]["events"]) for one in told["streams"]] == [("pb.events", 5)]
    assert told["digest"] in invoke(environ, "report", "--day", DAY, "--stream", "pb.*").output
    rows = list(csv.DictReader(io.StringIO(invoke(environ, "report", "--day", DAY, "--format", "csv").stdout)))
    assert [(row["stream"], row["events"]) for row in rows] == [("by.trades", "2"), ("pb.events", "5")]


async def deliver(engine: AsyncEngine) -> None:
    clock = ManualClock(START)
    chosen = DestinationPolicy("=ledger", "http://ledger", (KEY,))
    await deliverer(engine, Desk(), clock, chosen).drain()


def test_destinations_are_told_as_a_table_and_as_a_sheet_of_their_own(invoke: Invoke, database_url: str) -> None:
    on(database_url, fill)
    on(database_url, deliver)
    environ = {"DATABASE_URL": database_url}
    assert "100 %" in invoke(environ, "report", "--day", DAY).output
    sheet = invoke(environ, "report", "--day", DAY, "--format", "deliveries-csv").stdout
    [row] = csv.DictReader(io.StringIO(sheet))
    assert (row["destination"], row["delivered"], row["attempts"]) == ("'=ledger", "7", "7")
    others = invoke(environ, "report", "--day", DAY, "--destination", "other*", "--format", "json").stdout
    assert json.loads(others)["destinations"] == []


def test_a_file_that_cannot_be_written_or_would_not_be_is_told(
    invoke: Invoke, database_url: str, tmp_path: Path
) -> None:
    on(database_url, fill)
    asked = ({"DATABASE_URL": database_url}, "report", "--day", DAY, "--output")
    nowhere = invoke(*asked, str(tmp_path / "nowhere" / "day.json"), "--format", "json")
    assert (nowhere.exit_code, "--output" in nowhere.output, "No such file" in nowhere.output) == (2, True, True)
    table = invoke(*asked, str(tmp_path / "day.json"))
    assert (table.exit_code, "--format" in table.output) == (2, True)
    assert list(tmp_path.iterdir()) == []
    assert invoke(*asked, str(tmp_path / "day.json"), "--format", "json").exit_code == 0
    assert json.loads((tmp_path / "day.json").read_text())["streams"]


def test_a_contradiction_is_told_by_the_exit_code(invoke: Invoke, database_url: str) -> None:
    on(database_url, fill)
    on(database_url, contradict)
    assert invoke({"DATABASE_URL": database_url}, "report", "--day", DAY).exit_code == 1


def test_another_day_is_empty(invoke: Invoke, database_url: str) -> None:
    on(database_url, fill)
    before = (START - timedelta(days=1)).strftime("%Y-%m-%d")
    told = json.loads(invoke({"DATABASE_URL": database_url}, "report", "--day", before, "--format", "json").stdout)
    assert [(one["ended"], one["hours"]) for one in told["streams"]] == [(None, []), (None, [])]


@pytest.mark.parametrize(
    "words, why",
    [
        (("--day", DAY, "--from", DAY), "--day, or"),
        (("--day", "9999-12-31"), "calendar ends"),
        (("--from", DAY), "belong together"),
        (("--from", DAY, "--to", DAY), "empty"),
        (("--from", f"{DAY}T00:30", "--to", f"{DAY}T01:00"), "whole hours"),
    ],
)
def test_a_period_that_is_none_is_refused(
    invoke: Invoke, database_url: str, words: tuple[str, ...], why: str
) -> None:
    shown = invoke({"DATABASE_URL": database_url}, "report", *words)
    assert shown.exit_code != 0
    assert why in shown.output
