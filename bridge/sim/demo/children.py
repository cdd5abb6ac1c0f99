"""The demo's parts as real processes: started, awaited, ended. What they say goes to files, not to the screen."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bridge.clock import Clock
from bridge.core.errors import BridgeError
from bridge.sim.demo import child

READY_TIMEOUT_S = 60.0
END_TIMEOUT_S = 15.0
TAIL_LINES_MAX = 12
READY_MARK = b'{"ready"'
COMMAND = (sys.executable, "-m", "bridge")
READY_POLL_S = 0.02


class Child:
    """One running part; ``log`` is the file that holds what it said."""

    def __init__(self, name: str, running: asyncio.subprocess.Process, log: Path, clock: Clock) -> None:
        self.name = name
        self.log = log
        self._running = running
        self._clock = clock

    @property
    def pid(self) -> int:
        return self._running.pid

    def require_alive(self) -> None:
        """Return if it runs.

        Raises:
            BridgeError: it has ended; the text holds the last it said.
        """
        if self._running.returncode is not None:
            raise BridgeError(f"{self.name} ended with status {self._running.returncode}:\n{self.tail()}")

    async def port(self) -> int:
        """The port that it says it listens on, in a line of its own.

        Raises:
            BridgeError: it ended, or said nothing for READY_TIMEOUT_S.
        """
        until = self._clock.monotonic() + READY_TIMEOUT_S
        while (port := self._told_port()) is None:
            self.require_alive()
            if self._clock.monotonic() > until:
                raise BridgeError(f"{self.name} is not ready after {READY_TIMEOUT_S:.0f} s:\n{self.tail()}")
            await self._clock.sleep(READY_POLL_S)
        return port

    def _told_port(self) -> int | None:
        for line in self.log.read_bytes().splitlines(keepends=True):
            if line.startswith(READY_MARK) and line.endswith(b"\n"):
                return int(json.loads(line)["ready"]["port"])
        return None

    def tail(self) -> str:
        """The last lines it said."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-TAIL_LINES_MAX:])

    async def end(self) -> None:
        """Ask it to end; make it, where it has not after END_TIMEOUT_S."""
        if self._running.returncode is not None:
            return
        self._running.terminate()
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await self._running.wait()
        except TimeoutError:
            self._running.kill()
            await self._running.wait()


@asynccontextmanager
async def started(
    name: str, arguments: Sequence[str], *, folder: Path, environ: Mapping[str, str], clock: Clock
) -> AsyncIterator[Child]:
    """``bridge`` with ``arguments``, for as long as the block lasts, in an environment of its own.

    It is in a session of its own: Ctrl-C reaches the demo alone, which ends its parts in order.
    """
    log = folder / f"{name}.log"
    with log.open("ab") as file:
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", child.__file__, str(os.getpid())),
            *(*COMMAND, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environ,
            start_new_session=True,
        )
    part = Child(name, running, log, clock)
    try:
        yield part
    finally:
        await asyncio.shield(part.end())
