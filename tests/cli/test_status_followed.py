"""``bridge status`` of streams that the bridge numbers: what is known, and what nobody can know."""

import json
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.store import follows
from tests.cli.conftest import Invoke
from tests.cli.rows import fill, now, on
from tests.followed import BOOK, EXECUTION, SETTLED, TRADES, attend, declare, tell, turn

WIDTH_CHARS = 100


async def follow(engine: AsyncEngine) -> None:
    """Fills that lost something, trades with an open gap and something dropped, a book: heard by a worker."""
    await tell(engine, await declare(engine, EXECUTION), turn(10, 20, "lost"))
    await tell(engine, await declare(engine, TRADES), turn(60, 70), dropped=12)
    await tell(engine, await declare(engine, BOOK))
    await attend(engine, now=now())


def test_streams_of_both_kinds_stand_in_one_table_of_a_hundred_columns(invoke: Invoke, database_url: str) -> None:
    on(database_url, follow)
    on(database_url, fill)
    shown = invoke({"DATABASE_URL": database_url, "COLUMNS": str(WIDTH_CHARS)}, "status")
    assert shown.exit_code == 0, shown.output
    lines = shown.output.split("Sources")[0].splitlines()
    rows = {line.split()[0]: line.split() for line in lines if "." in line}
    assert max(len(line.rstrip()) for line in lines) <= WIDTH_CHARS
    assert rows["by.execution"][1:4] == ["keyed", "history", "3"]
    assert rows["by.execution"][-3:] == ["90", "%", "fine"]
    assert rows["by.publicTrade.BTCUSDT"][-4:] == ["1", "-", "gap", "open"], "what cannot be known has a dash"
    assert rows["by.orderbook.50.BTCUSDT"][-3:] == ["100", "%", "fine"]
    assert "pb.events" in rows


def test_one_stream_tells_everything_that_is_known_of_it(invoke: Invoke, database_url: str) -> None:
    on(database_url, follow)
    shown = invoke({"DATABASE_URL": database_url}, "status", "by.publicTrade.BTCUSDT")
    assert shown.exit_code == 0, shown.output
    told = {line[:22].strip(): line[22:].strip() for line in shown.output.splitlines()}
    assert (told["model"], told["repair"], told["reach"]) == ("keyed", "history", TRADES.reach)
    assert told["unnoticed"] == TRADES.unnoticed
    assert told["complete"].startswith("unknown")
    assert told["settled until"].endswith(SETTLED.strftime("%H:%M:%SZ"))
    assert told["dropped"].startswith("12 ")
    assert told["gaps"].startswith("1 open")
    assert "by.execution" not in shown.output


def test_a_program_is_told_null_where_nothing_can_be_verified(invoke: Invoke, database_url: str) -> None:
    on(database_url, follow)
    on(database_url, fill)
    told = json.loads(invoke({"DATABASE_URL": database_url}, "status", "--json").stdout)
    streams = {stream["stream"]: stream for stream in told["streams"]}
    trades, fills = streams["by.publicTrade.BTCUSDT"], streams["by.execution"]
    assert (trades["completeness"], trades["reason"], trades["dropped"]) == (None, TRADES.unnoticed, 12)
    assert (fills["completeness"], fills["reason"], fills["settled_until"]) == (0.9, None, "2026-02-18T23:01:40Z")
    alone = json.loads(invoke({"DATABASE_URL": database_url}, "status", "by.execution", "--json").stdout)
    assert [stream["stream"] for stream in alone["streams"]] == ["by.execution"]
    assert [source["source"] for source in alone["sources"]] == ["by"]


def test_a_channel_that_the_venue_refuses_waits_for_a_person(invoke: Invoke, database_url: str) -> None:
    async def refuse(engine: AsyncEngine) -> None:
        stream = await declare(engine, EXECUTION)
        await attend(engine, now=now())
        async with engine.begin() as connection:
            await follows.set_states(connection, [(stream.id, "refused", "the venue does not let us hear it")])

    on(database_url, refuse)
    shown = invoke({"DATABASE_URL": database_url}, "status", "by.execution")
    assert shown.exit_code == 1
    assert "refused: the venue does not let us hear it" in shown.output


def test_a_stream_whose_worker_is_gone_is_not_called_fine(invoke: Invoke, database_url: str) -> None:
    async def leave(engine: AsyncEngine) -> None:
        await tell(engine, await declare(engine, EXECUTION))
        await attend(engine, now=now() - timedelta(hours=1))

    on(database_url, leave)
    assert "unattended" in invoke({"DATABASE_URL": database_url}, "status", "by.execution").output


def test_a_stream_that_is_not_there_is_a_problem(invoke: Invoke, database_url: str) -> None:
    shown = invoke({"DATABASE_URL": database_url}, "status", "no.such")
    assert shown.exit_code == 1
    assert "there is no stream no.such" in shown.stderr


def test_gaps_in_time_are_told_as_times(invoke: Invoke, database_url: str) -> None:
    on(database_url, follow)
    environ = {"DATABASE_URL": database_url}
    assert "02-18 23:00:10.000" in invoke(environ, "gaps", "by.execution").output
    [gap] = json.loads(invoke(environ, "gaps", "by.execution", "--json").stdout)["gaps"]
    assert (gap["axis"], gap["from"], gap["to"]) == ("time", "2026-02-18T23:00:10Z", "2026-02-18T23:00:20Z")
