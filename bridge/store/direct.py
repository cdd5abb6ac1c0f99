"""The door's way to Postgres: the same statements, straight to the driver.

SQLAlchemy changes stacks at every call that waits, which costs the door more than all its own work. Here a
connection of the engine's pool is taken out for as long as the door is busy, and asyncpg is asked itself.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import asyncpg
from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.errors import StoreUnavailable

Values = Mapping[str, Any]

_NAME = re.compile(r"(?<!:):(\w+)")


class Executes(Protocol):
    """What the statements of this package need of a connection: SQLAlchemy's, or the one below."""

    async def execute(self, statement: TextClause, parameters: Any = None, /) -> Any: ...


class Rows:
    """An answer, with the few ways in which this package reads one."""

    def __init__(self, records: Sequence[Any]) -> None:
        self._records = records

    def __iter__(self) -> Iterator[Any]:
        return iter(self._records)

    def all(self) -> Sequence[Any]:
        return self._records

    def first(self) -> Any:
        return self._records[0] if self._records else None

    def mappings(self) -> "Rows":
        return self

    def one(self) -> Any:
        (record,) = self._records
        return record

    def one_or_none(self) -> Any:
        return self.one() if self._records else None

    def scalars(self) -> Iterator[Any]:
        return (record[0] for record in self._records)

    def scalar_one(self) -> Any:
        return self.one()[0]

    def scalar_one_or_none(self) -> Any:
        return self.one()[0] if self._records else None


class Direct:
    """A connection taken out of the pool, asked without SQLAlchemy."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    async def execute(self, statement: TextClause, parameters: Any = None, /) -> Rows:
        """Run one statement; a list of parameters runs it once for each."""
        sql, names = _positional(statement.text)
        if isinstance(parameters, list):
            await self._raw.executemany(sql, [_arguments(names, values) for values in parameters])
            return Rows(())
        return Rows(await self._raw.fetch(sql, *_arguments(names, parameters or {})))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """A transaction: committed at the end, rolled back on any error."""
        async with self._raw.transaction():
            yield


@asynccontextmanager
async def taken_out(engine: AsyncEngine) -> AsyncIterator[Direct]:
    """A connection for as long as the block lasts. One that broke does not go back into the pool."""
    async with engine.connect() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        try:
            if raw.is_in_transaction():
                # A commit of ours would only end a savepoint, and what was acknowledged could be rolled back.
                raise StoreUnavailable("a connection came out of the pool with a transaction open")
            yield Direct(raw)
        except (StoreUnavailable, OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError):
            await connection.invalidate()
            raise


_TEXTS: dict[str, tuple[str, tuple[str, ...]]] = {}
"""Statements in the driver's notation. Their number is that of the statements in this package."""


def _positional(text: str) -> tuple[str, tuple[str, ...]]:
    known = _TEXTS.get(text)
    if known is None:
        names = tuple(dict.fromkeys(_NAME.findall(text)))
        places = {name: f"${index}" for index, name in enumerate(names, start=1)}
        known = _TEXTS[text] = (_NAME.sub(lambda found: places[found[1]], text), names)
    return known


def _arguments(names: Sequence[str], values: Values) -> list[Any]:
    given = (values[name] for name in names)
    return [json.dumps(value) if isinstance(value, dict) else value for value in given]
