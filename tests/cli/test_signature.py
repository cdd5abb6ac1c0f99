"""``bridge signature learn``: every form a venue may sign in is found, and the secret is never shown."""

import json
import tomllib
from pathlib import Path

import pytest
from typer.testing import Result

from bridge.config.playbatman import Signature
from bridge.core.signature import SignatureProfile
from bridge.sim.playbatman.signing import Signing
from tests.cli.conftest import Invoke

SECRET = "5ec3e7" * 8
BODY = b'{"event":"ORDER_MATCHED","data":{"price":1.10}}'
AT_S = 1_771_455_600

FORMS = [
    Signing(),
    Signing(encoding="base64", prefix="sha256="),
    Signing(header="X-Hub-Signature-256", prefix="sha256=", key="hex"),
    Signing(content="{timestamp}.{body}", prefix="v1="),
]


@pytest.fixture
def captured(tmp_path: Path) -> Path:
    (tmp_path / "body").write_bytes(BODY)
    return tmp_path


def lines(form: Signing, *, body: bytes = BODY) -> bytes:
    signature = form.signature(body, secret=SECRET, timestamp_s=AT_S)
    return (
        "POST /in/pb HTTP/1.1\r\nHost: bridge.example\r\nContent-Type: application/json\r\n"
        f"X-Webhook-Timestamp: {AT_S}\r\n{form.header}: {signature}\r\n\r\n"
    ).encode()


def learn(captured: Path, invoke: Invoke, *more: str, secret: str = "PB_SECRET", given: str | None = None) -> Result:
    words = ("--headers", str(captured / "headers"), "--body", str(captured / "body"), "--secret", secret)
    return invoke({"PB_SECRET": SECRET}, "signature", "learn", *words, *more, given=given)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_printed_can_be_pasted_and_says_how_it_was_signed(
    captured: Path, invoke: Invoke, form: Signing
) -> None:
    (captured / "headers").write_bytes(lines(form))
    told = learn(captured, invoke)
    assert told.exit_code == 0, told.output
    assert SECRET not in told.output
    pinned = Signature.model_validate(tomllib.loads(told.stdout)["signature"])
    assert SignatureProfile(**pinned.model_dump()) == SignatureProfile(
        header=form.header, encoding=form.encoding, prefix=form.prefix, content=form.content, key=form.key
    )


def test_headers_may_be_a_json_object_and_the_secret_may_be_typed(captured: Path, invoke: Invoke) -> None:
    signature = Signing().signature(BODY, secret=SECRET, timestamp_s=AT_S)
    (captured / "headers").write_text(json.dumps({"X-Webhook-Signature": [signature], "Host": "bridge.example"}))
    told = learn(captured, invoke, "--json", secret="-", given=f"{SECRET}\n")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["profiles"][0]["header"] == "X-Webhook-Signature"
    assert SECRET not in told.output


def test_a_line_break_that_an_editor_added_does_no_harm(captured: Path, invoke: Invoke) -> None:
    (captured / "headers").write_bytes(lines(Signing()))
    (captured / "body").write_bytes(BODY + b"\n")
    told = learn(captured, invoke)
    assert told.exit_code == 0
    assert "line break" in told.stderr


def test_a_delivery_that_was_not_signed_with_this_secret_fits_nothing(captured: Path, invoke: Invoke) -> None:
    (captured / "headers").write_bytes(lines(Signing(), body=BODY + b" "))
    told = learn(captured, invoke)
    assert told.exit_code == 1
    assert "no known profile fits" in told.stderr
    assert told.stdout == ""


def test_several_profiles_that_fit_are_not_pinned_but_shown(captured: Path, invoke: Invoke) -> None:
    second = Signing(header="X-Signature").signature(BODY, secret=SECRET, timestamp_s=AT_S)
    (captured / "headers").write_bytes(lines(Signing()).rstrip() + f"\r\nX-Signature: {second}\r\n".encode())
    told = learn(captured, invoke)
    assert told.exit_code == 1
    assert "2 profiles fit" in told.stderr
    assert tomllib.loads(told.stdout) == {}


@pytest.mark.parametrize("named", ["NOT_SET", SECRET])
def test_a_secret_that_is_not_there_is_asked_for_without_repeating_what_was_typed(
    captured: Path, invoke: Invoke, named: str
) -> None:
    (captured / "headers").write_bytes(lines(Signing()))
    told = learn(captured, invoke, secret=named)
    assert told.exit_code == 2
    assert named not in told.output
