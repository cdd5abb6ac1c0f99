"""Commands about the configuration, and about what is configured."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.sim.playbatman import API_KEY, SimConfig
from bridge.store import destinations, streams
from tests.cli.conftest import Invoke
from tests.cli.rows import fill, now, on
from tests.cli.venue import venue_on

SECRET = "whsec_" + "QUJD" * 8


def written(tmp_path: Path, port: int = 9, *, more: str = "", webhook: str = "") -> dict[str, str]:
    """An environment with a file that knows one source."""
    file = tmp_path / "bridge.toml"
    file.write_text(
        f'[sources.pb]\nvenue = "playbatman"\nrest_url = "http://127.0.0.1:{port}"\napi_key = "${{PB_API_KEY}}"\n'
        f"{webhook}{more}"
    )
    return {"BRIDGE_CONFIG": str(file), "PB_API_KEY": API_KEY, "BRIDGE_DATA": str(tmp_path / "data")}


def test_config_check_names_every_problem_at_once(invoke: Invoke, tmp_path: Path) -> None:
    environ = written(tmp_path, more="[sources.pb.replay]\noverlap = -1\npage_max = 5000\n")
    shown = invoke(environ, "config", "check")
    assert shown.exit_code == 2
    assert "sources.pb.replay.overlap" in shown.stderr
    assert "sources.pb.replay.page_max" in shown.stderr
    told = invoke(environ, "config", "check", "--json")
    assert told.exit_code == 2
    assert len(json.loads(told.stdout)["problems"]) == 2


def test_config_check_is_content_with_what_is_right(invoke: Invoke, tmp_path: Path) -> None:
    shown = invoke(written(tmp_path), "config", "check")
    assert (shown.exit_code, shown.stdout) == (0, "sources: pb; destinations: none\n")


def test_the_file_can_be_named_on_the_command_line(invoke: Invoke, tmp_path: Path) -> None:
    environ = written(tmp_path)
    file = environ.pop("BRIDGE_CONFIG")
    told = json.loads(invoke(environ, "--config", file, "config", "check", "--json").stdout)
    assert told["sources"] == ["pb"]


def test_a_log_level_that_is_none_is_a_problem_of_the_configuration(invoke: Invoke) -> None:
    shown = invoke({"LOG_LEVEL": "chatty"}, "web")
    assert shown.exit_code == 2
    assert "LOG_LEVEL" in shown.stderr


def test_a_command_with_a_wrong_word_ends_with_the_code_for_usage(invoke: Invoke) -> None:
    assert invoke({}, "epoch", "pb.events").exit_code == 2
    assert invoke({}, "epoch", "pb.events", "--same", "--new").exit_code == 2
    assert invoke({}, "no-such-command").exit_code == 2


def test_without_any_database_a_command_says_how_to_get_one(invoke: Invoke, tmp_path: Path) -> None:
    shown = invoke(written(tmp_path), "status")
    assert shown.exit_code == 1
    assert "'bridge run' makes one" in shown.stderr
    assert not (tmp_path / "data").exists(), "looking makes nothing"


def test_destinations_that_stopped_are_resumed_by_name(invoke: Invoke, tmp_path: Path, database_url: str) -> None:
    async def stop(engine: AsyncEngine) -> None:
        await fill(engine)
        async with engine.begin() as connection:
            await destinations.stop(connection, "ledger", reason="HTTP 410", now=now())

    on(database_url, stop)
    more = f'[destinations.fresh]\nurl = "https://fresh.example/in"\nsecret = "{SECRET}"\n'
    environ = written(tmp_path, more=more) | {"DATABASE_URL": database_url}

    def listed() -> dict[str, tuple[bool, str, int]]:
        told = json.loads(invoke(environ, "destinations", "list", "--json").stdout)["destinations"]
        return {one["name"]: (one["configured"], one["state"], one["behind"]) for one in told}

    assert listed() == {"ledger": (False, "stopped", 1), "fresh": (True, "new", 0)}
    assert invoke(environ, "destinations", "resume", "ledger").exit_code == 0
    assert listed()["ledger"] == (False, "active", 1)
    again = invoke(environ, "destinations", "resume", "ledger")
    assert (again.exit_code, "is not stopped" in again.stderr) == (1, True)
    unknown = invoke(environ, "destinations", "resume", "nobody")
    assert (unknown.exit_code, "no destination nobody" in unknown.stderr) == (1, True)


async def freeze(engine: AsyncEngine) -> None:
    await fill(engine)
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE streams SET base = 1, frontier = 4, head = 3, suspect_at = now(), mismatches = 7")
        )


async def standing(engine: AsyncEngine) -> tuple[int, int | None, bool]:
    async with engine.connect() as connection:
        stream = await streams.read(connection, "pb.events")
    assert stream is not None
    return stream.epoch, stream.frontier, stream.suspect_at is not None


@pytest.mark.parametrize(
    "words, then", [(["--same"], (1, 4, False)), (["--new", "--base", "1", "--yes"], (2, 1, False))]
)
def test_an_operator_decides_on_a_frozen_stream(
    invoke: Invoke, tmp_path: Path, database_url: str, words: list[str], then: tuple[int, int, bool]
) -> None:
    on(database_url, freeze)
    environ = written(tmp_path) | {"DATABASE_URL": database_url}
    decided = invoke(environ, "epoch", "pb.events", *words)
    assert decided.exit_code == 0, decided.output
    assert on(database_url, standing) == then


def test_a_new_epoch_is_not_opened_without_a_yes(invoke: Invoke, tmp_path: Path, database_url: str) -> None:
    on(database_url, freeze)
    environ = written(tmp_path) | {"DATABASE_URL": database_url}
    asked = invoke(environ, "epoch", "pb.events", "--new", "--base", "1", given="n\n")
    assert asked.exit_code == 1
    assert "seals epoch 1" in asked.output
    assert on(database_url, standing) == (1, 4, True)


def test_a_stream_that_is_not_frozen_takes_no_decision(invoke: Invoke, tmp_path: Path, database_url: str) -> None:
    on(database_url, fill)
    environ = written(tmp_path) | {"DATABASE_URL": database_url}
    decided = invoke(environ, "epoch", "pb.events", "--new", "--yes")
    assert (decided.exit_code, "is not frozen" in decided.stderr) == (1, True)


def test_a_new_epoch_begins_at_the_first_number_that_the_venue_still_has(
    invoke: Invoke, tmp_path: Path, database_url: str
) -> None:
    on(database_url, freeze)
    with venue_on(SimConfig(history_count=5, events_per_s=0.0)) as port:
        environ = written(tmp_path, port) | {"DATABASE_URL": database_url}
        decided = invoke(environ, "epoch", "pb.events", "--new", "--yes")
    assert decided.exit_code == 0, decided.output
    epoch, frontier, frozen = on(database_url, standing)
    assert (epoch, frozen) == (2, False)
    assert frontier is not None
    assert 1 <= frontier <= 30


def test_the_doctor_finds_everything_in_order(invoke: Invoke, tmp_path: Path, database_url: str) -> None:
    with venue_on(SimConfig(history_count=5, events_per_s=0.0)) as port:
        more = f'[destinations.here]\nurl = "http://127.0.0.1:9/"\nallow_private = true\nsecret = "{SECRET}"\n'
        environ = written(tmp_path, port, more=more) | {"DATABASE_URL": database_url}
        told = invoke(environ, "doctor", "--json")
    levels = {(check["subject"], check["level"]) for check in json.loads(told.stdout)["checks"]}
    assert told.exit_code == 0, told.output
    assert levels >= {("database", "ok"), ("migrations", "ok"), ("source pb", "ok"), ("destination here", "ok")}


def test_the_doctor_says_what_is_wrong_and_what_to_do(
    invoke: Invoke, tmp_path: Path, empty_database_url: str
) -> None:
    with venue_on(SimConfig(events_per_s=0.0)) as port:
        more = f'[destinations.here]\nurl = "https://127.0.0.1:9/"\nsecret = "{SECRET}"\nstreams = ["other.*"]\n'
        environ = written(tmp_path, port, more=more) | {"DATABASE_URL": empty_database_url, "PB_API_KEY": "wrong-key"}
        told = invoke(environ, "doctor", "--json")
    failed = {
        check["subject"]: check["todo"] for check in json.loads(told.stdout)["checks"] if check["level"] == "fail"
    }
    assert told.exit_code == 1
    assert failed.keys() == {"migrations", "source pb", "destination here"}
    assert failed["source pb"] == "check sources.pb.api_key"
    assert "allow_private" in failed["destination here"]
    assert "wrong-key" not in told.output


@pytest.mark.parametrize("token, level", [("t0ken-of-19-letters", "warn"), ("t0ken-of-20-letters.", "ok")])
def test_the_doctor_wants_a_token_that_nobody_guesses(
    invoke: Invoke, database_url: str, token: str, level: str
) -> None:
    told = invoke({"DATABASE_URL": database_url, "BRIDGE_API_TOKEN": token}, "doctor", "--json")
    assert [check["level"] for check in json.loads(told.stdout)["checks"] if check["subject"] == "api"] == [level]
    assert token not in told.output


def test_the_doctor_names_the_problems_of_the_configuration_first(invoke: Invoke, tmp_path: Path) -> None:
    environ = written(tmp_path)
    del environ["PB_API_KEY"]
    told = invoke(environ, "doctor", "--json")
    assert told.exit_code == 2
    assert [check["subject"] for check in json.loads(told.stdout)["checks"]] == ["sources.pb.api_key"]


def test_a_webhook_is_registered_before_its_secret_is_known(invoke: Invoke, tmp_path: Path) -> None:
    with venue_on(SimConfig(events_per_s=0.0)) as port:
        webhook = '[sources.pb.webhook]\nsecret = "${PB_WEBHOOK_SECRET}"\n'
        environ = written(tmp_path, port, webhook=webhook)
        assert invoke(environ, "config", "check").exit_code == 2
        made = invoke(environ, "webhook", "register", "--source", "pb", "--url", "http://127.0.0.1:1/in/pb")
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip()
    assert len(secret) >= 16
    assert made.output.count(secret) == 1


@pytest.mark.parametrize(
    "words, named", [(("nobody", "https://a.example/in/nobody"), "--source"), (("pb", "a.example/in/pb"), "--url")]
)
def test_a_webhook_that_cannot_be_meant_is_not_registered(
    invoke: Invoke, tmp_path: Path, words: tuple[str, str], named: str
) -> None:
    source, url = words
    made = invoke(written(tmp_path), "webhook", "register", "--source", source, "--url", url)
    assert made.exit_code == 2
    assert made.stderr.startswith(named)
