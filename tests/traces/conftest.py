"""A consumer on a real socket, and the way to it."""

from collections.abc import AsyncIterator

import pytest

from bridge.clock import SystemClock
from bridge.egress import HttpEgress


@pytest.fixture
async def egress() -> AsyncIterator[HttpEgress]:
    async with HttpEgress(SystemClock()) as made:
        yield made
