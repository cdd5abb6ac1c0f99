"""What every test may ask for: a database of its own, an engine on it, a free port."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import asyncpg
import pytest
import structlog
from playwright.async_api import Browser
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.store.embedded import EmbeddedPostgres
from bridge.store.engine import make_engine, upgrade
from tests.browsing import chromium

TEMPLATE = "bridge_template"

# Only here, where a database lives as long as a test: a crash of the machine may lose it, a crash of the
# bridge or of the server may not.
TEST_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Whoever sets up logging, as each command does, does so for itself alone."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def pg_bin() -> Path | None:
    """The binaries named by BRIDGE_PG_BIN, if it is set."""
    named = os.environ.get("BRIDGE_PG_BIN")
    return Path(named) if named else None


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, pg_bin: Path | None) -> Iterator[EmbeddedPostgres]:
    """One Postgres for all tests."""
    folder = tmp_path_factory.mktemp("postgres")
    with EmbeddedPostgres(folder, bin_dir=pg_bin, settings=TEST_SETTINGS) as started:
        yield started


@pytest.fixture(scope="session")
def template(server: EmbeddedPostgres) -> str:
    """The name of a database at the newest migration, to be cloned."""
    execute(server, f"CREATE DATABASE {TEMPLATE}")
    upgrade(server.url_of(TEMPLATE))
    return TEMPLATE


@pytest.fixture(scope="session")
def database_names() -> Iterator[str]:
    return (f"test_{number}" for number in count(1))


@pytest.fixture
def empty_database_url(server: EmbeddedPostgres, database_names: Iterator[str]) -> Iterator[str]:
    """The URL of a database with nothing in it, gone after the test."""
    name = next(database_names)
    execute(server, f"CREATE DATABASE {name}")
    yield server.url_of(name)
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(server: EmbeddedPostgres, template: str, database_names: Iterator[str]) -> Iterator[str]:
    """The URL of a database of the test's own at the newest migration, gone after the test."""
    name = next(database_names)
    execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.url_of(name)
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def engine(database_url: str, anyio_backend: str) -> AsyncIterator[AsyncEngine]:
    """An engine on ``database_url``."""
    made = make_engine(database_url)
    yield made
    await made.dispose()


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    """One browser for a module's tests."""
    async with chromium() as started:
        yield started


@pytest.fixture
def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def execute(server: EmbeddedPostgres, statement: str) -> None:
    """Run what cannot run in a transaction."""

    async def run() -> None:
        connection = await asyncpg.connect(server.url.replace("+asyncpg", ""))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())
