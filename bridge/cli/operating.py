"""An operator's act from the command line: in one transaction, on record under the name of the system's user."""

import os
import pwd
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.cli.database import with_database
from bridge.cli.edge import Edge
from bridge.clock import SystemClock
from bridge.config import Settings
from bridge.operate.acting import Acting
from bridge.store.engine import store_errors
from bridge.store.vault import Vault

T = TypeVar("T")


def acted(edge: Edge, act: Callable[[Acting], Awaitable[T]]) -> T:
    """What ``act`` returns, done in a transaction of its own."""
    settings = edge.settings()

    async def work(engine: AsyncEngine) -> T:
        return await in_transaction(engine, settings, act)

    return with_database(settings, work)


async def in_transaction(engine: AsyncEngine, settings: Settings, act: Callable[[Acting], Awaitable[T]]) -> T:
    """What ``act`` returns."""
    with store_errors():
        async with engine.begin() as connection:
            acting = Acting(connection, actor(), SystemClock().now(), vault_of(settings), settings.destinations)
            return await act(acting)


def vault_of(settings: Settings) -> Vault:
    return Vault([key.get_secret_value() for key in settings.secret_key])


def actor() -> str:
    """Who runs this program. The environment is not asked: it says what anybody wants it to."""
    number = os.getuid()
    try:
        return f"cli:{pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"cli:{number}"


def utc(given: datetime | None) -> datetime | None:
    """A time of the command line, which is UTC."""
    return None if given is None else given.replace(tzinfo=UTC)


def line(told: object) -> str:
    """One line of JSON, for what has no other form to be shown in."""
    return msgspec.json.encode(told).decode()
