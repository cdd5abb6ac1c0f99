"""A configured source opened for the length of one command."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.clock import Clock
from bridge.config.playbatman import PlayBatman as NumberedSource
from bridge.sources.playbatman.source import PlayBatman
from bridge.wiring.playbatman import options_of


@asynccontextmanager
async def opened(configured: NumberedSource, clock: Clock) -> AsyncIterator[PlayBatman]:
    """The source, closed after the block."""
    source = PlayBatman(options_of(configured), clock=clock, jitter=random.SystemRandom().random)
    try:
        yield source
    finally:
        await source.close()
