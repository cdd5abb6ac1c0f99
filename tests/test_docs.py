"""The words for people: what they name is there."""

import ast
import hashlib
import re
import tomllib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel
from standardwebhooks.webhooks import WebhookVerificationError
from typer.testing import CliRunner

from bridge.cli import make_app
from bridge.clock import SystemClock
from bridge.config.playbatman import PlayBatman
from bridge.config.settings import VENUES, Settings
from bridge.config.shapes import Destination, Limits
from bridge.core.chain import ORIGIN, link
from bridge.core.envelope import body, headers
from bridge.core.event import Kind, LogEntry, Transport, digest_of
from bridge.core.signing import encode_secret

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
KEY = bytes(range(32))
FILES = {"bridge.toml"}

NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
MADE = re.compile(r"`make (\w+)|^make (\w+)", re.MULTILINE)
COMMAND = re.compile(r"(?:`|^)bridge ((?:[a-z]+ ?)+)((?:[^`\n]*--[\w-]+)*)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SETTING = re.compile(r"`((?:webhook|replay|ws|correlation|routes)\.[a-z_.]+)`")
OF_THE_BRIDGE = re.compile(r"`(bridge\.[a-z_]+)`")
LOG_LINE = re.compile(r"^\| (`[a-z]+\.[a-z_]+`[^|]*)\|", re.MULTILINE)
VARIABLE = re.compile(r"^\| (`[A-Z][^|]*)\|", re.MULTILINE)


def written(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(written(path))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_a_guarantee_names_exists() -> None:
    named = NAMED_TEST.findall(written(DOCS / "guarantees.md"))
    assert len(named) > 30
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).is_file() or test not in functions_of(ROOT / file)
    ]
    assert missing == []


def test_every_promise_names_a_test_and_what_it_does_not_promise() -> None:
    promises = re.split(r"^### \d+\. ", written(DOCS / "guarantees.md"), flags=re.MULTILINE)[1:]
    promises[-1] = promises[-1].split("\n## ")[0]
    assert len(promises) == 13
    assert [one.splitlines()[0] for one in promises if not NAMED_TEST.search(one)] == []
    assert [one.splitlines()[0] for one in promises if "*Not promised:*" not in one] == []


def test_every_revert_switch_is_told_of_and_no_other() -> None:
    tree = ast.parse(written(ROOT / "tests/laws/test_reverts.py"))
    [listed] = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["SWITCHES"]
    ]
    assert isinstance(listed, ast.List)
    section = written(DOCS / "guarantees.md").split("## Known bugs")[1]
    assert set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == {ast.unparse(name) for name in listed.elts}


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", written(ROOT / "Makefile"), re.MULTILINE))
    named = {first or second for first, second in MADE.findall(written(README))}
    assert {"demo", "test"} <= named
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_exists_with_its_options(page: Path) -> None:
    runner, app = CliRunner(), make_app({})
    root: Any = typer.main.get_command(app)
    for words, rest in COMMAND.findall(written(page)):
        command = root
        path: list[str] = []
        for word in words.split():
            found = command.get_command(typer.Context(command), word) if hasattr(command, "get_command") else None
            if found is None:
                break
            command, path = found, [*path, word]
        assert path, f"bridge {words}"
        shown = runner.invoke(app, [*path, "--help"])
        assert shown.exit_code == 0
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[\w-]+", rest)) <= known, f"bridge {words}{rest}"


def test_the_readme_names_commands_at_all() -> None:
    assert len(COMMAND.findall(written(README))) > 8


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link_ in LINK.findall(written(page)):
        if link_.startswith("https://"):
            continue
        file, _, heading = link_.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.is_file(), link_
        if heading:
            assert heading in {slug(title) for title in re.findall(r"^#+ (.*)$", written(target), re.MULTILINE)}, (
                link_
            )


