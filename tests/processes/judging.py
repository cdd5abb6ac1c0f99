"""What must be true of the database and of a consumer in the end, held against what the venue assigned."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.core.chain import ORIGIN, link
from bridge.core.event import Kind, LogEntry
from bridge.sim.consumer import Record
from bridge.store import log, streams
from bridge.store.streams import Stream
from tests.processes.carrier import Carried

STREAM = "pb.events"
SLICE = 1000


async def stream_of(engine: AsyncEngine) -> Stream | None:
    async with engine.connect() as connection:
        return await streams.read(connection, STREAM)


async def is_complete(engine: AsyncEngine, head: int) -> bool:
    """Whether the frontier has passed ``head`` and no gap is open."""
    stream = await stream_of(engine)
    return stream is not None and (stream.frontier or 0) > head and stream.gaps_open == 0


async def entries_of(engine: AsyncEngine) -> list[LogEntry]:
    """The whole log; its positions are dense and its chain recomputes."""
    stream = await stream_of(engine)
    assert stream is not None
    entries: list[LogEntry] = []
    async with engine.connect() as connection:
        while more := await log.read(connection, stream_id=stream.id, stream=STREAM, after=len(entries), limit=SLICE):
            entries += more
    assert [entry.position for entry in entries] == list(range(1, stream.position + 1))
    chain = ORIGIN
    for entry in entries:
        chain = link(chain, entry.position, entry.kind, entry.epoch, entry.sequence, entry.digest)
        assert entry.chain == chain, f"the chain breaks at {entry.position}"
    assert stream.chain == chain
    return entries


def check_log(entries: Iterable[LogEntry], truth: Iterable[dict[str, Any]]) -> None:
    """Every row that the venue assigned, once, in order, with its content; and nothing else."""
    told = [(entry.kind, entry.sequence, entry.digest.hex()) for entry in entries]
    assert told == [(Kind.EVENT, row["sequence"], row["sha256"]) for row in truth]


async def check_accepted(engine: AsyncEngine, accepted: Iterable[Carried]) -> None:
    """Everything that was answered 202 is stored: by its number, or as a sighting by its id."""
    async with engine.connect() as connection:
        numbers = set((await connection.execute(text("SELECT sequence FROM events e JOIN streams s"
            " ON s.id = e.stream_id WHERE s.name = :name"), {"name": STREAM})).scalars())  # fmt: skip
        sighted = set((await connection.execute(text("SELECT event_id FROM sightings"))).scalars())
    gone = [
        delivery
        for delivery in accepted
        if (delivery.sequence not in numbers if delivery.sequence is not None else delivery.id not in sighted)
    ]
    assert gone == []


def check_prefix(record: Record, entries: list[LogEntry]) -> None:
    """What the consumer acknowledged is a prefix of the log; duplicates are allowed, nothing else is."""
    held = [(position, entry.chain) for position, entry in record.held.items()]
    assert held == [(entry.position, entry.chain.hex()) for entry in entries[: len(held)]]
    faults = (record.missing, record.breaks, record.out_of_order, record.chain_failures, record.digest_failures)
    assert faults == (0, 0, 0, 0, 0)
