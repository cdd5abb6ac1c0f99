"""What a process measures: what it answered for itself alone, and everything else for all of them.

One ``Metrics`` a process and no global registry. How deliveries were answered is the process's own, because only it
knows the time of each and it is asked itself. Whatever a worker does is counted in rows, so that
nobody need reach a worker.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from bridge import measures
from bridge.core.latency import bounded
from bridge.counting import Counting
from bridge.store import counters
from bridge.store.measured import Measured

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """One process's measurements. ``counting`` holds what is not told to the others yet."""

    def __init__(self) -> None:
        # A series more for each counter and histogram, with a time at which nobody looks.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types here
        self.counting = Counting()
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "bridge_webhook_requests",
            "Deliveries answered, by status.",
            ["source", "status"],
            registry=self._registry,
        )
        self._door = Histogram(
            "bridge_webhook_seconds",
            "From a delivery's arrival to its answer.",
            ["source"],
            buckets=SECONDS,
            registry=self._registry,
        )
        # Looking a label set up takes a lock and three times as long as counting.
        self._requests_of: dict[tuple[str, int], Counter] = {}
        self._door_of: dict[str, Histogram] = {}

    def observe(self, source: str, status: int, seconds: float) -> None:
        """A delivery of ``source`` was answered with ``status``; 499 is one whose sender left."""
        requests = self._requests_of.get((source, status))
        if requests is None:
            requests = self._requests_of[source, status] = self._requests.labels(source, str(status))
        requests.inc()
        door = self._door_of.get(source)
        if door is None:
            door = self._door_of[source] = self._door.labels(source)
        door.observe(seconds)

    def attempted(self, destination: str, outcome: str) -> None:
        """An attempt ended as ``accepted``, ``refused`` or ``unknown``."""
        self.counting.add(counters.ATTEMPTS, destination, outcome)

    def delivered(self, destination: str, latency: Mapping[int, int], waited_s: float) -> None:
        """Entries were accepted, so many in each bucket of ``bridge.core.latency``, after ``waited_s`` in all."""
        if not latency:
            return
        for bucket, count in latency.items():
            self.counting.add(counters.LATENCY, destination, measures.boundary(bounded(bucket)), count)
        self.counting.add(counters.LATENCY, destination, measures.LATENCY_SUM, waited_s)

    def remarked(self, stream: str, remarks: Mapping[str, int]) -> None:
        """So many entries of each kind were appended that are no plain events."""
        for kind, count in remarks.items():
            self.counting.add(counters.REMARKS, stream, kind, count)

    def noticed(self, channel: str, outcome: str) -> None:
        """A notice was ``told``, ``failed``, or was ``given_up``."""
        self.counting.add(counters.NOTICES, channel, outcome)

    def render(self, measured: Measured | None, *, now: datetime) -> bytes:
        """Everything as text; without ``measured``, that the database could not be asked."""
        rows = CollectorRegistry(auto_describe=False)
        rows.register(_Rows(measured, now))
        return generate_latest(self._registry) + generate_latest(rows)


class _Rows(Collector):
    """What the rows say at one moment."""

    def __init__(self, measured: Measured | None, now: datetime) -> None:
        self._measured = measured
        self._now = now

    def collect(self) -> Iterator[Metric]:
        return measures.told(self._measured, self._now)