def slug(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def has(shape: Any, path: list[str]) -> bool:
    """Whether ``shape`` has the setting: by the name under which it is written in the file."""
    names = {field.alias or name: field.annotation for name, field in shape.model_fields.items()}
    if path[0] not in names:
        return False
    inner = [one for one in (names[path[0]], *get_args(names[path[0]])) if is_shape(one)]
    return len(path) == 1 or any(has(one, path[1:]) for one in inner)


def is_shape(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_that_a_page_names_is_one(page: Path) -> None:
    text = written(page)
    named = [name for name in SETTING.findall(text) if not is_said(name)]
    shape = VENUES[page.stem] if page.parent.name == "venues" else PlayBatman
    assert [name for name in named if not has(shape, name.split("."))] == []
    limits = {name for name in OF_THE_BRIDGE.findall(text) if not is_said(name)} - FILES
    assert limits <= {f"bridge.{name}" for name in Limits.model_fields}


def test_the_venues_page_names_settings_at_all() -> None:
    assert len(SETTING.findall(written(DOCS / "venues.md"))) > 30
    assert not has(PlayBatman, ["replay", "unheard_of"])
    assert not has(Destination, ["replay"])


def is_said(name: str) -> bool:
    """Whether the code speaks of ``name`` as it does of a log line: in quotes."""
    return f'"{name}"' in code()


@cache
def code() -> str:
    return "".join(written(path) for path in sorted((ROOT / "bridge").rglob("*.py")))


def log_lines(text: str) -> set[str]:
    return {name for cell in LOG_LINE.findall(text) for name in re.findall(r"`([a-z]+\.[a-z_]+)`", cell)}


def test_every_log_line_that_operating_explains_is_written_somewhere() -> None:
    explained = written(DOCS / "operating.md").split("## Log lines")[1].split("\n## ")[0]
    named = log_lines(explained)
    assert len(named) > 25
    assert {name for name in named if not is_said(name)} == set()


def test_every_variable_of_the_readme_is_read_and_its_example_is_a_configuration() -> None:
    text = written(README)
    code = "".join(written(path) for path in sorted((ROOT / "bridge").rglob("*.py")))
    named = {name for cell in VARIABLE.findall(text) for name in re.findall(r"`([A-Z_]+)`", cell)}
    assert len(named) > 6
    assert {name for name in named if f'"{name}"' not in code} == set()
    first, venues = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    tables = tomllib.loads((first + venues).replace("${LEDGER_SECRET}", encode_secret(KEY)))
    Settings.model_validate(
        {
            kind: {name: {**table, "name": name} for name, table in tables[kind].items()}
            for kind in ("sources", "destinations")
        }
    )


def test_the_procfile_in_the_readme_is_the_procfile() -> None:
    assert written(ROOT / "Procfile").strip() in written(README)


def entries() -> list[LogEntry]:
    """A short log: an event whose content looks like the body's own last member, a gap, an event."""
    chain, made = ORIGIN, []
    told = [
        (Kind.EVENT, 1207, b'{"text":"\\"data\\":","price":0.44000}'),
        (Kind.GAP, None, b'{"first":1208,"last":1209,"reason":"lost","evidence":{}}'),
        (Kind.EVENT, 1210, b'{"data":{"data":1}}'),
    ]
    at = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
    for position, (kind, sequence, payload) in enumerate(told, start=1):
        digest = digest_of(payload)
        chain = link(chain, position, kind, 1, sequence, digest)
        names = (f'id "data":{position}', "ORDER_MATCHED", "market", Transport.REPLAY)
        made.append(LogEntry("pb.events", position, kind, 1, sequence, *names, at, at, digest, chain, payload))
    return made


def test_the_check_in_the_readme_accepts_what_the_bridge_sends_and_nothing_else() -> None:
    [snippet] = re.findall(r"```python\n(.*?)```", written(README), re.DOTALL)
    defined: dict[str, Any] = {}
    exec(compile(snippet, str(README), "exec"), defined)
    check = defined["check"]
    secret, now_s = encode_secret(KEY), int(SystemClock().now().timestamp())
    position, chain = 0, ORIGIN
    for entry in entries():
        sent = body(entry, previous=entry.position - 1)
        signed = headers(entry, sent, keys=[KEY], timestamp_s=now_s, attempt=1)
        with pytest.raises(WebhookVerificationError):
            check(secret, signed, sent.replace(b"market", b"forged"), position, chain)
        with pytest.raises(AssertionError, match="not received"):
            check(secret, signed, sent, position - 1, chain)
        with pytest.raises(AssertionError, match="altered"):
            check(secret, signed, sent, position, hashlib.sha256(chain).digest())
        taken = check(secret, signed, sent, position, chain)
        assert check(secret, signed, sent, entry.position, entry.chain) is None
        position, chain = taken["position"], bytes.fromhex(taken["chain"])
    assert (position, chain) == (3, entries()[-1].chain)
