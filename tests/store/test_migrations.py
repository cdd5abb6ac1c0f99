"""Migrations: they build what the tables say, both ways, from any working directory."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.errors import NotAtHead
from bridge.store import engine as engines
from bridge.store.engine import make_engine, require_head, upgrade
from bridge.store.tables import metadata

# What autogeneration does not compare: checks, storage parameters, and the exact text of keys and indexes.
CATALOG = """
SELECT 'constraint', conrelid::regclass::text, conname::text, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0
UNION ALL
SELECT 'index', tablename::text, indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'storage', relname::text, relkind::text, reloptions::text
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
"""
LEFT = """
SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""
BUILDS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND query LIKE 'CREATE INDEX%log_gaps_idx%' AND wait_event_type = 'Lock'
"""
ONE_EVENT = """
WITH stream AS (
    INSERT INTO streams (name, source, numbering, settle_s) VALUES ('pb.events', 'pb', 'venue', 2) RETURNING id
), event AS (
    INSERT INTO events (stream_id, epoch, sequence, event_id, type, key, transport, received_at, digest, payload)
    SELECT id, 1, 7, 'id-7', 'ORDER_MATCHED', 'market-1', 'webhook', now(), sha256('x'),
           convert_to('{"price": 1.10, "who": "Zoë"}', 'UTF8') FROM stream
)
INSERT INTO log (stream_id, position, kind, epoch, sequence, appended_at, chain)
SELECT id, 1, 'event', 1, 7, now(), sha256('x') FROM stream
"""


def ask(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run the statements one by one; the rows of the last."""

    async def run() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            rows: list[Any] = []
            for statement in statements:
                rows = await connection.fetch(statement)
            return [tuple(row) for row in rows]
        finally:
            await connection.close()

    return asyncio.run(run())


def differences(url: str) -> list[Any]:
    def compare(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return list(compare_metadata(context, metadata))

    async def run(engine: AsyncEngine) -> list[Any]:
        async with engine.connect() as connection:
            found = await connection.run_sync(compare)
        await engine.dispose()
        return found

    return asyncio.run(run(make_engine(url)))


def create_from_tables(url: str) -> None:
    async def run(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await engine.dispose()

    asyncio.run(run(make_engine(url)))


def downgrade(url: str) -> None:
    command.downgrade(engines._alembic(url), "base")


def test_an_empty_database_is_migrated_to_exactly_what_the_tables_say(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    assert differences(empty_database_url) == []


def test_checks_indexes_and_storage_are_those_of_the_tables_word_for_word(
    database_url: str, empty_database_url: str
) -> None:
    create_from_tables(empty_database_url)
    migrated = {row for row in ask(database_url, CATALOG) if row[1] != "alembic_version"}
    assert migrated == set(ask(empty_database_url, CATALOG))
    assert len(migrated) > 60


def test_what_a_migration_builds_it_can_take_down_again(database_url: str) -> None:
    downgrade(database_url)
    assert set(ask(database_url, LEFT)) == {("alembic_version",), ("alembic_version_pkc",)}
    upgrade(database_url)
    assert differences(database_url) == []


def test_a_second_upgrade_changes_nothing_and_keeps_what_is_stored(database_url: str) -> None:
    before = ask(database_url, ONE_EVENT, CATALOG)
    upgrade(database_url)
    assert ask(database_url, CATALOG) == before
    assert ask(database_url, "SELECT sequence FROM events") == [(7,)]


def test_migrations_are_found_from_any_working_directory(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    upgrade(empty_database_url)
    assert ask(empty_database_url, "SELECT count(*) FROM streams") == [(0,)]


def test_a_database_that_is_not_at_head_is_refused_with_what_to_run(empty_database_url: str) -> None:
    async def check() -> None:
        engine = make_engine(empty_database_url)
        try:
            await require_head(engine)
        finally:
            await engine.dispose()

    with pytest.raises(NotAtHead, match="alembic upgrade head"):
        asyncio.run(check())
    upgrade(empty_database_url)
    asyncio.run(check())


def test_people_see_payloads_as_json(database_url: str) -> None:
    shown = ask(
        database_url, ONE_EVENT, "SELECT stream, sequence, payload->>'price', payload->>'who' FROM events_json"
    )
    assert shown == [("pb.events", 7, "1.10", "Zoë")]


@pytest.mark.parametrize("change", ["position = 2", "chain = sha256('y')", "kind = kind"])
def test_the_log_refuses_to_be_rewritten(database_url: str, change: str) -> None:
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        ask(database_url, ONE_EVENT, f"UPDATE log SET {change}")
    assert ask(database_url, "SELECT position, chain = sha256('x') FROM log") == [(1, True)]


@pytest.mark.parametrize(
    "statement, refusal",
    [
        ("INSERT INTO log SELECT stream_id, 2, kind, epoch, sequence, now(), chain FROM log", "log_once_idx"),
        ("INSERT INTO log SELECT stream_id, 1, 'event', 1, 8, now(), chain FROM log", "log_pkey"),
        ("INSERT INTO log SELECT stream_id, 2, 'event', 1, NULL, now(), chain FROM log", "log_kind_check"),
        ("INSERT INTO log SELECT stream_id, 2, 'gap', 1, NULL, now(), chain FROM log", "log_kind_check"),
        ("INSERT INTO log SELECT stream_id, 2, 'gap', 1, NULL, now(), 'short', '{}' FROM log", "log_position_check"),
        ("UPDATE streams SET base = 5, frontier = 4", "streams_frontier_check"),
        ("UPDATE streams SET base = 5", "streams_frontier_check"),
        ("UPDATE events SET sequence = 0", "events_sequence_check"),
    ],
)
def test_postgres_itself_keeps_the_invariants(database_url: str, statement: str, refusal: str) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=refusal):
        ask(database_url, ONE_EVENT, statement)


def test_events_are_stored_while_an_index_of_the_log_is_built(empty_database_url: str) -> None:
    plain = empty_database_url.replace("+asyncpg", "")

    async def check() -> list[tuple[Any, ...]]:
        early, late = await asyncpg.connect(plain), await asyncpg.connect(plain, command_timeout=20)
        try:
            open_one = early.transaction()
            await open_one.start()
            await early.execute(ONE_EVENT)
            async with asyncio.TaskGroup() as group:
                migrating = group.create_task(asyncio.to_thread(upgrade, empty_database_url))
                while not await late.fetchval(BUILDS):
                    await asyncio.wait([migrating], timeout=0.05)
                    assert not migrating.done(), "it waits for whoever was writing before it"
                await late.execute(ONE_EVENT.replace("pb.events", "pb.others"))
                await open_one.commit()
            return [tuple(row) for row in await late.fetch("SELECT name FROM streams ORDER BY name")]
        finally:
            await early.close()
            await late.close()

    command.upgrade(engines._alembic(empty_database_url), "0009")
    assert asyncio.run(check()) == [("pb.events",), ("pb.others",)]
    assert differences(empty_database_url) == []


def test_an_index_whose_build_was_cut_off_is_built_anew(empty_database_url: str) -> None:
    command.upgrade(engines._alembic(empty_database_url), "0009")
    ask(
        empty_database_url,
        "CREATE INDEX log_gaps_idx ON log (stream_id, position) WHERE kind = 'gap'",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'log_gaps_idx'::regclass",
    )
    upgrade(empty_database_url)
    assert ask(empty_database_url, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'log_gaps_idx'::regclass") == [
        (True,)
    ]
