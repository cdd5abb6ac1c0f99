"""The program as people start it: a real process, real exit codes, and a Postgres of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.store.embedded import EmbeddedPostgres
from bridge.store.engine import upgrade
from tests.cli.rows import fill, on

ROOT = Path(__file__).parents[2]
PATIENCE_S = 50


def bridge(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """``bridge`` in a process of its own, that knows of our environment only where Python is."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}  # noqa: TID251 - as above
    command = [sys.executable, "-m", "bridge", *words]
    return subprocess.run(
        command, cwd=ROOT, env=kept | environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def test_a_process_answers_on_standard_output_and_nothing_else_does(database_url: str) -> None:
    on(database_url, fill)
    told = bridge("status", "--json", DATABASE_URL=database_url)
    assert (told.returncode, told.stderr) == (0, "")
    assert json.loads(told.stdout)["streams"][0]["position"] == 3


def test_a_problem_is_a_line_on_standard_error_and_never_a_traceback(empty_database_url: str) -> None:
    told = bridge("gaps", DATABASE_URL=empty_database_url)
    assert (told.returncode, told.stdout) == (1, "")
    assert len(told.stderr.splitlines()) == 1
    wrong = bridge("status", DATABASE_URL="mysql://somewhere/x")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("DATABASE_URL: ")


@pytest.mark.slow
def test_a_command_uses_the_embedded_database_that_runs_and_starts_it_if_none_does(
    tmp_path: Path, pg_bin: Path | None
) -> None:
    environ = {"BRIDGE_DATA": str(tmp_path)} | ({} if pg_bin is None else {"BRIDGE_PG_BIN": str(pg_bin)})
    with EmbeddedPostgres(tmp_path, bin_dir=pg_bin) as server:
        upgrade(server.url)
        on(server.url, fill)
        beside = bridge("status", "--json", **environ)
    assert beside.returncode == 0, beside.stderr
    alone = bridge("gaps", "--json", **environ)
    assert alone.returncode == 0, alone.stderr
    assert [gap["first"] for gap in json.loads(alone.stdout)["gaps"]] == [7]
    with EmbeddedPostgres(tmp_path, bin_dir=pg_bin):
        pass  # what the command started is gone: the folder is free
