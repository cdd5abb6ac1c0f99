"""What is measured, as Prometheus reads it: the process's own counters, and rows read when they are asked for.

One ``Metrics`` a process and no global registry. Labels hold configured names and fixed words only, so that
nobody outside can make series grow.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from bridge.store.connections import STATES
from bridge.store.overview import Overview
from bridge.store.stance import Stance
from bridge.store.streams import Stream

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """One process's measurements."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
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
        self._attempts = Counter(
            "bridge_delivery_attempts",
            "Attempts to deliver, by outcome.",
            ["destination", "outcome"],
            registry=self._registry,
        )
        self._attempt_seconds = Histogram(
            "bridge_delivery_seconds",
            "How long attempts to deliver took.",
            ["destination"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._remarks = Counter(
            "bridge_stream_remarks",
            "Entries this process appended that are no plain events, by kind: gap, late, conflict and so on.",
            ["stream", "kind"],
            registry=self._registry,
        )
        self._notices = Counter(
            "bridge_alert_notices",
            "Attempts to tell people of alerts: told, failed, given_up.",
            ["channel", "outcome"],
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

    def delivered(self, destination: str, outcome: str, seconds: float) -> None:
        """An attempt ended as ``accepted``, ``refused`` or ``unknown``."""
        self._attempts.labels(destination, outcome).inc()
        self._attempt_seconds.labels(destination).observe(seconds)

    def remarked(self, stream: str, remarks: Mapping[str, int]) -> None:
        """So many entries of each kind were appended that are no plain events."""
        for kind, count in remarks.items():
            self._remarks.labels(stream, kind).inc(count)

    def noticed(self, channel: str, outcome: str) -> None:
        """A notice was ``told``, ``failed``, or was ``given_up``."""
        self._notices.labels(channel, outcome).inc()

    def render(self, overview: Overview | None, *, now: datetime) -> bytes:
        """Everything as text; without an ``overview``, that the database could not be asked."""
        rows = CollectorRegistry(auto_describe=False)
        rows.register(_Rows(overview, now))
        return generate_latest(self._registry) + generate_latest(rows)


class _Rows(Collector):
    """The series of one overview."""

    def __init__(self, overview: Overview | None, now: datetime) -> None:
        self._overview = overview
        self._now = now

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("bridge_database_up", "Whether the database could be asked just now.")
        up.add_metric([], 0 if self._overview is None else 1)
        yield up
        if self._overview is not None:
            yield from _streams(self._overview, self._now)
            yield from _heard(self._overview)
            yield from _sockets(self._overview, self._now)
            yield from _deliveries(self._overview, self._now)
            yield from _alerts(self._overview)


def _gauge(name: str, words: str, labels: str, rows: list[tuple[list[str], float | None]]) -> GaugeMetricFamily:
    """A gauge with the rows that have a value."""
    gauge = GaugeMetricFamily(name, words, labels=labels.split())
    for values, value in rows:
        if value is not None:
            gauge.add_metric(values, value)
    return gauge


def _streams(overview: Overview, now: datetime) -> Iterator[Metric]:
    def of(name: str, words: str, value: "dict[str, float | None]") -> Metric:
        return _gauge(f"bridge_stream_{name}", words, "stream", [([stream], one) for stream, one in value.items()])

    all_streams = overview.streams
    yield of("epoch", "The epoch of the numbering.", {s.name: s.epoch for s in all_streams})
    yield of("frontier", "The first number that is not proven.", {s.name: s.frontier for s in all_streams})
    yield of("head", "The highest number known to exist.", {s.name: s.head for s in all_streams})
    yield of("position", "The last position of the log.", {s.name: s.position for s in all_streams})
    yield of(
        "lag",
        "Numbers up to the head that are not proven.",
        {one.stream.name: one.lag for one in overview.stances},
    )
    yield of(
        "frontier_lag_seconds",
        "How far a frontier in venue time is behind.",
        {one.stream.name: one.lag_s(now) for one in overview.stances},
    )
    yield of(
        "stalled_seconds",
        "Since when the frontier waits at a hole.",
        {s.name: (now - s.stalled_at).total_seconds() if _waits(s) and s.stalled_at else 0.0 for s in all_streams},
    )
    yield of(
        "suspect",
        "1 while the numbering is in doubt.",
        {s.name: float(s.suspect_at is not None) for s in all_streams},
    )
    yield of("settle_seconds", "How long after its number a read proves.", {s.name: s.settle_s for s in all_streams})
    yield of("sightings_unmatched", "Deliveries that wait for a number.", {s.name: s.unmatched for s in all_streams})
    yield from _gaps(overview.stances, now)
    dropped = CounterMetricFamily(
        "bridge_stream_dropped", "Events that found no room and were asked for again.", labels=["stream"]
    )
    for one in overview.stances:
        if one.follow is not None and one.axis == "time":
            dropped.add_metric([one.stream.name], one.follow.dropped)
    yield dropped


def _gaps(stances: Sequence[Stance], now: datetime) -> Iterator[Metric]:
    """Open gaps. A stream has one axis, so the label adds no series."""
    both = "stream axis"
    yield _gauge(
        "bridge_stream_gaps_open",
        "Open gaps, as spans: of the venue's numbers, or of its time.",
        both,
        [([one.stream.name, one.axis], 0 if one.gaps is None else one.gaps.spans) for one in stances],
    )
    yield _gauge(
        "bridge_stream_gap_oldest_seconds",
        "Age of the oldest open gap.",
        both,
        [
            ([one.stream.name, one.axis], (now - one.gaps.oldest_at).total_seconds())
            for one in stances
            if one.gaps is not None
        ],
    )
    yield _gauge(
        "bridge_stream_gap_deadline_seconds",
        "Until the nearest open gap can no longer be asked for.",
        both,
        [
            ([one.stream.name, one.axis], (one.gaps.deadline_at - now).total_seconds())
            for one in stances
            if one.gaps is not None and one.gaps.deadline_at is not None
        ],
    )


def _waits(stream: Stream) -> bool:
    return stream.frontier is not None and stream.head >= stream.frontier


def _heard(overview: Overview) -> Iterator[Metric]:
    names = {stream.id: stream.name for stream in overview.streams}
    events = CounterMetricFamily("bridge_events_heard", "Tellings of events.", labels=["stream", "transport"])
    first = CounterMetricFamily(
        "bridge_events_first", "Events this was the first to tell.", labels=["stream", "transport"]
    )
    for (stream_id, transport), heard in overview.heard.items():
        if stream_id in names:
            events.add_metric([names[stream_id], transport], heard.events)
            first.add_metric([names[stream_id], transport], heard.first)
    yield events
    yield first


def _sockets(overview: Overview, now: datetime) -> Iterator[Metric]:
    rows: list[tuple[list[str], float | None]] = [
        ([connection.source, state], float(connection.state_at(now) == state))
        for connection in overview.connections
        for state in STATES
    ]
    yield _gauge("bridge_socket_state", "1 for the state that a source's socket is in.", "source state", rows)


def _deliveries(overview: Overview, now: datetime) -> Iterator[Metric]:
    stopped: list[tuple[list[str], float | None]] = [
        ([one.name], float(one.state == "stopped")) for one in overview.destinations
    ]
    yield _gauge("bridge_destination_stopped", "1 for a destination that said it is gone.", "destination", stopped)
    cursors = overview.cursors
    both = "destination stream"
    yield _gauge(
        "bridge_delivery_backlog",
        "Log entries that the destination has not taken.",
        both,
        [([one.destination, one.stream], one.behind) for one in cursors],
    )
    yield _gauge(
        "bridge_delivery_oldest_seconds",
        "Age of the oldest log entry that the destination has not taken.",
        both,
        [
            ([one.destination, one.stream], 0.0 if one.oldest_at is None else (now - one.oldest_at).total_seconds())
            for one in cursors
        ],
    )
    yield _gauge(
        "bridge_delivery_failures",
        "Failed attempts in a row.",
        both,
        [([one.destination, one.stream], one.failures) for one in cursors],
    )


def _alerts(overview: Overview) -> Iterator[Metric]:
    """The rules are as many as there are in the code, the channels as many as are configured."""
    yield _gauge(
        "bridge_alerts_firing",
        "Open alerts.",
        "rule severity",
        [([rule, severity], count) for (rule, severity), count in overview.firing.items()],
    )
    yield _gauge(
        "bridge_alert_notices_waiting",
        "Notices that the channel has not taken.",
        "channel",
        [([channel], count) for channel, count in overview.untold.items()],
    )
