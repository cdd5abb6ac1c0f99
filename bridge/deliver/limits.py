"""The bounds of delivery, and what its parts work with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.core.delivery import Outcome
from bridge.core.destination import DestinationPolicy
from bridge.core.event import LogEntry
from bridge.deliver.throttle import Throttle
from bridge.egress import Egress


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """How much at once and how long.

    What was acknowledged is settled after ``unsettled_max`` entries or ``settle_every_s``. A lease lasts for the
    destination's ``timeout_s`` and ``lease_margin_s`` beyond it, and is renewed every ``renew_every_s`` between
    posts. A pump stays on its cursor for ``linger_s`` without news. One row of history covers up to ``run_s``, and is
    written every ``record_every_s``.

    Raises:
        ValueError: a lease could end while its holder posts or waits.
    """

    slice_max: int = 256
    unsettled_max: int = 500
    settle_every_s: float = 1.0
    renew_every_s: float = 2.0
    linger_s: float = 1.0
    lease_margin_s: float = 5.0
    run_s: float = 60.0
    record_every_s: float = 5.0
    poll_s: float = 1.0
    quiet_s: float = 0.05
    pumps_per_destination_max: int = 64

    def __post_init__(self) -> None:
        if self.lease_margin_s <= self.renew_every_s + max(self.linger_s, self.settle_every_s):
            raise ValueError("lease_margin_s must exceed renew_every_s and linger_s together")

    def lease(self, policy: DestinationPolicy) -> timedelta:
        return timedelta(seconds=policy.timeout_s + self.lease_margin_s)


class Observe(Protocol):
    """Who is told of what goes out, to count it."""

    def attempted(self, destination: str, outcome: str) -> None:
        """An attempt ended as ``accepted``, ``refused`` or ``unknown``."""
        ...

    def delivered(self, destination: str, latency: Mapping[int, int], waited_s: float) -> None:
        """Entries were accepted, so many in each bucket of ``bridge.core.latency``, after ``waited_s`` in all."""
        ...


class Unobserved:
    """Nobody is told."""

    def attempted(self, destination: str, outcome: str) -> None:
        return

    def delivered(self, destination: str, latency: Mapping[int, int], waited_s: float) -> None:
        return


class Post(Protocol):
    """One POST as it is traced."""

    @property
    def traceparent(self) -> str:
        """The header that the destination can go on from."""
        ...

    def end(self, word: str, outcome: Outcome) -> None:
        """It came to ``outcome``, which is called ``word``."""
        ...


class Posting(Protocol):
    """Who traces POSTs."""

    def entries(self, destination: str, entries: Sequence[LogEntry], *, attempt: int, at: datetime) -> Post: ...

    def notice(self, destination: str, stream: str, identity: str, *, attempt: int, at: datetime) -> Post: ...


@dataclass(frozen=True, slots=True)
class Means:
    """What a pump works with.

    ``reading`` is the engine without transactions; ``jitter`` gives numbers in [0, 1). ``posting`` traces POSTs,
    where that is wanted.
    """

    engine: AsyncEngine
    reading: AsyncEngine
    egress: Egress
    clock: Clock
    jitter: Callable[[], float]
    limits: DeliveryLimits
    observe: Observe
    throttle: Throttle
    posting: Posting | None = None
