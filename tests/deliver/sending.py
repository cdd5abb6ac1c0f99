"""Delivery for the length of a test, and what it left in the database."""

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import ManualClock, SystemClock
from bridge.core.destination import DestinationPolicy
from bridge.deliver import Deliverer, DeliveryLimits
from bridge.egress import Egress
from tests.consuming import Running

ALMOST_ONE = 1 - 2**-53


def deliverer(
    engine: AsyncEngine,
    egress: Egress,
    clock: ManualClock | SystemClock,
    *policies: DestinationPolicy,
    limits: DeliveryLimits | None = None,
) -> Deliverer:
    return Deliverer(engine, egress, clock, policies=policies, jitter=lambda: ALMOST_ONE, limits=limits)


async def cursor(engine: AsyncEngine, name: str = "ledger", stream: str = "pb.events") -> Row[tuple[object, ...]]:
    statement = text(
        "SELECT c.* FROM cursors c JOIN destinations d ON d.id = c.destination_id"
        " JOIN streams s ON s.id = c.stream_id WHERE d.name = :name AND s.name = :stream"
    )
    async with engine.connect() as conn:
        return (await conn.execute(statement, {"name": name, "stream": stream})).one()


async def history(engine: AsyncEngine) -> list[tuple[object, ...]]:
    async with engine.connect() as conn:
        rows = await conn.execute(text("SELECT outcome, first, last, entries, status FROM attempts ORDER BY id"))
        return [tuple(row) for row in rows.all()]


def assert_faultless(running: Running, *, last: int, stream: str = "pb.events") -> None:
    record = running.record(stream)
    assert list(record.held) == list(range(1, last + 1))
    assert (record.out_of_order, record.missing, record.breaks) == (0, 0, 0)
    assert (record.chain_failures, record.digest_failures, running.consumer.signature_failures) == (0, 0, 0)
