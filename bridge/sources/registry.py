"""Which venue's source a configured connection becomes: the only file that knows every venue."""

from collections.abc import Callable

import httpx

from bridge.clock import Clock
from bridge.sources.loud import Loud
from bridge.sources.playbatman.source import PlayBatman, PlayBatmanOptions

SourceOptions = PlayBatmanOptions
"""What any venue's source can be told; a further venue joins this union with a class of its own."""


def open_source(
    options: SourceOptions,
    *,
    clock: Clock,
    jitter: Callable[[], float],
    loud: Loud | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> PlayBatman:
    """The source that ``options`` describe; close it when done. ``transport`` replaces its REST side's network."""
    return PlayBatman(options, clock=clock, jitter=jitter, loud=loud, transport=transport)
