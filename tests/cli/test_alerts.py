"""Alerts from the command line: what holds, a silence with an end, and a test that says who was reached."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.alert.logged import LogChannel
from bridge.alert.values import Pace, Thresholds
from bridge.alert.watching import Watch
from bridge.cli.operating import actor
from bridge.clock import SystemClock
from tests.cli.conftest import Invoke
from tests.cli.rows import on, open_gap
from tests.cli.test_destinations import Bridge

CHANNELS = """
[alerts]
gap_open_s = 1

[alerts.channels.ops]
type = "slack"
url = "${SLACK}"
allow_private = true

[alerts.channels.people]
type = "email"
host = "127.0.0.1"
port = 9
tls = "none"
from = "bridge@example.com"
to = "ops@example.com"
"""


@pytest.fixture
def bridge(invoke: Invoke, tmp_path: Path, database_url: str) -> Bridge:
    file = tmp_path / "bridge.toml"
    file.write_text(CHANNELS)
    environ = {"BRIDGE_CONFIG": str(file), "DATABASE_URL": database_url, "SLACK": "http://127.0.0.1:9/services/t0ken"}
    return Bridge(invoke, environ)


async def find(engine: AsyncEngine) -> None:
    """An open gap, and one look at it."""
    await open_gap(engine, 7, 9)
    limits = Thresholds(gap_open_s=0)
    await Watch(engine, SystemClock(), limits, Pace(resolve_s=0), [LogChannel()]).tick()


async def heal(engine: AsyncEngine) -> None:
    """The gap is as if it had never been, and so it looks."""
    await Watch(engine, SystemClock(), Thresholds(gap_open_s=9999), Pace(resolve_s=0), [LogChannel()]).tick()


def test_what_holds_is_listed_with_who_was_told_until_it_is_over(bridge: Bridge) -> None:
    assert bridge.told("alerts", "list") == {"alerts": []}
    on(bridge.environ["DATABASE_URL"], find)
    [alert] = bridge.told("alerts", "list")["alerts"]
    assert (alert["rule"], alert["subject"], alert["severity"]) == ("gap_open", "pb.events", "warning")
    assert (alert["silenced"], alert["resolved_at"], alert["figures"]["gaps"]) == (False, None, 1)
    assert [(one["channel"], one["kind"], one["told_at"]) for one in alert["notices"]] == [("log", "firing", None)]
    said = bridge.said("alerts", "list")
    for word in ("gap_open", "pb.events has 1 open gap", "firing", "log (not yet)"):
        assert word in said
    on(bridge.environ["DATABASE_URL"], heal)
    assert bridge.told("alerts", "list") == {"alerts": []}
    [over] = bridge.told("alerts", "list", "--all")["alerts"]
    assert over["resolved_at"] is not None
    assert "over" in bridge.said("alerts", "list", "--all")


def test_a_silence_is_made_shown_and_ended_on_record(bridge: Bridge) -> None:
    on(bridge.environ["DATABASE_URL"], find)
    made = bridge.told("alerts", "silence", "--rule", "gap_*", "--hours", "2", "--reason", "a move")["silence"]
    assert bridge.told("alerts", "list")["alerts"][0]["silenced"] is True
    assert "silenced" in bridge.said("alerts", "list")
    [silence] = bridge.told("alerts", "silences")["silences"]
    assert (silence["rule"], silence["subject"], silence["made_by"]) == ("gap_*", "*", actor())
    assert "a move" in bridge.said("alerts", "silences")
    assert bridge.said("alerts", "unsilence", str(made)) == f"silence {made} is over\n"
    assert "no silence" in bridge.refused("alerts", "unsilence", str(made))
    assert bridge.told("alerts", "silences") == {"silences": []}
    deeds = bridge.told("audit", "list")["audit"]
    assert [(deed["action"], deed["actor"]) for deed in deeds] == [
        ("alerts.unsilenced", actor()),
        ("alerts.silenced", actor()),
    ]


def test_a_silence_of_nothing_in_particular_or_without_an_end_is_refused(bridge: Bridge) -> None:
    bridge.refused("alerts", "silence", "--hours", "2", "--reason", "x", code=2)
    bridge.refused("alerts", "silence", "--rule", "*", "--reason", "x", code=2)
    assert "hours" in bridge.refused("alerts", "silence", "--rule", "*", "--hours", "721", "--reason", "x")
    assert bridge.told("alerts", "silences") == {"silences": []}


def test_a_test_says_of_every_channel_whether_it_was_reached(bridge: Bridge) -> None:
    ran = bridge._invoke(bridge.environ, "alerts", "test", "--json")
    told: dict[str, Any] = {one["channel"]: one for one in json.loads(ran.stdout)["channels"]}
    assert ran.exit_code == 1
    assert {name: one["outcome"] for name, one in told.items()} == {
        "log": "told",
        "ops": "failed",
        "people": "failed",
    }
    assert told["ops"]["reason"] == "no connection: Connection refused"
    for secret in ("t0ken", "ops@example.com"):
        assert secret not in ran.output
    assert "told" in bridge.said("alerts", "test", "--channel", "log")
    assert "no channel nobody" in bridge.refused("alerts", "test", "--channel", "nobody")
    assert [deed["subject"] for deed in bridge.told("audit", "list")["audit"]] == ["log", "log, ops, people"]
