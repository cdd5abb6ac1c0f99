"""A clock that stands, an egress, and a consumer on a real socket."""

from collections.abc import AsyncIterator

import pytest

from bridge.clock import ManualClock
from bridge.egress import HttpEgress
from tests.consuming import Running, consuming
from tests.logs import START


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def egress(clock: ManualClock) -> AsyncIterator[HttpEgress]:
    async with HttpEgress(clock) as made:
        yield made


@pytest.fixture
async def ledger(clock: ManualClock) -> AsyncIterator[Running]:
    async with consuming(clock) as running:
        yield running
