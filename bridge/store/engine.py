"""The way to Postgres: engines, migrations, and foreign errors made ours at this border."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bridge.core.errors import NotAtHead, StoreRefused, StoreUnavailable

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
STATEMENT_TIMEOUT_MS = 30_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 20_000


def make_engine(url: str, *, pool_max: int = 10) -> AsyncEngine:
    """An engine on asyncpg with at most ``pool_max`` connections, and no wait in it that has no end."""
    engine = create_async_engine(
        url,
        pool_size=pool_max,
        max_overflow=0,
        pool_timeout=10,
        pool_recycle=1800,
        hide_parameters=True,
        connect_args={"timeout": 10, "command_timeout": STATEMENT_TIMEOUT_MS / 1000},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _limit(connection: object, _record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]  # the DBAPI's own connection, untyped
        cursor.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
        cursor.execute(f"SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_TIMEOUT_MS}")
        cursor.execute("SET jit = off")
        cursor.close()
        # Or the first user of the connection works inside of our transaction, and its rollback takes the limits away.
        connection.commit()  # type: ignore[attr-defined]  # as above

    return engine


@contextmanager
def store_errors() -> Iterator[None]:
    """Map the errors of SQLAlchemy and of the driver to ours.

    Raises:
        StoreUnavailable: no connection, a connection lost, or the pool exhausted.
        StoreRefused: Postgres will not take what it was given. The text names the kind of error, no values.
    """
    try:
        yield
    except PoolTimeout as error:
        raise StoreUnavailable("no database connection became free") from error
    except OSError as error:
        raise StoreUnavailable(f"the database cannot be reached: {type(error).__name__}") from error
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(error, OperationalError) or _away(error.orig):
            raise StoreUnavailable(f"the database is away: {type(error.orig).__name__}") from error
        raise StoreRefused(f"the database refused: {type(error.orig).__name__}: {error.orig}") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if _away(error):
            raise StoreUnavailable(f"the database is away: {type(error).__name__}") from error
        raise StoreRefused(f"the database refused: {type(error).__name__}: {error}") from error


_AWAY_CLASSES = ("08", "53", "57")
"""SQLSTATE classes: connection exception, insufficient resources, operator intervention (shutdown, start-up)."""


def _away(error: BaseException | None) -> bool:
    if isinstance(error, asyncpg.InterfaceError) and not isinstance(error, asyncpg.DataError | ValueError):
        return True
    state = getattr(error, "sqlstate", None) or ""
    return state[:2] in _AWAY_CLASSES or isinstance(error, ConnectionError)


def upgrade(url: str) -> None:
    """Bring the database at ``url`` to the newest migration."""
    command.upgrade(_alembic(url), "head")


async def require_head(engine: AsyncEngine) -> None:
    """Return if the database is at the newest migration.

    Raises:
        NotAtHead: it is not; the text says what to run.
    """
    newest = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    with store_errors():
        async with engine.connect() as connection:
            current = await connection.run_sync(_current)
    if current != newest:
        raise NotAtHead(
            f"the database is at migration {current or 'none'}, this bridge needs {newest}:"
            " run 'alembic upgrade head' (or 'bridge migrate')"
        )


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _alembic(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config
