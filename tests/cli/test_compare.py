"""``bridge verify`` and ``bridge compare`` on a log that is whole, and on one that is not."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock
from bridge.core.event import Kind, Transport
from bridge.core.span import Span
from bridge.ingest import Base, Door, Finding, StreamSpec
from bridge.retention import Retention, RetentionLimits
from bridge.store import proofreading
from bridge.store.evidence import Evidence
from tests.cli.conftest import Invoke
from tests.cli.rows import on
from tests.events import START, event
from tests.logs import append_events, append_told
from tests.web.test_pull import change, forget


async def fill(engine: AsyncEngine) -> None:
    """Twelve entries: events with content of their own, and a gap at position 8."""
    for number in range(1, 13):
        if number == 8:
            await append_told(engine, "pb.events", Kind.GAP, b'{"first":99}')
        else:
            await append_events(engine, "pb.events", 1, payload=b'{"n":%d}' % number)


def changed(url: str, *statements: str) -> None:
    async def work(engine: AsyncEngine) -> None:
        await fill(engine)
        await change(engine, *statements)

    on(url, work)


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofreading, "SLICE_MAX", 5)


def test_a_whole_log_is_verified_to_its_end(invoke: Invoke, database_url: str) -> None:
    on(database_url, fill)
    shown = invoke({"DATABASE_URL": database_url}, "verify", "pb.events")
    assert shown.exit_code == 0, shown.output
    assert "positions 1 to 12 follow" in shown.output
    told = json.loads(invoke({"DATABASE_URL": database_url}, "verify", "pb.events", "--json").stdout)
    assert (told["checked"], told["wrong_at"], len(told["chain"])) == (12, None, 64)


@pytest.mark.parametrize(
    "statement, position, why",
    [
        ("UPDATE log SET chain = sha256('x') WHERE position = 7", 7, "does not follow"),
        ("UPDATE log SET kind = 'late' WHERE position = 7", 7, "does not follow"),
        ("UPDATE log SET epoch = 2 WHERE position = 8", 8, "does not follow"),
        ("UPDATE log SET data = 'other' WHERE position = 8", 8, "does not follow"),
        ("DELETE FROM log WHERE position = 6", 6, "is missing"),
        ("DELETE FROM log WHERE position > 10", 11, "is missing"),
        ("DELETE FROM events WHERE sequence = 9", 9, "not stored"),
        ("UPDATE events SET payload = '{}' WHERE sequence = 9", 9, "does not have its digest"),
        ("UPDATE events SET payload = '{}', digest = sha256('{}') WHERE sequence = 9", 9, "does not follow"),
        ("UPDATE streams SET chain = sha256('x')", 12, "another chain value"),
        ("UPDATE streams SET forgotten_chain = sha256('x')", 1, "does not follow"),
    ],
)
def test_the_first_bad_position_is_named(
    invoke: Invoke, database_url: str, statement: str, position: int, why: str
) -> None:
    changed(database_url, statement)
    shown = invoke({"DATABASE_URL": database_url}, "verify", "pb.events")
    assert shown.exit_code == 1
    assert f"position {position} is bad" in shown.output
    assert why in shown.output


def test_a_log_is_verified_from_what_is_left_of_it(invoke: Invoke, database_url: str) -> None:
    async def work(engine: AsyncEngine) -> None:
        await fill(engine)
        await forget(engine, 3)

    on(database_url, work)
    shown = invoke({"DATABASE_URL": database_url}, "verify", "pb.events")
    assert (shown.exit_code, "positions 4 to 12 follow" in shown.output) == (0, True), shown.output


def test_what_retention_takes_away_while_it_is_read_is_not_missed(database_url: str) -> None:
    from bridge.store import digests

    async def work(engine: AsyncEngine) -> proofreading.Verdict:
        await fill(engine)
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            before = await digests.bounds(connection, "pb.events")
            assert before is not None
            await forget(engine, 7)
            return await proofreading.verify(connection, before)

    verdict = on(database_url, work)
    assert (verdict.wrong_at, verdict.checked) == (None, 5)


@pytest.mark.parametrize("command", ["verify", "compare"])
def test_a_stream_that_is_not_there_is_told(invoke: Invoke, database_url: str, tmp_path: Path, command: str) -> None:
    (tmp_path / "held.csv").write_text("sequence,digest\n")
    rest = ["--against", str(tmp_path / "held.csv")] if command == "compare" else []
    shown = invoke({"DATABASE_URL": database_url}, command, "no.such", *rest)
    assert (shown.exit_code, "there is no stream no.such" in shown.output) == (1, True)


def digests_of(url: str) -> dict[int, str]:
    async def work(engine: AsyncEngine) -> Sequence[tuple[int, bytes]]:
        async with engine.connect() as connection:
            rows = await connection.execute(text("SELECT sequence, digest FROM events ORDER BY 1"))
            return [(row[0], row[1]) for row in rows]

    return {sequence: digest.hex() for sequence, digest in on(url, work)}


def write(path: Path, held: Sequence[tuple[int, str]]) -> Path:
    if path.suffix == ".csv":
        lines = ["received,sequence,digest,epoch", *(f"x,{sequence},{digest}," for sequence, digest in held), "y,,,"]
    else:
        told = [{"sequence": sequence, "digest": digest, "kind": "event"} for sequence, digest in held]
        lines = [json.dumps(one) for one in [*told, {"sequence": None, "digest": "00", "kind": "gap"}]]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("name", ["held.csv", "held.ndjson"])
def test_every_difference_is_named(invoke: Invoke, database_url: str, tmp_path: Path, name: str) -> None:
    on(database_url, fill)
    held = digests_of(database_url)
    same = write(tmp_path / name, list(held.items()))
    shown = invoke({"DATABASE_URL": database_url}, "compare", "pb.events", "--against", str(same))
    assert (shown.exit_code, "Nothing differs" in shown.output) == (0, True), shown.output
    del held[3]
    wrong = {**held, 5: "00" * 32, 40: "11" * 32}
    other = write(tmp_path / name, [*wrong.items(), (6, held[6])])
    shown = invoke({"DATABASE_URL": database_url}, "compare", "pb.events", "--against", str(other), "--json")
    told = json.loads(shown.stdout)
    assert shown.exit_code == 1
    named = [(one["what"], one["sequence"], one["position"]) for one in told["named"]]
    assert named == [("lacking", 3, 3), ("different", 5, 5), ("extra", 40, None)]
    assert (told["counts"], told["twice"]) == ({"lacking": 1, "different": 1, "extra": 1}, 1)
    assert (told["held"], told["told"]) == (12, 11)
    shown = invoke({"DATABASE_URL": database_url}, "compare", "pb.events", "--against", str(other), "--limit", "1")
    assert "1 the consumer lacks" in shown.output
    assert "1 the consumer holds more than once" in shown.output
    assert "extra" not in shown.output


def test_what_the_log_has_deleted_is_not_held_against_the_consumer(
    invoke: Invoke, database_url: str, tmp_path: Path
) -> None:
    on(database_url, fill)
    held = digests_of(database_url)
    on(database_url, lambda engine: forget(engine, 4))
    path = write(tmp_path / "held.csv", list(held.items()))
    shown = invoke({"DATABASE_URL": database_url}, "compare", "pb.events", "--against", str(path))
    assert (shown.exit_code, "4 the consumer has, and the log does not reach" in shown.output) == (0, True)


GOOD = "0" * 64


@pytest.mark.parametrize(
    "name, content, line, why",
    [
        ("held.csv", b"sequence,digest\n1,ab\n", 2, "digest is the SHA-256"),
        ("held.csv", f"sequence,digest\n1,{'00 ' * 21}0\n".encode(), 2, "hexadecimal"),
        ("held.csv", f"sequence,digest\n1,{'00 ' * 21} \n".encode(), 2, "digest is the SHA-256"),
        ("held.csv", f"sequence,digest\n0,{GOOD}\n".encode(), 2, "whole numbers from 1"),
        ("held.csv", f"sequence,digest\n{'9' * 400},{GOOD}\n".encode(), 2, "whole numbers from 1"),
        ("held.csv", f"sequence,digest,epoch\n1,{GOOD},9999999999\n".encode(), 2, "whole numbers from 1"),
        ("held.csv", f"sequence,digest\n1,{'x' * 64}\n".encode(), 2, "hexadecimal"),
        ("held.csv", b"sequence\n1\n", 1, "names the columns"),
        ("held.csv", b"", 1, "names the columns"),
        ("held.csv", f"Sequence;Digest\n1;{GOOD}\n".encode(), 1, "names the columns"),
        ("held.csv", f"1,{GOOD}\n2,{GOOD}\n".encode(), 1, "names the columns"),
        ("held.csv", f'sequence,digest,note\n1,{GOOD},"never closed\n2,{GOOD},x\n'.encode(), 3, "unexpected end"),
        ("held.csv", b"sequence,digest\r\n" + f"1,{GOOD}\r\n".encode() * 500 + b"2,\xff\r\n", 502, "utf-8"),
        ("held.ndjson", f'{{"sequence":1,"digest":"{GOOD}"}}\nnonsense\n'.encode(), 2, "malformed"),
        ("held.ndjson", f'{{"sequence":"1","digest":"{GOOD}"}}\n'.encode(), 1, "Expected `int"),
        ("held.ndjson", b'\r\n{"sequence":1}\r\n', 2, "digest is the SHA-256"),
        ("held.ndjson", f'{{"sequence":1,"digest":"{GOOD}"}}\n'.encode() * 500 + b'{"\xff":1}\n', 501, "utf-8"),
        ("held.ndjson", b'{"sequence":1,"pad":"' + b"x" * 5_000_000 + b'"}', 1, "longer than"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(
    invoke: Invoke, database_url: str, tmp_path: Path, name: str, content: bytes, line: int, why: str
) -> None:
    on(database_url, fill)
    (tmp_path / name).write_bytes(content)
    shown = invoke({"DATABASE_URL": database_url}, "compare", "pb.events", "--against", str(tmp_path / name))
    assert (shown.exit_code, f"{name}, line {line}: " in shown.output) == (1, True), shown.output
    assert why in " ".join(shown.output.split())


@pytest.mark.parametrize("name", ["held.csv", "held.ndjson"])
def test_a_list_as_other_programs_write_it_is_read(
    invoke: Invoke, database_url: str, tmp_path: Path, name: str
) -> None:
    """With a byte order mark, lines that end in CR and LF, blank ones, capitals, and lines of something else."""
    on(database_url, fill)
    path = write(tmp_path / name, [(number, digest.upper()) for number, digest in digests_of(database_url).items()])
    lines = path.read_text().splitlines()
    nothing = "" if name == "held.csv" else '{"sequence":null,"digest":null,"kind":"gap"}'
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([lines[0], "", *lines[1:], nothing, ""]).encode())
    shown = invoke({"DATABASE_URL": database_url}, "compare", "pb.events", "--against", str(path))
    assert (shown.exit_code, "Nothing differs" in shown.output) == (0, True), shown.output


@pytest.mark.parametrize("order", [1, -1])
def test_what_is_held_twice_with_two_contents_is_different_in_whatever_order_it_stands(
    invoke: Invoke, database_url: str, tmp_path: Path, order: int
) -> None:
    on(database_url, fill)
    held = digests_of(database_url)
    twice = [(5, held[5]), (5, "00" * 32), (6, held[6]), (6, "ff" * 32)]
    path = write(tmp_path / "held.csv", [*list(held.items())[:4], *twice[::order], *list(held.items())[6:]])
    shown = invoke({"DATABASE_URL": database_url}, "compare", "pb.events", "--against", str(path), "--json")
    told = json.loads(shown.stdout)
    assert [(one["what"], one["sequence"], one["theirs"]) for one in told["named"]] == [
        ("different", 5, "00" * 32),
        ("different", 6, "ff" * 32),
    ]
    assert told["twice"] == 2


def test_what_was_told_late_does_not_hide_that_its_neighbours_are_deleted(
    invoke: Invoke, database_url: str, tmp_path: Path
) -> None:
    async def told_late_and_forgotten(engine: AsyncEngine) -> dict[int, str]:
        clock = ManualClock(START)
        async with Door(engine, clock, {"pb.events": StreamSpec("pb.events", "pb", "venue", settle_s=2.0)}) as door:
            await door.record("pb.events", Finding(1, base=Base(1, START)))
            await door.accept("pb.events", [event(n) for n in (1, 2, 4, 5, 6)], transport=Transport.WEBHOOK)
            await door.record("pb.events", Finding(1, (Evidence(Span.inclusive(3, 3), "proof", {}),)))
            clock.advance(31 * 86_400)
            await door.accept("pb.events", [event(n) for n in (3, 7, 8)], transport=Transport.REPLAY)
        held = {n: event(n).digest.hex() for n in range(1, 9)}
        await Retention(engine, clock, RetentionLimits(keep_days=30, entries_min=2)).tick()
        return held

    held = on(database_url, told_late_and_forgotten)
    path = write(tmp_path / "held.csv", list(held.items()))
    shown = invoke({"DATABASE_URL": database_url}, "compare", "pb.events", "--against", str(path), "--json")
    told = json.loads(shown.stdout)
    assert (told["told"], told["counts"], told["named"]) == (3, {"deleted": 5}, [])
    assert shown.exit_code == 0
