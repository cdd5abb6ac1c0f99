"""Runs the migrations, on the URL given by the caller or else on DATABASE_URL."""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from bridge.config import database_url
from bridge.store.tables import metadata


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


async def connect_and_migrate(url: str) -> None:
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
        await connection.commit()
    await engine.dispose()


def configured_url() -> str:
    url = context.config.attributes.get("url") or database_url(os.environ)
    if url is None:
        raise SystemExit("DATABASE_URL is not set: nothing to migrate (bridge run migrates its own database)")
    return str(url)


asyncio.run(connect_and_migrate(configured_url()))
