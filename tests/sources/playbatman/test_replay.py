"""The replay and the registration, asked of the simulated venue over HTTP without a network."""

import json

import httpx
import pytest

from bridge.clock import ManualClock
from bridge.core.errors import VenueError
from bridge.sim.playbatman import API_KEY, Delivery, Venue, rest_app
from bridge.sources.base import KeyRefused, Page
from bridge.sources.playbatman.source import PlayBatman, PlayBatmanOptions
from bridge.sources.rest import RestLimits
from tests.sim.support import START, venue_with

LIMITS = RestLimits(backoff_first_s=0.5, attempts_max=6)


def source_of(venue: Venue, clock: ManualClock, *, key: str = API_KEY) -> PlayBatman:
    options = PlayBatmanOptions(name="pb", rest_url="http://venue.test", api_key=key, rest=LIMITS)
    transport = httpx.ASGITransport(app=rest_app(venue, clock=clock))
    return PlayBatman(options, clock=clock, jitter=lambda: 0.9, transport=transport)


async def walk(source: PlayBatman, limit: int) -> list[Page]:
    pages: list[Page] = []
    since: int | None = None
    while not pages or pages[-1].events:
        pages.append(await source.replay.page(since=since, limit=limit))
        since = pages[-1].events[-1].sequence if pages[-1].events else since
    return pages


def numbers(pages: list[Page]) -> list[int | None]:
    return [event.sequence for page in pages for event in page.events]


async def test_paging_to_the_end_reads_what_the_venue_assigned() -> None:
    venue, clock = venue_with(), ManualClock(START)
    venue.emit(START, 250)
    pages = await walk(source_of(venue, clock), 100)
    assert numbers(pages) == [row.sequence for row in venue.assigned()]
    assert [page.rows for page in pages] == [100, 100, 50, 0]
    assert [page.more for page in pages] == [True, True, False, False]
    assert {page.venue_now for page in pages} == {START}


async def test_a_row_is_read_as_the_venue_holds_it() -> None:
    venue, clock = venue_with(), ManualClock(START)
    venue.emit(START, 40)
    page = await source_of(venue, clock).replay.page(since=None, limit=1000)
    assert [(event.event_id, event.type, event.key) for event in page.events] == [
        (row.event_id, row.event_type, row.market_id) for row in venue.assigned()
    ]
    assert [json.loads(event.payload) for event in page.events] == [
        json.loads(row.payload) for row in venue.assigned()
    ]
    assert [event.occurred_at for event in page.events] == [row.created_at for row in venue.assigned()]


async def test_a_venue_that_fails_and_throttles_is_read_all_the_same() -> None:
    venue, clock = venue_with(error_rate=0.3, throttle_rate=0.2, throttle_retry_after_s=3), ManualClock(START)
    venue.emit(START, 250)
    assert numbers(await walk(source_of(venue, clock), 50)) == [row.sequence for row in venue.assigned()]
    assert clock.monotonic() > 3


async def test_a_wrong_key_is_told_apart() -> None:
    with pytest.raises(KeyRefused):
        await source_of(venue_with(), ManualClock(START), key="wrong").replay.page(since=None, limit=10)


async def test_a_registered_webhook_comes_with_the_secret_that_signs_for_it() -> None:
    venue, clock = venue_with(), ManualClock(START)
    made = await source_of(venue, clock).register_webhook("https://bridge.test/in/pb", ["ORDER_MATCHED"], "ours")
    assert made.id
    assert made.secret
    assert made.secret not in repr(made)
    due: list[Delivery] = []
    while not due:
        clock.advance(1)
        venue.emit(clock.now(), 10)
        ready = venue.deliveries_due(clock.now())
        due = [delivery for delivery in ready if delivery.webhook.webhook_id == made.id]
    assert {delivery.webhook.secret for delivery in due} == {made.secret}
    assert {delivery.webhook.url for delivery in due} == {"https://bridge.test/in/pb"}
    assert {delivery.row.event_type for delivery in due} == {"ORDER_MATCHED"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"success":true,"data":{}}', b'{"success":false,"data":{"id":"1","secret":"s"}}', b"<html>"],
)
async def test_a_registration_that_is_not_confirmed_is_an_error(body: bytes) -> None:
    options = PlayBatmanOptions(name="pb", rest_url="http://venue.test", api_key="k")
    transport = httpx.MockTransport(lambda request: httpx.Response(201, content=body))
    source = PlayBatman(options, clock=ManualClock(START), jitter=lambda: 0.5, transport=transport)
    with pytest.raises(VenueError):
        await source.register_webhook("https://bridge.test/in/pb")


def test_options_do_not_show_the_key() -> None:
    assert "k3y" not in repr(PlayBatmanOptions(name="pb", rest_url="http://venue.test", api_key="k3y"))
