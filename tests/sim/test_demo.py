"""The demo as real processes, and its verdict: that it can be good, and that it cannot be fooled."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
import pytest

from bridge.core.event import Kind
from bridge.sim.consumer import Held
from bridge.sim.demo.parts import Assigned, ConsumerState, StreamState
from bridge.sim.demo.verdict import judge

STREAM = "pb.events"
COMMAND = (sys.executable, "-m", "bridge", "demo")
KEYS = [
    *("assigned", "heard", "gaps", "delivered", "out_of_order", "missing", "duplicates", "signature_failures"),
    "seconds",
]
PATIENCE_S = 50


@dataclass(frozen=True)
class Run:
    """A demo that has ended."""

    code: int
    result: dict[str, int]
    heard: dict[str, int]
    gaps: dict[str, int]


@pytest.fixture(scope="module")
def ran() -> Run:
    ended = subprocess.run(
        [*COMMAND, "--seconds", "4", "--seed", "3", "--json"],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    lines = ended.stdout.splitlines()
    assert lines, ended.stderr
    told = json.loads(lines[-1])
    assert list(told) == KEYS, ended.stderr
    return Run(ended.returncode, told, told["heard"], told["gaps"])


def test_under_faults_the_consumer_ends_up_with_what_the_venue_assigned(ran: Run) -> None:
    assert ran.code == 0
    assert ran.result["delivered"] == ran.result["assigned"] > 0
    assert (ran.result["missing"], ran.result["out_of_order"], ran.result["signature_failures"]) == (0, 0, 0)


def test_the_gaps_of_a_demo_add_up_and_none_stays_open(ran: Run) -> None:
    ends = ("recovered", "void", "lost", "open")
    assert set(ran.gaps) == {"opened", *ends}
    assert ran.gaps["opened"] == sum(ran.gaps[end] for end in ends) > 0
    assert ran.gaps["open"] == ran.gaps["lost"] == 0


def test_a_demo_hears_by_all_three_ways_and_by_webhook_not_of_everything(ran: Run) -> None:
    assert set(ran.heard) == {"webhook", "websocket", "replay"}
    assert all(ran.heard.values())
    assert ran.heard["replay"] >= ran.result["assigned"] - ran.heard["webhook"]


@contextmanager
def demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo whose parts are up, with time enough to be stopped in the middle."""
    process = subprocess.Popen(
        [*COMMAND, "--seconds", "60", "--folder", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert any("traffic" in line for line in process.stdout)
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


def parts_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.slow
def test_a_demo_that_is_interrupted_leaves_no_part_and_no_secret_behind(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        parts = parts_of(process)
        assert len(parts) >= 4  # venue, bridge, consumer, Postgres
        environ = next(part.environ() for part in parts if "PB_API_KEY" in part.environ())
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130
        assert "Traceback" not in errors
        assert psutil.wait_procs(parts, timeout=PATIENCE_S)[1] == []
    secrets = [environ[name] for name in ("PB_API_KEY", "PB_WEBHOOK_SECRET", "LEDGER_SECRET")]
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    assert {"bridge.toml", "bridge.log"} <= {path.name for path in files}
    assert not [path for path in files if any(secret in path.read_text() for secret in secrets)]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent has died")
def test_the_parts_of_a_demo_that_is_killed_die_with_it(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        parts = parts_of(process)
        os.kill(process.pid, signal.SIGKILL)
        assert psutil.wait_procs(parts, timeout=PATIENCE_S)[1] == []


# The verdict alone.

GOOD = ConsumerState(requests=5, signature_failures=0, malformed=0, streams={STREAM: StreamState()})


def digest(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


def rows(*numbers: int) -> list[Assigned]:
    return [Assigned(1, number, digest(number), conflict=False) for number in numbers]


def entry(
    position: int,
    number: int | None,
    *,
    kind: Kind = Kind.EVENT,
    content: int | None = None,
    data: bytes | None = None,
) -> Held:
    known = digest(content if content is not None else number or 0)
    return Held(STREAM, position, kind, 1, number, f"id-{number}", "T", known, "", 0.0, data)


def entries(*numbers: int) -> list[Held]:
    return [entry(position, number) for position, number in enumerate(numbers, 1)]


def test_what_was_assigned_held_once_in_order_is_good() -> None:
    verdict = judge(rows(2, 5, 9), entries(2, 5, 9), STREAM, GOOD)
    assert verdict.good
    assert (verdict.assigned, verdict.delivered) == (3, 3)


def test_what_was_told_late_or_recovered_is_held_all_the_same() -> None:
    late = [entry(1, 2), entry(2, 9), entry(3, 5, kind=Kind.LATE), entry(4, 7, kind=Kind.RECOVERED)]
    assert judge(rows(2, 5, 7, 9), late, STREAM, GOOD).good


@pytest.mark.parametrize(
    "held, found",
    [
        (entries(2, 9), {"missing": 1}),
        ([], {"missing": 3}),
        (entries(2, 9, 5), {"out_of_order": 1}),
        (entries(2, 5, 5, 9), {"held_twice": 1, "out_of_order": 1}),
        ([*entries(2, 5, 9), entry(4, 5, kind=Kind.LATE)], {"held_twice": 1}),
        (entries(2, 5, 9, 11), {"unknown": 1}),
        ([entry(1, 2), entry(2, 5, content=6), entry(3, 9)], {"differing": 1}),
        ([entry(1, 2), entry(2, None, kind=Kind.GAP, data=b'{"first":3,"last":8}'), entry(3, 9)], {"told_lost": 1}),
        ([entry(1, 2), entry(2, None, kind=Kind.GAP, data=b'{"first":3,"last":4}'), entry(3, 9)], {"missing": 1}),
    ],
    ids=["dropped", "nothing", "swapped", "doubled", "doubled late", "invented", "altered", "given up", "wrong gap"],
)
def test_whatever_is_wrong_with_what_is_held_is_named(held: Sequence[Held], found: dict[str, int]) -> None:
    verdict = judge(rows(2, 5, 9), held, STREAM, GOOD)
    names = ("missing", "told_lost", "held_twice", "unknown", "differing", "out_of_order")
    assert {name: getattr(verdict, name) for name in names if getattr(verdict, name)} == found
    assert not verdict.good


def test_a_row_that_a_webhook_contradicts_is_judged_by_its_number() -> None:
    contradicted = [Assigned(1, 2, digest(2), conflict=True)]
    assert judge(contradicted, [entry(1, 2, content=3)], STREAM, GOOD).good
    assert not judge(contradicted, [], STREAM, GOOD).good


@pytest.mark.parametrize(
    "state",
    [
        msgspec.structs.replace(GOOD, signature_failures=1),
        msgspec.structs.replace(GOOD, malformed=1),
        *(
            msgspec.structs.replace(GOOD, streams={name: breach})
            for name in (STREAM, "pb.ws")
            for breach in (
                StreamState(missing=1),
                StreamState(breaks=1),
                StreamState(chain_failures=1),
                StreamState(digest_failures=1),
            )
        ),
    ],
    ids=str,
)
def test_whatever_the_consumer_found_wrong_fails_the_demo(state: ConsumerState) -> None:
    assert not judge(rows(2, 5), entries(2, 5), STREAM, state).good
