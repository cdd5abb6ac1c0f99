"""``bridge verify`` and ``bridge compare`` on a log that is whole, and on one that is not."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.event import Kind
from bridge.store import proofreading
from tests.cli.conftest import Invoke
from tests.cli.rows import on
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


@pytest.mark.parametrize(
    "name, content, line",
    [
        ("held.csv", "sequence,digest\n1,ab\n", 2),
        ("held.csv", f"sequence,digest\n0,{'0' * 64}\n", 2),
        ("held.csv", f"sequence,digest\n1,{'x' * 64}\n", 2),
        ("held.csv", "sequence\n1\n", 2),
        ("held.ndjson", f'{{"sequence":1,"digest":"{"0" * 64}"}}\nnonsense\n', 2),
        ("held.ndjson", f'{{"sequence":"1","digest":"{"0" * 64}"}}\n', 1),
    ],
)
def test_a_line_that_cannot_be_used_is_named(
    invoke: Invoke, database_url: str, tmp_path: Path, name: str, content: str, line: int
) -> None:
    on(database_url, fill)
    (tmp_path / name).write_text(content)
    shown = invoke({"DATABASE_URL": database_url}, "compare", "pb.events", "--against", str(tmp_path / name))
    assert (shown.exit_code, f"{name}, line {line}" in shown.output) == (1, True), shown.output
