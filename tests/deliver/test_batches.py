"""Several entries in one POST: the same entries, in the same order, with the same proof."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from standardwebhooks.webhooks import Webhook

from bridge.clock import ManualClock, SystemClock
from bridge.core.destination import DestinationPolicy
from bridge.core.signing import encode_secret
from bridge.deliver.parcel import parcels, size_of
from bridge.egress import HttpEgress
from bridge.sim.consumer import Behaviour, Mode
from tests.consuming import KEY, Running
from tests.deliver.sending import assert_faultless, cursor, deliverer, history
from tests.logs import append_events
from tests.posting import OK, answering, peering


async def test_a_batch_holds_what_single_posts_would(
    engine: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    await append_events(engine, "pb.events", 250)
    assert await deliverer(engine, egress, clock, ledger.policy(batch_max=100)).drain() == 250
    assert_faultless(ledger, last=250)
    assert (ledger.consumer.requests, ledger.record().duplicates) == (3, 0)
    assert (await cursor(engine)).position == 250
    assert await history(engine) == [("accepted", 1, 250, 250, None)]


async def test_a_batch_may_be_larger_than_what_is_read_at_once_otherwise(
    engine: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    await append_events(engine, "pb.events", 600)
    assert await deliverer(engine, egress, clock, ledger.policy(batch_max=1_000)).drain() == 600
    assert ledger.consumer.requests == 1


async def test_the_official_library_takes_a_batch_and_its_envelope_says_what_is_in_it(engine: AsyncEngine) -> None:
    await append_events(engine, "pb.events", 3)
    async with peering(answering(OK)) as peer, HttpEgress(SystemClock()) as egress:
        policy = DestinationPolicy("ledger", peer.url, (KEY,), allow_private=True, batch_max=100)
        await deliverer(engine, egress, SystemClock(), policy).drain()
        head, _, content = peer.requests[0].decode().partition("\r\n\r\n")
    given = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])}
    told = Webhook(encode_secret(KEY)).verify(content, given)
    assert [told[name] for name in ("type", "stream", "first", "last")] == ["bridge.batch", "pb.events", 1, 3]
    assert [entry["previous"] for entry in told["entries"]] == [0, 1, 2]
    assert (given["bridge-position"], given["bridge-entries"]) == ("3", "3")
    assert "bridge-sequence" not in given


async def test_previous_goes_on_over_what_a_filter_leaves_out(
    engine: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    for type_ in ("A", "B", "A", "A", "B"):
        await append_events(engine, "pb.events", 1, type_=type_)
    assert await deliverer(engine, egress, clock, ledger.policy(batch_max=2, types=("A",))).drain() == 3
    assert list(ledger.record().held) == [1, 3, 4]
    assert (ledger.record().breaks, ledger.record().missing, ledger.consumer.requests) == (0, 0, 2)
    assert (await cursor(engine)).position == 5


async def test_what_fails_is_tried_again_in_smaller_batches_and_nothing_is_lost_or_doubled(
    engine: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    await append_events(engine, "pb.events", 8)
    ledger.consumer.behave(Behaviour(Mode.FAIL, for_requests=2))
    sender = deliverer(engine, egress, clock, ledger.policy(batch_max=8))
    assert await sender.drain() == 0
    clock.advance(8)
    assert await sender.drain() == 0
    clock.advance(16)
    assert await sender.drain() == 8
    assert_faultless(ledger, last=8)
    assert await history(engine) == [
        ("unknown", 1, 8, 8, 500),
        ("unknown", 1, 4, 4, 500),
        ("accepted", 1, 8, 8, None),
    ]


async def test_a_batch_whose_answer_was_lost_comes_again_and_the_consumer_can_tell(
    engine: AsyncEngine, egress: HttpEgress, clock: ManualClock, ledger: Running
) -> None:
    await append_events(engine, "pb.events", 4)
    ledger.consumer.behave(Behaviour(Mode.LOSE, for_requests=1))
    sender = deliverer(engine, egress, clock, ledger.policy(batch_max=4))
    await sender.drain()
    clock.advance(8)
    await sender.drain()
    assert_faultless(ledger, last=4)
    assert ledger.record().duplicates == 4


@pytest.mark.parametrize("failures, size", [(0, 100), (1, 50), (3, 12), (7, 1), (1_000, 1)])
def test_the_size_halves_with_every_failure(failures: int, size: int) -> None:
    assert size_of(DestinationPolicy("ledger", "http://ledger", (KEY,), batch_max=100), failures) == size


def test_nothing_is_wanted_of_nothing() -> None:
    assert list(parcels((), lambda _entry: True, 10)) == []
