"""Destinations from the command line: the same acts as by the API, on record under the system's user."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.cli.operating import actor
from bridge.store import cursors, destinations, parked
from bridge.store.attempts import Attempt, add
from bridge.store.vault import new_key
from tests.cli.conftest import Invoke
from tests.cli.rows import now, on
from tests.logs import append_events

URL = "https://ledger.example/in?token=t0ken"
SECRET = "whsec_" + "QUJD" * 8
MANY_STREAMS = """
INSERT INTO streams (name, source, numbering, settle_s)
SELECT 'pb.' || n, 'pb', 'venue', 2 FROM generate_series(1000, 3000) AS n
"""
MANY_CURSORS = """
INSERT INTO cursors (destination_id, stream_id, position, sent, due_at)
SELECT d.id, s.id, 0, 0, now() FROM destinations d, streams s
"""


@pytest.fixture
def environ(tmp_path: Path, database_url: str) -> dict[str, str]:
    """An environment with a database, a key, and a file that knows one destination."""
    file = tmp_path / "bridge.toml"
    file.write_text(
        f'[destinations.books]\nurl = "http://127.0.0.1:9/in"\nallow_private = true\nsecret = "{SECRET}"\n'
    )
    return {"BRIDGE_CONFIG": str(file), "DATABASE_URL": database_url, "BRIDGE_SECRET_KEY": new_key()}


class Bridge:
    """The program in one environment."""

    def __init__(self, invoke: Invoke, environ: dict[str, str]) -> None:
        self._invoke = invoke
        self.environ = environ

    def told(self, *words: str) -> Any:
        """What the program answers with ``--json``; it must be content."""
        ran = self._invoke(self.environ, *words, "--json")
        assert ran.exit_code == 0, ran.output
        return json.loads(ran.stdout)

    def said(self, *words: str, given: str | None = None) -> str:
        """What it answers to people; it must be content."""
        ran = self._invoke(self.environ, *words, given=given)
        assert ran.exit_code == 0, ran.output
        return ran.stdout

    def refused(self, *words: str, code: int = 1) -> str:
        """Why it refuses."""
        ran = self._invoke(self.environ, *words)
        assert ran.exit_code == code, ran.output
        return ran.stderr


@pytest.fixture
def bridge(invoke: Invoke, environ: dict[str, str]) -> Bridge:
    return Bridge(invoke, environ)


async def take_up(engine: AsyncEngine) -> None:
    """Three entries that ``ledger`` has taken two of, one attempt that failed, and the first two laid aside."""
    await append_events(engine, "pb.events", 3)
    async with engine.begin() as conn:
        ids = await destinations.ids(conn, ["ledger"])
        pair = (ids["ledger"], (await cursors.streams(conn))["pb.events"])
        await cursors.ensure(conn, [pair], now=now())
        await conn.execute(text("UPDATE cursors SET position = 2, sent = 2"))
        await add(conn, Attempt(*pair, 3, 3, 1, "unknown", 500, "answered 500", 7.0, now(), now()))
        for position in (1, 2):
            await parked.add(conn, *pair, position, attempts=3, status=422, error="answered 422", now=now())


def test_a_destination_is_made_shown_and_changed(bridge: Bridge) -> None:
    made = bridge.told(
        "destinations", "create", "ledger", "--url", URL, "--set", "streams=pb.*,x", "--set", "batch_max=5"
    )
    assert made["secret"].startswith("whsec_")
    shown = bridge.told("destinations", "show", "ledger")
    assert (shown["policy"]["streams"], shown["policy"]["batch_max"]) == (["pb.*", "x"], 5)
    assert "t0ken" not in json.dumps(made)
    said = bridge.said("destinations", "show", "ledger")
    assert "batch_max: 5" in said
    assert "t0ken" not in said
    changed = bridge.told(
        "destinations", "update", "ledger", "--set", "rate_per_s=2.5", "--url", "https://b.example/"
    )
    assert (changed["policy"]["rate_per_s"], changed["url"], changed["version"]) == (2.5, "https://b.example/", 2)
    assert bridge.said("destinations", "update", "ledger", "--set", "batch_max=1") == "ledger is changed\n"
    assert {one["name"]: one["state"] for one in bridge.told("destinations", "list")["destinations"]} == {
        "books": "new",
        "ledger": "active",
    }
    assert "ledger" in bridge.said("destinations", "list")


def test_one_is_shown_with_every_stream_however_many(bridge: Bridge, database_url: str) -> None:
    async def take_many(engine: AsyncEngine) -> None:
        async with engine.begin() as conn:
            await conn.execute(text(MANY_STREAMS))
            await conn.execute(text(MANY_CURSORS))

    bridge.told("destinations", "create", "ledger", "--url", URL)
    on(database_url, take_many)
    shown = bridge.told("destinations", "show", "ledger")
    assert [one["stream"] for one in shown["streams"]] == [f"pb.{number}" for number in range(1_000, 3_001)]


def test_a_secret_comes_from_a_variable_or_is_made_and_shown_alone(bridge: Bridge) -> None:
    bridge.environ["OWN"] = SECRET
    assert "secret" not in bridge.told("destinations", "create", "own", "--url", URL, "--secret", "OWN")
    made = bridge.said("destinations", "create", "ledger", "--url", URL)
    rotated = bridge.said("destinations", "rotate", "ledger", "--overlap-s", "60")
    assert made.startswith("whsec_")
    assert rotated.startswith("whsec_")
    assert made != rotated
    assert len(bridge.told("destinations", "show", "ledger")["secrets"]) == 2
    assert len(bridge.told("destinations", "rotate", "ledger", "--overlap-s", "0")["secrets"]) == 1
    assert "NONE is not set" in bridge.refused("destinations", "rotate", "ledger", "--secret", "NONE", code=2)


@pytest.mark.parametrize(
    "words",
    [
        ("audit", "list", "--before"),
        ("destinations", "attempts", "books", "--before"),
        ("destinations", "attempts", "books", "--position"),
        ("alerts", "unsilence"),
        ("destinations", "parked", "show", "books", "pb.events"),
        ("destinations", "parked", "redeliver", "books", "pb.events"),
    ],
)
def test_a_number_that_is_larger_than_any_is_a_matter_of_usage(bridge: Bridge, words: tuple[str, ...]) -> None:
    assert "less than or equal" in bridge.refused(*words, "9" * 20, code=2)


def test_what_cannot_be_done_is_told_in_words(bridge: Bridge) -> None:
    refusals = {
        ("create", "ledger", "--url", "http://a.example/"): "https://",
        ("create", "Ledger", "--url", URL): "name",
        ("create", "books", "--url", URL): "configuration file",
        ("create", "a", "--url", URL, "--set", "batch_max=0"): "batch_max",
        ("show", "nobody"): "no destination nobody",
        ("attempts", "nobody"): "no destination nobody",
        ("test", "nobody"): "no destination nobody",
        ("delete", "nobody", "--yes"): "no destination nobody",
    }
    for words, why in refusals.items():
        assert why in bridge.refused("destinations", *words), words
    bridge.refused("destinations", "create", "a", "--url", URL, "--set", "batch_max", code=2)
    del bridge.environ["BRIDGE_SECRET_KEY"]
    assert "bridge secrets new-key" in bridge.refused("destinations", "create", "ledger", "--url", URL)


def test_it_is_paused_resumed_and_deleted(bridge: Bridge) -> None:
    bridge.said("destinations", "create", "ledger", "--url", URL)
    assert bridge.told("destinations", "pause", "ledger", "--reason", "a move")["reason"] == "a move"
    assert "paused already" in bridge.refused("destinations", "pause", "ledger")
    assert bridge.told("destinations", "resume", "ledger")["state"] == "active"
    assert bridge.said("destinations", "pause", "ledger") == "ledger is paused\n"
    assert bridge.said("destinations", "resume", "ledger").startswith("ledger is delivered to again")
    asked = bridge._invoke(bridge.environ, "destinations", "delete", "ledger", given="n\n")
    assert asked.exit_code == 1
    assert bridge.told("destinations", "delete", "ledger", "--yes") == {"deleted": "ledger"}
    bridge.refused("destinations", "show", "ledger")


def test_it_is_rewound(bridge: Bridge) -> None:
    bridge.said("destinations", "create", "ledger", "--url", URL)
    on(bridge.environ["DATABASE_URL"], take_up)
    words = ("destinations", "rewind", "ledger")
    told = bridge.told(*words, "--stream", "pb.events", "--position", "2")
    assert told == {"moved": [{"stream": "pb.events", "was": 2, "position": 1, "head": 3}]}
    assert bridge.told(*words, "--stream", "pb.events", "--sequence", "3")["moved"][0]["position"] == 2
    assert bridge.told(*words, "--time", "2030-01-01T00:00:00")["moved"][0]["position"] == 3
    assert bridge.said(*words, "--beginning") == "pb.events: from 3 to 0 of 3\n"
    assert "exactly one" in bridge.refused(*words)


def test_attempts_and_parked_entries_are_looked_at_and_ended(bridge: Bridge) -> None:
    bridge.said("destinations", "create", "ledger", "--url", URL)
    on(bridge.environ["DATABASE_URL"], take_up)
    [attempt] = bridge.told("destinations", "attempts", "ledger", "--outcome", "unknown", "--position", "3")[
        "attempts"
    ]
    assert (attempt["stream"], attempt["status"]) == ("pb.events", 500)
    assert bridge.told("destinations", "attempts", "ledger", "--since", "2090-01-01")["attempts"] == []
    assert "answered 500" in bridge.said("destinations", "attempts", "ledger")

    aside = ("destinations", "parked")
    assert [one["position"] for one in bridge.told(*aside, "list", "ledger")["parked"]] == [1, 2]
    assert "answered 422" in bridge.said(*aside, "list", "ledger")
    entry = ("ledger", "pb.events", "1")
    assert bridge.told(*aside, "show", *entry)["state"] == "parked"
    assert "pb.events" in bridge.said(*aside, "show", *entry)
    assert bridge.told(*aside, "redeliver", *entry) == {"entries": 1}
    assert "is due" in bridge.refused(*aside, "redeliver", *entry)
    bridge.said(*aside, "discard", *entry, "--reason", "a test order")
    gone = bridge.told(*aside, "show", *entry)
    assert (gone["state"], gone["reason"], gone["ended_by"]) == ("discarded", "a test order", actor())
    assert bridge.said(*aside, "redeliver", "ledger", "--all") == "sent again: 1\n"
    bridge.refused(*aside, "redeliver", "ledger", code=2)
    assert bridge.told(*aside, "list", "ledger", "--state", "discarded")["parked"][0]["position"] == 1


def test_a_test_that_is_not_accepted_ends_with_a_problem(bridge: Bridge) -> None:
    bridge.said("destinations", "create", "ledger", "--url", "https://127.0.0.1:9/in")
    ran = bridge._invoke(bridge.environ, "destinations", "test", "ledger", "--json")
    told = json.loads(ran.stdout)
    assert (ran.exit_code, told["outcome"], told["status"]) == (1, "unsent", None)
    assert "127.0.0.1:9/in" not in ran.output


def test_every_act_is_on_record_under_the_systems_user(bridge: Bridge) -> None:
    bridge.environ["LOGNAME"] = bridge.environ["USER"] = "somebody-else"
    made = bridge.said("destinations", "create", "ledger", "--url", URL).strip()
    bridge.said("destinations", "pause", "ledger")
    bridge.refused("destinations", "pause", "ledger")
    told = bridge.told("audit", "list")["audit"]
    assert [(deed["action"], deed["subject"]) for deed in told] == [
        ("destination.paused", "ledger"),
        ("destination.created", "ledger"),
    ]
    assert {deed["actor"] for deed in told} == {actor()}
    assert actor().startswith("cli:")
    said = bridge.said("audit", "list", "--subject", "ledger", "--limit", "1")
    assert "destination.paused" in said
    assert "destination.created" not in said
    assert made not in json.dumps(told)
    assert "t0ken" not in json.dumps(told)
    assert bridge.told("audit", "list", "--before", str(told[-1]["id"])) == {"audit": []}


def test_the_key_is_renewed_and_the_old_one_is_needed_no_more(bridge: Bridge) -> None:
    secret = bridge.said("destinations", "create", "ledger", "--url", URL).strip()
    old, new = bridge.environ["BRIDGE_SECRET_KEY"], bridge.said("secrets", "new-key").strip()
    assert new != bridge.told("secrets", "new-key")["key"]
    bridge.environ["BRIDGE_SECRET_KEY"] = new
    assert "lacks the key" in bridge.refused("secrets", "rotate")
    bridge.environ["BRIDGE_SECRET_KEY"] = f"{new},{old}"
    assert bridge.told("secrets", "rotate") == {"destinations": 1, "answers": 0}
    bridge.environ["BRIDGE_SECRET_KEY"] = new
    assert bridge.told("destinations", "show", "ledger")["url"] == "https://ledger.example/in"
    bridge.environ["BRIDGE_SECRET_KEY"] = old
    assert bridge.told("destinations", "show", "ledger")["url"] is None
    bridge.environ["BRIDGE_SECRET_KEY"] = "not-a-key"
    told = bridge.refused("destinations", "list", code=2)
    assert "BRIDGE_SECRET_KEY" in told
    assert "not-a-key" not in told
    assert secret.startswith("whsec_")


def test_tokens_are_made_listed_and_revoked(bridge: Bridge) -> None:
    token = bridge.said("tokens", "create", "ops", "--scope", "operate", "--expires-days", "30").strip()
    other = bridge.told("tokens", "create", "reader", "--scope", "read")
    assert token.startswith("bridge_")
    assert other["token"] != token
    assert "already" in bridge.refused("tokens", "create", "ops", "--scope", "read")
    for words in (("Ops", "--scope", "read"), ("loopback", "--scope", "read"), ("a", "--scope", "all")):
        bridge.refused("tokens", "create", *words, code=2)
    ops, reader = bridge.told("tokens", "list")["tokens"]
    assert (ops["name"], ops["scope"], ops["good"], reader["expires_at"]) == ("ops", "operate", True, None)
    said = bridge.said("tokens", "list")
    assert token not in said
    assert bridge.told("tokens", "revoke", "ops") == {"revoked": "ops"}
    assert "no token ops is good" in bridge.refused("tokens", "revoke", "ops")
    assert bridge.told("tokens", "list")["tokens"][0]["good"] is False
    actions = [deed["action"] for deed in bridge.told("audit", "list")["audit"]]
    assert actions == ["token.revoked", "token.created", "token.created"]
