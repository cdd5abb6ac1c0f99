"""What the embedded Postgres says, in a file that cannot fill the disk."""

import os
import threading
from pathlib import Path
from typing import IO

LOG_BYTES_MAX = 1024 * 1024
TAIL_BYTES_MAX = 4096
CHUNK_BYTES_MAX = 64 * 1024


class BoundedLog:
    """Copies pipes into ``path``; when that is full it becomes ``path``.1, and what was there before goes."""

    def __init__(self, path: Path, *, bytes_max: int = LOG_BYTES_MAX) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._tail = b""
        self._readers: list[threading.Thread] = []

    def follow(self, pipe: IO[bytes]) -> None:
        """Read ``pipe`` to its end, in the background: a writer never waits for us."""
        reader = threading.Thread(target=self._copy, args=(pipe,), name="postgres-log", daemon=True)
        self._readers.append(reader)
        reader.start()

    def tail(self, *, wait_s: float = 1.0) -> str:
        """The last lines; call it when the writer has ended, or else it waits ``wait_s`` for that."""
        for reader in self._readers:
            reader.join(wait_s)
        return self._tail.decode(errors="replace").strip()

    def _copy(self, pipe: IO[bytes]) -> None:
        with pipe:
            while chunk := pipe.read(min(CHUNK_BYTES_MAX, self._bytes_max)):
                self._tail = (self._tail + chunk)[-TAIL_BYTES_MAX:]
                self._append(chunk)

    def _append(self, chunk: bytes) -> None:
        if self._path.exists() and self._path.stat().st_size + len(chunk) > self._bytes_max:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
        with open(self._path, "ab", opener=_private) as file:
            file.write(chunk)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
