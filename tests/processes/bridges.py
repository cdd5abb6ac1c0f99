"""Bridges as processes of their own: started as people start them, and ended as hard as wanted."""

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from bridge.sim.playbatman import API_KEY, MARKETS
from tests.processes.waiting import eventually

ROOT = Path(__file__).parents[2]
SECRET = "a-webhook-secret"
KEY = bytes(range(32))
END_S = 30.0

CONFIG = """
[bridge]
drain_s = 10

[sources.pb]
venue = "playbatman"
rest_url = "http://127.0.0.1:{venue}"
ws_url = "ws://127.0.0.1:{venue}/ws"
api_key = "${{PB_API_KEY}}"
markets = [{markets}]

[sources.pb.webhook]
secret = "${{PB_WEBHOOK_SECRET}}"

[sources.pb.ws]
backoff_first_s = 0.05
backoff_max_s = 0.5

[sources.pb.replay]
every_s = 1
settle_s = 1.0
grace_s = 0.2
requests_per_s = 100
backoff_first_s = 0.05
backoff_max_s = 0.5
retry_after_max_s = 1
"""

DESTINATION = """
[destinations.{name}]
url = "http://127.0.0.1:{port}/hooks/{name}"
secret = "${{LEDGER_SECRET}}"
streams = ["pb.events"]
allow_private = true
timeout_s = 2
retry_first_s = 0.05
retry_max_s = 0.5
"""


def write_config(folder: Path, *, venue: int, destinations: Mapping[str, int]) -> Path:
    """The configuration for a venue and for destinations on these ports."""
    written = folder / "bridge.toml"
    markets = ", ".join(f'"{market}"' for market in MARKETS)
    parts = [CONFIG.format(venue=venue, markets=markets)]
    parts += [DESTINATION.format(name=name, port=port) for name, port in destinations.items()]
    written.write_text("".join(parts))
    return written


@dataclass(slots=True)
class BridgeProcess:
    """One process. What it logs goes to ``log``, what it says of its end to ``errors``."""

    command: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    errors: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def logged(self, event: str) -> bool:
        return f'"event":"{event}"' in self.log.read_text()

    def tail(self, chars: int = 3000) -> str:
        ended = self.process.poll()
        return f"{self.command} ended {ended}: {self.log.read_text()[-chars:]}{self.errors.read_text()[-chars:]}"

    async def ready(self) -> None:
        """Return once it can store what it is sent, or, without a web side, once it has begun."""
        await eventually(self._is_ready, state=self.tail)

    async def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.tail()
        if self.command == "worker":
            return self.logged("bridge.started")
        async with httpx.AsyncClient(trust_env=False) as http:
            with suppress(httpx.TransportError):
                return (await http.get(f"{self.url}/readyz")).status_code == 200
        return False

    def kill(self) -> None:
        """kill -9 of the whole group, and of what it started in groups of their own."""
        with suppress(psutil.NoSuchProcess):
            below = psutil.Process(self.pid).children(recursive=True)
            os.killpg(self.pid, signal.SIGKILL)
            for process in below:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self.process.wait(END_S)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def ended(self, within_s: float = END_S) -> int:
        """The exit code, once it has ended."""
        await eventually(lambda: self.process.poll() is not None, within_s=within_s, state=self.tail)
        return self.process.returncode


@dataclass(slots=True)
class Bridges:
    """Starts bridges on one configuration. ``environment`` is all they know of the world."""

    folder: Path
    environment: dict[str, str]
    started: list[BridgeProcess] = field(default_factory=list)

    def start(self, command: str, *, port: int = 0, **environment: str) -> BridgeProcess:
        nth = len(self.started)
        log, errors = self.folder / f"{nth}-{command}.log", self.folder / f"{nth}-{command}.err"
        with log.open("wb") as out, errors.open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "bridge", command],
                cwd=self.folder,  # far from the checkout: everything must be found from anywhere
                env=self.environment | environment | {"PORT": str(port)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        begun = BridgeProcess(command, port, process, log, errors)
        self.started.append(begun)
        return begun


@contextmanager
def bridges(
    folder: Path, config: Path | None = None, *, database_url: str | None = None, pg_bin: Path | None = None
) -> Iterator[Bridges]:
    """Whatever was started is ended when the block ends, and its log shown where the test failed."""
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": os.fspath(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "BRIDGE_DATA": os.fspath(folder / "data"),
        "PB_API_KEY": API_KEY,
        "PB_WEBHOOK_SECRET": SECRET,
        "LEDGER_SECRET": f"whsec_{base64.b64encode(KEY).decode()}",
    }
    for name, value in (("BRIDGE_CONFIG", config), ("DATABASE_URL", database_url), ("BRIDGE_PG_BIN", pg_bin)):
        if value is not None:
            environment[name] = os.fspath(value)
    made = Bridges(folder, environment)
    try:
        yield made
    finally:
        for started in made.started:
            if started.process.poll() is None:
                started.kill()
            print(started.tail())
