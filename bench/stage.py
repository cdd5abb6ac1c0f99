"""Where a measurement takes place: a folder, a Postgres that really writes, parts that are begun and ended."""

import asyncio
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import psutil

from bridge.clock import SystemClock
from bridge.store.embedded import EmbeddedPostgres

ROOT = Path(__file__).parents[1]
START_S = 60.0
STOP_S = 15.0
BEGIN_S = 20.0
LINE_BYTES_MAX = 1 << 20
LOOK_S = 0.02
MIB = 1024 * 1024
CLOCK = SystemClock()


class PartFailed(Exception):
    """A part ended, or said nothing in time; the text holds the end of what it wrote."""


class Part:
    """A running part. ``known`` is what it said first."""

    def __init__(self, name: str, running: asyncio.subprocess.Process, errors: Path) -> None:
        self.name = name
        self.known: dict[str, Any] = {}
        self.rss_max_mib = 0.0
        self._running = running
        self._errors = errors

    @property
    def port(self) -> int:
        return int(self.known["port"])

    @property
    def pid(self) -> int:
        return self._running.pid

    async def line(self, timeout_s: float) -> dict[str, Any]:
        """The next line that the part says.

        Raises:
            PartFailed: it said none.
        """
        assert self._running.stdout is not None
        text = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                text = await self._running.stdout.readline()
        if not text:
            tail = self._errors.read_text(errors="replace")[-2000:]
            raise PartFailed(f"{self.name} ended or said nothing for {timeout_s} s\n{tail}")
        return msgspec.json.decode(text, type=dict[str, Any])

    def look(self) -> None:
        """Note how much memory the part holds now."""
        with suppress(psutil.Error):
            self.rss_max_mib = max(self.rss_max_mib, psutil.Process(self.pid).memory_info().rss / MIB)

    def cpu_s(self) -> float:
        """Processor seconds used so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    async def stop(self) -> None:
        """Close its input, and kill it if it does not end by that."""
        assert self._running.stdin is not None
        self._running.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await self._running.wait()
        except TimeoutError:
            self._running.kill()
            await self._running.wait()


class Stage:
    """A folder, a server in it, and the parts begun so far. Use ``stage()``."""

    def __init__(self, folder: Path, postgres: EmbeddedPostgres, parts: AsyncExitStack) -> None:
        self.folder = folder
        self.postgres = postgres
        self._parts = parts
        self._begun = 0

    async def begin(self, name: str, *, environment: Mapping[str, str] | None = None, **options: object) -> Part:
        """Begin a part, and return once it has said its first line. It ends with the stage, or by ``stop``.

        ``environment`` holds variables beside those that are set.
        """
        part = await self._begin(name, options, environment or {})
        part.known = await part.line(START_S)
        return part

    async def result(self, name: str, timeout_s: float, **options: object) -> dict[str, Any]:
        """Run a part that does one thing; what it says at the end."""
        part = await self._begin(name, options, {})
        said = await part.line(timeout_s)
        await part.stop()
        return said

    async def _begin(self, name: str, options: dict[str, object], environment: Mapping[str, str]) -> Part:
        self._begun += 1
        errors = self.folder / f"{self._begun}-{name}.log"
        with errors.open("wb") as file:
            running = await asyncio.create_subprocess_exec(
                "env", *(f"{variable}={value}" for variable, value in environment.items()),
                sys.executable, "-m", "bench.parts", name, msgspec.json.encode(options).decode(),
                cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=file,
                limit=LINE_BYTES_MAX,
            )  # fmt: skip
        part = Part(name, running, errors)
        self._parts.push_async_callback(part.stop)
        return part

    async def sql(self, query: str) -> Any:
        """One value out of the database."""
        connection = await asyncpg.connect(self.postgres.url.replace("+asyncpg", ""))
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    async def until_begun(self) -> None:
        """Return once the bridge has asked the venue where the stream begins: from then on events settle."""
        await until(self._has_begun, within_s=BEGIN_S, what="the stream begins")

    async def _has_begun(self) -> bool:
        return bool(await self.sql("SELECT count(*) FROM streams WHERE name = 'pb.events' AND base IS NOT NULL"))

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def postgres_mib(self) -> float:
        """What the server and its children hold of their own, without the memory they share."""
        assert self.postgres.pid is not None
        root = psutil.Process(self.postgres.pid)
        total = 0.0
        for one in [root, *root.children(recursive=True)]:
            with suppress(psutil.Error):
                total += one.memory_full_info().uss / MIB
        return total


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """A stage that leaves nothing behind, also after an error."""
    with (
        tempfile.TemporaryDirectory(prefix="bridge-bench-", ignore_cleanup_errors=True) as folder,
        EmbeddedPostgres(Path(folder) / "data") as postgres,
    ):
        async with AsyncExitStack() as parts:
            yield Stage(Path(folder), postgres, parts)


async def until(true: Callable[[], Coroutine[Any, Any, bool]], *, within_s: float, what: str) -> None:
    """Ask again and again.

    Raises:
        PartFailed: it did not come true in time.
    """
    try:
        async with asyncio.timeout(within_s):
            while not await true():
                await CLOCK.sleep(LOOK_S)
    except TimeoutError:
        raise PartFailed(f"{what}: not within {within_s} s") from None


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
