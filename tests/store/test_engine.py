"""The engine: what a fresh connection is like, and that its limits stay."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.store.engine import IDLE_IN_TRANSACTION_TIMEOUT_MS, STATEMENT_TIMEOUT_MS

pytestmark = pytest.mark.anyio

LIMITS = {
    "statement_timeout": f"{STATEMENT_TIMEOUT_MS // 1000}s",
    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_TIMEOUT_MS // 1000}s",
    "jit": "off",
}


async def test_a_fresh_connection_is_handed_out_outside_of_any_transaction(engine: AsyncEngine) -> None:
    """Inside of one, a commit straight on the driver would be no commit."""
    async with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            assert not driver.is_in_transaction()


async def test_a_connections_limits_outlive_a_rollback(engine: AsyncEngine) -> None:
    async with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            await connection.rollback()
            asked = {name: (await connection.execute(text(f"SHOW {name}"))).scalar_one() for name in LIMITS}
            assert asked == LIMITS
