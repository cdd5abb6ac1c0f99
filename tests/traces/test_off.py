"""Where nobody wants traces nothing of OpenTelemetry is there; where it is not installed, wanting them says so."""

import subprocess
import sys
from pathlib import Path

import pytest

from bridge.config import load_settings
from bridge.core.errors import ConfigError

ROOT = Path(__file__).parents[2]

SERVING = """
import asyncio, sys
from bridge.app import Role, serve
from bridge.clock import SystemClock
from bridge.config import load_settings

async def at_once():
    pass

settings = load_settings({{"PORT": "0"}}, config_path={config!r})
asyncio.run(serve(settings, {url!r}, Role.ALL, SystemClock(), until=at_once))
print("opentelemetry" in sys.modules)
"""

ABSENT = """
import sys
sys.modules["opentelemetry"] = None  # as if it were not there
from pathlib import Path
from bridge.config import load_settings
from bridge.core.errors import ConfigError
try:
    load_settings({{}}, config_path=Path({config!r}))
except ConfigError as refused:
    print(*refused.problems)
"""


def python(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return run.stdout.splitlines()[-1] if run.stdout else ""


@pytest.mark.parametrize("table, there", [("", False), ("[traces]\nenabled = true\nsample = 0", True)])
def test_a_bridge_that_traces_nothing_imports_nothing_for_it(
    database_url: str, tmp_path: Path, table: str, there: bool
) -> None:
    config = tmp_path / "bridge.toml"
    config.write_text(table)
    code = SERVING.format(config=config, url=database_url).replace("PosixPath", "__import__('pathlib').Path")
    assert python(code) == str(there)


def test_who_wants_traces_without_what_they_need_is_told_what_to_install(tmp_path: Path) -> None:
    config = tmp_path / "bridge.toml"
    config.write_text("[traces]\nenabled = true")
    said = python(ABSENT.format(config=str(config)))
    assert said == "traces: what they need is not installed: pip install 'bridge[traces]'"
    config.write_text("[traces]\nenabled = false")
    assert python(ABSENT.format(config=str(config))) == ""


@pytest.mark.parametrize("sample", ["1.5", "-1", "nan", '"all"'])
def test_what_is_no_share_is_refused(tmp_path: Path, sample: str) -> None:
    config = tmp_path / "bridge.toml"
    config.write_text(f"[traces]\nsample = {sample}")
    with pytest.raises(ConfigError) as refused:
        load_settings({}, config_path=config)
    assert [problem.partition(":")[0] for problem in refused.value.problems] == ["traces.sample"]
