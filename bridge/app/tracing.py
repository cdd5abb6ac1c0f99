"""Whoever writes traces, where the settings want them; where they do not, OpenTelemetry is not even imported."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from bridge.app.parts import DICE
from bridge.clock import Clock
from bridge.config.settings import Settings
from bridge.core.errors import ConfigError
from bridge.core.tracing import Sampling
from bridge.ingest import Committed, Door
from bridge.ingest.followed import Appended, Chapter
from bridge.traces.hearing import Hearing, TracedDoor
from bridge.traces.posting import Posting
from bridge.traces.settling import Settling
from bridge.web.hooks import Note

FLUSH_MAX_S = 5.0
"""A collector that does not answer keeps no process from ending for longer."""


_VARIABLE = re.compile(r"\bOTEL_[A-Z_]+")


async def _nothing_waits(within_s: float) -> None:
    """There is nothing to send."""


@dataclass(frozen=True, slots=True)
class Traces:
    """What each part is given to have itself traced; without any of it, nothing is.

    ``door`` makes the door. ``note`` is told of genuine webhooks, ``committed`` and ``followed`` of what is in a log,
    ``posting`` of what is delivered. ``close`` sends what waits, for so many seconds at most.
    """

    door: Callable[..., Door] = Door
    note: Note | None = None
    committed: Callable[[Committed], None] = lambda committed: None
    followed: Callable[[Appended, Chapter], None] = lambda appended, chapter: None
    posting: Posting | None = None
    close: Callable[[float], Awaitable[None]] = _nothing_waits


def open_traces(settings: Settings, clock: Clock, role: str) -> Traces:
    """As the settings want it. Raises ConfigError."""
    if not settings.traces.enabled:
        return Traces()
    try:
        from bridge.traces.export import Exporter  # noqa: PLC0415 - an extra that need not be installed

        exporter = Exporter(clock, role=role)
    except (ValueError, OSError) as error:
        # Only names: what a variable holds may be a secret.
        named = ", ".join(_VARIABLE.findall(str(error))) or "one of OTEL_BSP_*, OTEL_EXPORTER_OTLP_*"
        raise ConfigError(f"{named}: OpenTelemetry's library cannot use it") from None
    sampling = Sampling.of(settings.traces.sample)

    async def close(within_s: float) -> None:
        await exporter.close(within_s=min(FLUSH_MAX_S, max(0.0, within_s)))

    hearing, settling = Hearing(sampling, exporter, clock), Settling(sampling, exporter, clock)
    return Traces(
        door=partial(TracedDoor, hearing),
        note=hearing.note,
        committed=settling.committed,
        followed=settling.followed,
        posting=Posting(sampling, exporter, DICE.getrandbits),
        close=close,
    )
