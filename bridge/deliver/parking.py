"""Entries that were laid aside and are wanted again: each goes out on its own, out of its turn."""

import structlog

from bridge.core import envelope
from bridge.core.delivery import Advance
from bridge.core.destination import DestinationPolicy
from bridge.deliver.limits import Means
from bridge.deliver.parcel import Parcel
from bridge.deliver.posting import Poster
from bridge.store import delivery_hours, log, parked
from bridge.store.cursors import Claim
from bridge.store.delivery_hours import Tally
from bridge.store.engine import store_errors
from bridge.store.parked import Due

logger = structlog.get_logger()

AT_ONCE_MAX = 100
FORGOTTEN = "the log keeps it no longer"


async def send_again(means: Means, policies: dict[int, DestinationPolicy]) -> int:
    """Send the parked entries that somebody wants sent again, to the destinations by id; returns how many were."""
    with store_errors():
        async with means.engine.begin() as conn:
            wanted = await parked.take(conn, sorted(policies), limit=AT_ONCE_MAX)
    for due in wanted:
        await _send(means, policies[due.destination_id], due)
    return len(wanted)


async def _send(means: Means, policy: DestinationPolicy, due: Due) -> None:
    with store_errors():
        async with means.reading.connect() as conn:
            found = await log.read(conn, stream_id=due.stream_id, stream=due.stream, after=due.position - 1, limit=1)
    if not found:
        await _failed(means, due, Tally(), status=None, error=FORGOTTEN)
        return
    claim = Claim(due.destination_id, due.stream_id, due.stream, 0, 0, 0, 0)
    single = envelope.body(found[0], previous=None)
    parcel = Parcel((found[0],), due.position)
    content = envelope.batch([single], parcel.entries) if policy.batch_max > 1 else single
    tried = await Poster(claim, policy, means).send(parcel, content, failures=due.attempts - 1)
    now, tally = means.clock.now(), Tally()
    if isinstance(tried.decision, Advance):
        tally.accept([found[0].received_at], now, first_try=False)
        with store_errors():
            async with means.engine.begin() as conn:
                # The cursor first, as whoever forgets a log locks them.
                await delivery_hours.add(conn, due.destination_id, due.stream_id, tally, now=now)
                await parked.redelivered(conn, due, now=now)
        means.observe.delivered(policy.name, tally.latency, tally.waited_s)
        logger.info("delivery.redelivered", destination=policy.name, stream=due.stream, position=due.position)
        return
    tally.fail()
    await _failed(means, due, tally, status=tried.decision.status, error=tried.decision.error)


async def _failed(means: Means, due: Due, tally: Tally, *, status: int | None, error: str) -> None:
    with store_errors():
        async with means.engine.begin() as conn:
            await delivery_hours.add(conn, due.destination_id, due.stream_id, tally, now=means.clock.now())
            await parked.failed(conn, due, status=status, error=error)
