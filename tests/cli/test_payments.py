"""Commands about a source that is delivered payments."""

import json
from pathlib import Path

from tests.cli.conftest import Invoke

SECRET = "whsec_" + "QUJD" * 8
PAYMENTS = '[sources.cm]\nvenue = "cryptomus"\n[sources.cm.webhook]\nsecret = "cm-pay-key-1"\n'
CHANNELS = '[sources.cm]\nvenue = "cryptomus"\nchannels = ["trade:BTC_USDT"]\n'
DESTINATION = f'[destinations.ledger]\nurl = "https://127.0.0.1/in"\nsecret = "{SECRET}"\nallow_private = true\n'


def written(tmp_path: Path, content: str) -> dict[str, str]:
    file = tmp_path / "bridge.toml"
    file.write_text(content)
    return {"BRIDGE_CONFIG": str(file), "BRIDGE_DATA": str(tmp_path / "data")}


def test_payments_alone_are_a_source(invoke: Invoke, tmp_path: Path) -> None:
    shown = invoke(written(tmp_path, PAYMENTS), "config", "check")
    assert (shown.exit_code, shown.stdout) == (0, "sources: cm; destinations: none\n")


def test_a_source_with_nothing_to_hear_and_one_without_its_key_are_problems(invoke: Invoke, tmp_path: Path) -> None:
    nothing = invoke(written(tmp_path, '[sources.cm]\nvenue = "cryptomus"\n'), "config", "check")
    assert nothing.exit_code == 2
    assert "neither channels" in nothing.stderr
    keyless = invoke(written(tmp_path, CHANNELS), "config", "check")
    assert keyless.exit_code == 2
    assert "user_id and api_key" in keyless.stderr


def test_the_doctor_says_where_payments_are_taken(invoke: Invoke, tmp_path: Path, database_url: str) -> None:
    content = PAYMENTS + DESTINATION + 'streams = ["cm.payments"]\n'
    told = json.loads(invoke(written(tmp_path, content) | {"DATABASE_URL": database_url}, "doctor", "--json").stdout)
    assert not [check for check in told["checks"] if check["level"] != "ok"]
    [source] = [check for check in told["checks"] if check["subject"] == "source cm"]
    assert "/in/cm" in source["what"]
    assert "url_callback" in source["what"]


def test_the_doctor_knows_the_streams_that_are_followed(invoke: Invoke, tmp_path: Path, database_url: str) -> None:
    def unfit(streams: str) -> list[str]:
        keys = 'user_id = "u"\napi_key = "k"\nrest_url = "http://127.0.0.1:9"\n'
        content = CHANNELS + keys + DESTINATION + f'streams = ["{streams}"]\n'
        shown = invoke(written(tmp_path, content) | {"DATABASE_URL": database_url}, "doctor", "--json")
        return [check["what"] for check in json.loads(shown.stdout)["checks"] if "globs" in check["what"]]

    assert unfit("cm.trade.*") == []
    assert len(unfit("cm.deal")) == 1


def test_nothing_is_registered_for_payments(invoke: Invoke, tmp_path: Path) -> None:
    words = ("webhook", "register", "--source", "cm", "--url", "https://bridge.example/in/cm")
    shown = invoke(written(tmp_path, PAYMENTS), *words)
    assert shown.exit_code == 2
    assert "cm needs no registration" in shown.stderr
    assert "url_callback" in shown.stderr
