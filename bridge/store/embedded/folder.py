"""The folder of an embedded Postgres: who may use it, whose server may still run in it, where its socket is.

Never starts anything.
"""

import fcntl
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bridge.core.errors import BridgeError

SHORT_FOLDER = "/tmp"  # noqa: S108  # mkdtemp makes it private; TMPDIR may be deep as well
LINUX: bool = sys.platform == "linux"
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_BYTES_MAX = 100  # the kernels' limits are 104 and 108
PLAIN = re.compile(r"[A-Za-z0-9_./-]+")
PREDECESSOR_WAIT_S = 15.0
PREDECESSOR_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged user that Postgres runs as."""

    uid: int
    gid: int


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for this process; the kernel lets go of it when we end, however we end.

    Raises:
        BridgeError: another bridge holds it.
    """
    path = folder / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = file.read().strip() or "unknown"
            raise BridgeError(
                f"the folder {folder} is in use by another bridge (pid {holder}):"
                " stop that one, or set BRIDGE_DATA to another folder"
            ) from None
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def account_for(cluster: Path) -> Account | None:
    """Who Postgres must run as; None means as ourselves.

    Raises:
        BridgeError: the cluster belongs to someone else, or we are root and there is nobody to become.
    """
    owner = cluster.stat() if cluster.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise BridgeError(
                f"{cluster} belongs to the user with id {owner.st_uid}: start the bridge as that user or as"
                " root, or set BRIDGE_DATA to another folder"
            )
        return None
    if owner is not None and owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise BridgeError(
        "started as root, and there is neither a user 'postgres' nor 'nobody' that Postgres could run as:"
        " start the bridge as an ordinary user, or set DATABASE_URL"
    )


def give(tree: Path, account: Account | None) -> None:
    """Make ``tree`` and all in it the account's own."""
    if account is None:
        return
    for directory, folders, files in os.walk(tree):
        for name in (".", *folders, *files):
            os.chown(Path(directory, name), account.uid, account.gid, follow_symlinks=False)


@contextmanager
def socket_folder(folder: Path, account: Account | None) -> Iterator[Path]:
    """A fresh directory of mode 0700 for the socket: that mode is what guards the database.

    It is ``folder``/socket, or a short one elsewhere that ``folder``/socket points to: a socket's path has
    a limit of some hundred bytes, and a server's setting and a URL would each want other signs escaped.
    """
    place = folder / "socket"
    _remove(place)
    if len(os.fsencode(place / SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX and PLAIN.fullmatch(os.fspath(place)):
        place.mkdir(mode=0o700)
        made = place
    else:
        made = Path(tempfile.mkdtemp(prefix="bridge-", dir=SHORT_FOLDER))
        place.symlink_to(made)
    give(made, account)
    try:
        yield made
    finally:
        _remove(place)


def remove_tree(tree: Path) -> None:
    """Remove ``tree`` and all in it, if it is there."""
    if tree.exists():
        shutil.rmtree(tree)


def _remove(place: Path) -> None:
    if place.is_symlink():
        target = place.readlink()
        place.unlink()
        if _is_ours(target):
            remove_tree(target)
    else:
        remove_tree(place)


def _is_ours(target: Path) -> bool:
    """Whether ``target`` is a short socket directory as made above: never follow a link anywhere else."""
    return os.fspath(target.parent) == SHORT_FOLDER and target.name.startswith("bridge-")


def await_predecessor(cluster: Path) -> None:
    """Return when no server runs on ``cluster`` any more. We hold the folder, so its bridge is gone.

    Raises:
        BridgeError: one still runs after PREDECESSOR_WAIT_S.
    """
    until = time.monotonic() + PREDECESSOR_WAIT_S
    asked = LINUX  # there the kernel has told it already
    while (pid := running_server(cluster)) is not None:
        if not asked:
            os.kill(pid, signal.SIGQUIT)
            asked = True
        if time.monotonic() > until:
            raise BridgeError(
                f"a Postgres (pid {pid}) that no bridge owns still runs on {cluster}: stop it with 'kill -INT {pid}'"
            )
        time.sleep(PREDECESSOR_POLL_S)


def running_server(cluster: Path) -> int | None:
    """The pid of the Postgres that runs on ``cluster``, if one does."""
    pid = _noted_pid(cluster)
    if pid is None:
        return None
    command = _command_line(pid)
    return pid if f"postgres -D {cluster} " in command else None


def excuse_stale_pid(cluster: Path) -> None:
    """Let Postgres start although the pid in its pid file lives on as something else.

    The file is not deleted: it also names the shared memory by which Postgres makes sure that no backend
    of a killed server still writes. With its parent's pid in it Postgres takes the file for stale, makes
    that sure, and replaces it.
    """
    pid = _noted_pid(cluster)
    if pid is None:
        return
    path = cluster / "postmaster.pid"
    _, _, rest = path.read_text().partition("\n")
    with path.open("r+") as file:  # in place: the owner and the mode stay
        file.write(f"{os.getpid()}\n{rest}")
        file.truncate()


def _noted_pid(cluster: Path) -> int | None:
    try:
        first = (cluster / "postmaster.pid").read_text().partition("\n")[0]
        return int(first)
    except (FileNotFoundError, ValueError):
        return None


def _command_line(pid: int) -> str:
    if LINUX:
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    listing = ["/bin/ps", "-o", "command=", "-p", str(pid)]
    return subprocess.run(listing, capture_output=True, text=True, check=False, timeout=10).stdout
