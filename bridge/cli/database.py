"""The database of a command: the one that is named, the embedded one that runs, or the embedded one for a moment."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.config import Settings
from bridge.core.errors import BridgeError, StoreUnavailable
from bridge.store.embedded import EmbeddedPostgres
from bridge.store.embedded.folder import SOCKET_NAME
from bridge.store.embedded.ready import answers
from bridge.store.embedded.server import DATABASE, USER
from bridge.store.engine import make_engine, require_head, store_errors

POOL_MAX = 2

T = TypeVar("T")


def with_database(settings: Settings, work: Callable[[AsyncEngine], Awaitable[T]], *, at_head: bool = True) -> T:
    """What ``work`` returns; with ``at_head`` only on a database with this version's tables.

    Raises:
        NotAtHead: the tables are another version's.
        StoreUnavailable: the database cannot be reached.
        BridgeError: there is none, or it is in use in a way that keeps us out.
    """
    with database(settings) as url:
        return asyncio.run(_worked(url, work, at_head=at_head))


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """The address of the database, for as long as the block lasts. An embedded one is never made here."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    running = running_url(settings)
    if running is not None:
        yield running
        return
    if not (settings.data / "postgres").exists():
        raise BridgeError(
            f"there is no database: DATABASE_URL is not set, and there is none in {settings.data}"
            " ('bridge run' makes one; BRIDGE_DATA says where)"
        )
    with EmbeddedPostgres(settings.data, bin_dir=settings.pg_bin) as server:
        yield server.url


def running_url(settings: Settings) -> str | None:
    """The address of the embedded Postgres that another process runs under ``data``, if one does."""
    place = (settings.data / "socket").resolve()
    if not answers(place / SOCKET_NAME, user=USER, database=DATABASE):
        return None
    return f"postgresql+asyncpg://{USER}@/{DATABASE}?host={place}"


async def _worked(url: str, work: Callable[[AsyncEngine], Awaitable[T]], *, at_head: bool) -> T:
    engine = make_engine(url, pool_max=POOL_MAX)
    try:
        if at_head:
            await require_head(engine)
        with store_errors():
            return await work(engine)
    except OSError as error:  # the server's name, before there is any database to speak of
        raise StoreUnavailable(f"the database cannot be reached: {error.strerror or type(error).__name__}") from error
    finally:
        await engine.dispose()
