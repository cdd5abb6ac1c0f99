"""Ids of traces are a function of what every process knows; the header is read strictly and written as W3C says."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.event import Kind, LogEntry, Transport
from bridge.core.tracing import (
    Remote,
    Sampling,
    Trace,
    of_entry,
    of_event,
    of_notice,
    of_own,
    parse_traceparent,
    remote_of,
    traceparent,
)

AT = datetime(2026, 2, 18, 23, 0, tzinfo=UTC)
EVENT = LogEntry(
    "pb.events", 17, Kind.EVENT, 1, 1207, "id-1207", "T", "k", Transport.WEBHOOK, AT, AT, b"", b"", b"{}"
)  # fmt: skip
W3C = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
W3C_REMOTE = Remote(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7, is_sampled=True)


def test_who_hears_an_event_and_who_delivers_it_come_to_the_same_trace() -> None:
    assert of_entry(EVENT) == of_event("pb.events", "id-1207", 1207)
    # Not every way of hearing tells the number.
    assert of_entry(EVENT) == of_event("pb.events", "id-1207", None)
    assert of_entry(replace(EVENT, event_id="")) == of_event("pb.events", "", 1207)
    assert of_entry(replace(EVENT, sequence=None, event_id="", kind=Kind.GAP)) == of_own("pb.events", 17)


def test_another_process_comes_to_the_same_trace() -> None:
    code = "from bridge.core.tracing import of_event; print(*of_event('pb.events', 'id-1207', None))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(number) for number in of_event("pb.events", "id-1207", 1207)]


def test_whatever_is_another_thing_has_another_trace() -> None:
    traces = [
        of_event("pb.events", "17", None),
        of_event("pb.ws", "17", None),
        of_event("pb.events", "", 17),
        of_own("pb.events", 17),
        of_notice("pb.events", "17"),
        of_notice("pb.events", "bridge.checkpoint:ledger:0-17:"),
    ]
    assert len({trace.trace_id for trace in traces}) == len({trace.root_id for trace in traces}) == len(traces)


@given(st.text(st.characters(codec="utf-8")), st.integers(0, 2**63))
def test_ids_are_never_the_ones_that_say_there_is_none(event_id: str, sequence: int) -> None:
    trace = of_event("pb.events", event_id, sequence)
    assert 0 < trace.trace_id < 1 << 128
    assert 0 < trace.root_id < 1 << 64


def test_a_ratio_takes_its_share_and_who_takes_less_takes_of_the_same() -> None:
    traces = [of_event("pb.events", f"id-{number}", number) for number in range(20_000)]
    ratios = (0.0, 0.01, 0.5, 1.0)
    taken = [{trace for trace in traces if Sampling.of(ratio).takes(trace)} for ratio in ratios]
    assert not taken[0]
    assert 120 < len(taken[1]) < 280
    assert 9_600 < len(taken[2]) < 10_400
    assert taken[3] == set(traces)
    assert taken[1] < taken[2]


@pytest.mark.parametrize("ratio", [0.25, 0.5, 1 / 3])
def test_who_samples_by_the_same_ratio_with_opentelemetry_takes_the_same(ratio: float) -> None:
    from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

    theirs, ours = TraceIdRatioBased(ratio), Sampling.of(ratio)
    for number in range(500):
        trace = of_event("pb.events", f"id-{number}", number)
        decision = theirs.should_sample(None, trace.trace_id, "any").decision
        assert ours.takes(trace) == (decision is Decision.RECORD_AND_SAMPLE)


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
def test_what_is_no_ratio_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Sampling.of(ratio)


def test_the_header_is_the_one_that_w3c_shows() -> None:
    assert traceparent(W3C_REMOTE.trace_id, W3C_REMOTE.span_id, sampled=True).encode() == W3C
    assert traceparent(W3C_REMOTE.trace_id, W3C_REMOTE.span_id, sampled=False).encode() == W3C[:-2] + b"00"


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())
def test_what_is_written_is_read(trace_id: int, span_id: int, sampled: bool) -> None:
    text = traceparent(trace_id, span_id, sampled=sampled)
    assert len(text) == 55
    assert parse_traceparent(text.encode()) == Remote(trace_id, span_id, is_sampled=sampled)


@pytest.mark.parametrize(
    "text, found",
    [
        (W3C, W3C_REMOTE),
        (W3C[:-2] + b"00", W3C_REMOTE._replace(is_sampled=False)),
        (W3C[:-2] + b"03", W3C_REMOTE),  # other flags are not ours to judge
        (W3C[:-2] + b"fe", W3C_REMOTE._replace(is_sampled=False)),
        (b"cc" + W3C[2:], W3C_REMOTE),  # a later version is read as far as this one goes
        (b"cc" + W3C[2:] + b"-what-the-future-will-be-like", W3C_REMOTE),
        (b"cc" + W3C[2:] + b"-", W3C_REMOTE),
        (b"cc" + W3C[2:] + b".what-the-future-will-not-be-like", None),
        (W3C + b"-what-this-version-does-not-have", None),
        (b"ff" + W3C[2:], None),
        (b"00-" + b"0" * 32 + W3C[35:], None),
        (W3C[:36] + b"0" * 16 + b"-01", None),
        (W3C.upper(), None),
        (W3C.replace(b"-", b"_"), None),
        (W3C[:-1], None),
        (b" " + W3C, None),
        (W3C + b"\n", None),
        (W3C + b"\r\nbridge-position: 1", None),
        (b"cc" + W3C[2:] + b"-\n", None),
        (b"cc" + W3C[2:] + b"-" + b"x" * 1_000_000, None),
        (W3C.replace(b"4b", b"4g"), None),
        (W3C.replace(b"4bf9", "٤bf9".encode()), None),
        (b"", None),
        (b"\x00" * 55, None),
        (b"\xff" * 55, None),
    ],
)
def test_a_header_is_read_as_w3c_says_or_not_at_all(text: bytes, found: Remote | None) -> None:
    assert parse_traceparent(text) == found


@given(st.binary(max_size=80))
def test_no_header_breaks_the_reader(text: bytes) -> None:
    found = parse_traceparent(text)
    assert found is None or (found.trace_id > 0 and found.span_id > 0)


def test_a_header_that_stands_twice_names_nobody() -> None:
    assert remote_of([(b"x", b"y"), (b"traceparent", W3C)]) == W3C_REMOTE
    assert remote_of([(b"traceparent", W3C), (b"traceparent", W3C)]) is None
    assert remote_of([(b"tracestate", W3C)]) is None


def test_the_share_is_read_off_the_end_of_the_id() -> None:
    half = Sampling.of(0.5)
    assert half.takes(Trace((2**64 - 1) << 64, 1))
    assert not half.takes(Trace(2**63, 1))
