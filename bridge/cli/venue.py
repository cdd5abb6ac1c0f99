"""A configured source opened for the length of one command."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from bridge.clock import Clock
from bridge.config.playbatman import PlayBatman as NumberedSource
from bridge.sources.playbatman.source import PlayBatman
from bridge.wiring.playbatman import options_of


@asynccontextmanager
async def opened(configured: NumberedSource, clock: Clock, *, quota_share: float = 1.0) -> AsyncIterator[PlayBatman]:
    """The source, closed after the block. It has a quota of its own: a share of the one that is configured."""
    options = options_of(configured)
    rest = replace(options.rest, requests_per_s=options.rest.requests_per_s * quota_share, reserve=0.0)
    source = PlayBatman(replace(options, rest=rest), clock=clock, jitter=random.SystemRandom().random)
    try:
        yield source
    finally:
        await source.close()
