"""The series that are read from rows: names, meanings and labels, as ``docs/metrics.md`` explains them.

Labels hold configured names and fixed words only, so that nobody outside can make series grow. A single stream has
series of its own as long as there is room for it; what is said of all streams together is said of all.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from prometheus_client.core import Metric

from bridge.core.event import Kind
from bridge.core.latency import BOUNDS_S
from bridge.store import counters
from bridge.store.connections import STATES
from bridge.store.counters import Key
from bridge.store.measured import Measured, StreamFigures

Labels = dict[str, str]
Sample = tuple[Labels, float | None]
"""Without a value there is no sample."""
OUTCOMES = ("accepted", "refused", "unknown")
LATENCY_SUM = "sum"
"""The kind of a counter of latencies that holds their sum; the others are boundaries in seconds."""


def boundary(bound_s: float) -> str:
    """A boundary of a histogram as its label has it."""
    return "+Inf" if bound_s == math.inf else f"{bound_s:g}"


BOUNDARIES = tuple(boundary(bound_s) for bound_s in (*BOUNDS_S, math.inf))


def told(measured: Measured | None, now: datetime) -> Iterator[Metric]:
    """Everything that the rows say; without ``measured``, that the database could not be asked."""
    up = int(measured is not None)
    yield family("bridge_database_up", "gauge", "Whether the database could be asked just now.", [({}, up)])
    if measured is None:
        return
    for part in (_whole, _streams, _stream_gaps, _sources, _budgets, _destinations, _alerts):
        yield from (metric for metric in part(measured, now) if metric.samples)


def labels(**pairs: str) -> Labels:
    return pairs


def family(name: str, kind: str, words: str, samples: Iterable[Sample]) -> Metric:
    """One metric with all its samples: ``kind`` is ``gauge`` or ``counter``."""
    metric = Metric(name.removesuffix("_total"), words, kind)
    for where, value in samples:
        if value is not None:
            metric.add_sample(name, where, value)
    return metric


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())


def _left(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else (moment - now).total_seconds()


def _whole(measured: Measured, now: datetime) -> Iterator[Metric]:
    """All streams together, however many there are."""
    totals, gaps = measured.totals, measured.gaps

    def gauge(name: str, words: str, value: float | None) -> Metric:
        return family(f"bridge_{name}", "gauge", words, [({}, value)])

    yield gauge("database_bytes", "The size of the database.", measured.database_bytes)
    yield gauge("streams", "Streams.", totals.streams)
    yield gauge(
        "streams_left_out", "Streams that have no series of their own here.", totals.streams - len(measured.streams)
    )
    yield gauge("streams_suspect", "Streams whose numbering is in doubt.", totals.suspect)
    yield gauge(
        "frontier_lag_seconds",
        "The longest that a stream's frontier is behind.",
        _age(totals.behind_since, now) or 0.0,
    )
    by_age = [(labels(age=age), count) for age, count in gaps.by_age.items()]
    yield family("bridge_gaps_open", "gauge", "Open gaps, by how old they are at most.", by_age)
    yield gauge("gap_oldest_seconds", "Age of the oldest open gap.", _age(gaps.oldest_at, now) or 0.0)
    yield gauge(
        "gap_deadline_seconds",
        "Until the nearest open gap can no longer be asked for.",
        _left(gaps.deadline_at, now),
    )
    # A count that begins at 0 has grown when it is 1; one that begins at 1 has not.
    told = {kind.value: 0.0 for kind in Kind if kind is not Kind.EVENT} | dict(measured.remarks)
    remarks = [(labels(kind=kind), count) for kind, count in told.items()]
    yield family("bridge_remarks_total", "counter", "Entries that are no plain events, by kind.", remarks)


def _streams(measured: Measured, now: datetime) -> Iterator[Metric]:
    where = {one.id: labels(stream=one.name) for one in measured.streams}

    def of(name: str, words: str, value: Callable[[StreamFigures], float | None], kind: str = "gauge") -> Metric:
        samples = [(where[one.id], value(one)) for one in measured.streams]
        return family(f"bridge_stream_{name}", kind, words, samples)

    yield of(
        "frontier_lag_seconds",
        "How long the frontier is behind: waiting at a hole, or in venue time.",
        lambda one: (_age(one.behind_since, now) or 0.0) if one.is_asked_for else None,
    )
    yield of("lag", "Numbers up to the head that are not proven.", lambda one: one.lag)
    yield of("position", "The last position of the log.", lambda one: one.position)
    yield of("suspect", "1 while the numbering is in doubt.", lambda one: int(one.suspect))
    yield of("sightings_unmatched", "Deliveries that wait for a number.", lambda one: one.unmatched)
    words = "Age of the oldest delivery that waits for a number."
    yield of("sighting_oldest_seconds", words, lambda one: _age(one.unmatched_since, now))
    words = "Events that found no room and were asked for again."
    yield of("dropped_total", words, lambda one: one.dropped, "counter")
    names = {one.id: one.name for one in measured.streams}
    heard = [(labels(stream=names[key], transport=way), count) for (key, way), count in measured.heard.items()]
    yield family("bridge_stream_heard_total", "counter", "Tellings of events.", heard)
    yield family(
        "bridge_stream_remarks_total",
        "counter",
        "Entries that are no plain events, by kind: gap, late, conflict and so on.",
        _counted(measured, counters.REMARKS, "stream", "kind"),
    )


def _stream_gaps(measured: Measured, now: datetime) -> Iterator[Metric]:
    """Open gaps. A stream has one axis, so the label adds no series."""
    where = {
        one.id: labels(stream=one.name, axis="sequence" if one.numbering == "venue" else "time")
        for one in measured.streams
    }

    def of(name: str, words: str, value: Callable[[StreamFigures], float | None]) -> Metric:
        samples = [(where[one.id], value(one)) for one in measured.streams]
        return family(f"bridge_stream_{name}", "gauge", words, samples)

    yield of("gaps_open", "Open gaps, as spans: of the venue's numbers, or of its time.", lambda one: one.gaps)
    yield of("gap_oldest_seconds", "Age of the oldest open gap.", lambda one: _age(one.oldest_at, now))
    yield of(
        "gap_deadline_seconds",
        "Until the nearest open gap can no longer be asked for.",
        lambda one: _left(one.deadline_at, now),
    )


def _sources(measured: Measured, now: datetime) -> Iterator[Metric]:
    attended = [(labels(source=name), int(held)) for name, held in measured.attended.items()]
    yield family("bridge_source_attended", "gauge", "1 while a worker holds the source.", attended)
    where = [(labels(source=one.source, transport=one.transport), one) for one in measured.sources]
    words = "Tellings of events by the source's streams."
    yield family("bridge_source_heard_total", "counter", words, [(at, one.events) for at, one in where])
    words = "Events that this transport was the first to tell."
    yield family("bridge_source_heard_first_total", "counter", words, [(at, one.first) for at, one in where])
    words = "Since the source last told something this way."
    yield family("bridge_source_quiet_seconds", "gauge", words, [(at, _age(one.last_at, now)) for at, one in where])
    states: list[Sample] = [
        (labels(source=one.source, state=state), int(one.state_at(now) == state))
        for one in measured.connections
        for state in STATES
    ]
    yield family("bridge_socket_state", "gauge", "1 for the state that a source's socket is in.", states)


def _budgets(measured: Measured, now: datetime) -> Iterator[Metric]:
    where = [(labels(source=one.source, budget=one.name), one) for one in measured.budgets if one.attended(now)]
    words = "Calls that the venue's quota leaves at once."
    yield family("bridge_upstream_budget_left", "gauge", words, [(at, one.tokens) for at, one in where])
    words = "The most calls that are made at once."
    yield family("bridge_upstream_budget_burst", "gauge", words, [(at, one.burst) for at, one in where])
    words = "How long the venue wants to be left alone."
    yield family(
        "bridge_upstream_budget_paused_seconds", "gauge", words, [(at, one.paused_s(now)) for at, one in where]
    )


def _destinations(measured: Measured, now: datetime) -> Iterator[Metric]:
    takers = [(labels(destination=one.name), one) for one in measured.takers]
    yield family(
        "bridge_destinations_left_out",
        "gauge",
        "Destinations that have no series here.",
        [({}, measured.destinations - len(takers))],
    )
    words = "1 for a destination that is stopped."
    yield family(
        "bridge_destination_stopped", "gauge", words, [(at, int(one.state == "stopped")) for at, one in takers]
    )
    words = "1 for a destination that is paused."
    yield family(
        "bridge_destination_paused", "gauge", words, [(at, int(one.state == "paused")) for at, one in takers]
    )
    words = "Log entries that the destination has not taken."
    yield family("bridge_delivery_backlog", "gauge", words, [(at, one.behind) for at, one in takers])
    words = "Age of the oldest log entry that the destination has not taken."
    ages = [(at, _age(one.oldest_at, now) or 0.0) for at, one in takers]
    yield family("bridge_delivery_oldest_seconds", "gauge", words, ages)
    words = "Streams whose last attempt failed."
    yield family("bridge_delivery_streams_failing", "gauge", words, [(at, one.failing) for at, one in takers])
    attempts = [
        (
            labels(destination=one.name, outcome=word),
            measured.counted.get(Key(counters.ATTEMPTS, one.name, word), 0.0),
        )
        for _, one in takers
        for word in OUTCOMES
    ]
    yield family("bridge_delivery_attempts_total", "counter", "Attempts to deliver, by outcome.", attempts)
    words = "From hearing an entry to its being accepted."
    latency = Metric("bridge_delivery_latency_seconds", words, "histogram")
    for suffix, where, value in _latencies(measured):
        latency.add_sample(f"{latency.name}{suffix}", where, value)
    yield latency


def _latencies(measured: Measured) -> Iterator[tuple[str, Labels, float]]:
    """A histogram for each destination to which something was delivered: counts up to each boundary."""
    counted: dict[str, dict[str, float]] = {}
    for key, count in measured.counted.items():
        if key.series == counters.LATENCY:
            counted.setdefault(key.subject, {})[key.kind] = count
    for name, of_name in counted.items():
        passed = 0.0
        for bound in BOUNDARIES:
            passed += of_name.get(bound, 0.0)
            yield "_bucket", labels(destination=name, le=bound), passed
        yield "_sum", labels(destination=name), of_name.get(LATENCY_SUM, 0.0)
        yield "_count", labels(destination=name), passed


def _alerts(measured: Measured, _now: datetime) -> Iterator[Metric]:
    """The rules are as many as there are in the code, the channels as many as are configured."""
    firing = [(labels(rule=rule, severity=severity), count) for (rule, severity), count in measured.firing.items()]
    yield family("bridge_alerts_firing", "gauge", "Open alerts.", firing)
    waiting = [(labels(channel=channel), count) for channel, count in measured.untold.items()]
    yield family("bridge_alert_notices_waiting", "gauge", "Notices that the channel has not taken.", waiting)
    yield family(
        "bridge_alert_notices_total",
        "counter",
        "Attempts to tell people of alerts: told, failed, given_up.",
        _counted(measured, counters.NOTICES, "channel", "outcome"),
    )


def _counted(measured: Measured, series: str, subject: str, kind: str) -> Iterable[Sample]:
    """The counters of a series, under the names that their subject and kind have as labels."""
    return [
        (labels(**{subject: key.subject, kind: key.kind}), count)
        for key, count in measured.counted.items()
        if key.series == series
    ]
