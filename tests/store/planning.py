"""A large database to look at plans on, and what a plan reads."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store.embedded import EmbeddedPostgres
from bridge.store.engine import make_engine
from tests.conftest import execute


@contextmanager
def filled(server: EmbeddedPostgres, template: str, name: str, statements: str) -> Iterator[str]:
    """The URL of a database that ``statements`` have filled, gone after the block."""
    execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")

    async def fill() -> None:
        engine = make_engine(server.url_of(name))
        async with engine.begin() as connection:
            for statement in statements.split(";\n"):
                if statement.strip():
                    await connection.execute(text(statement))
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text("VACUUM ANALYZE"))
        await engine.dispose()

    asyncio.run(fill())
    yield server.url_of(name)
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def undone(url: str) -> AsyncIterator[AsyncConnection]:
    """A connection; what is done on it is undone."""
    engine = make_engine(url)
    async with engine.connect() as connection:
        yield connection
        await connection.rollback()
    await engine.dispose()


def scanned(plan: dict[str, Any]) -> Iterator[str]:
    """The tables that the plan reads from end to end."""
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for below in plan.get("Plans", []):
        yield from scanned(below)


def sorted_rows(plan: dict[str, Any]) -> Iterator[int]:
    if plan["Node Type"] in ("Sort", "Incremental Sort"):
        yield plan["Plan Rows"]
    for below in plan.get("Plans", []):
        yield from sorted_rows(below)


def indexes(plan: dict[str, Any]) -> Iterator[str]:
    if "Index Name" in plan:
        yield plan["Index Name"]
    for below in plan.get("Plans", []):
        yield from indexes(below)


async def plan_of(connection: AsyncConnection, statement: TextClause, values: dict[str, Any]) -> dict[str, Any]:
    explained = await connection.execute(text(f"EXPLAIN (FORMAT JSON) {statement.text}"), values)
    told = explained.scalar_one()
    decoded: list[dict[str, Any]] = json.loads(told) if isinstance(told, str) else told
    plan: dict[str, Any] = decoded[0]["Plan"]
    return plan
