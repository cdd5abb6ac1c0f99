"""A report in a file: hashed as it is written, read line by line, and verified by who has nothing but its JSON."""

import hashlib
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

from bridge.report import Written
from bridge.report.brief import brief_of
from bridge.report.forms import FORMS
from bridge.report.shape import Report
from bridge.report.written import IN_MEMORY_BYTES_MAX, Writing
from bridge.store.reports import packed, unpacked
from tests.events import START
from tests.report.reading import bytes_of, whole
from tests.report.test_forms import DAY, destination, stream

STREAMS = 40


def writing(streams: int, destinations: int = 2) -> Written:
    begun = Writing(DAY.since, DAY.until)
    for number in range(streams):
        begun.stream(stream(f"pb.{number:05}"))
    for number in range(destinations):
        begun.destination(destination(f"ledger-{number}"))
    return begun.sealed()


@pytest.mark.parametrize("streams, destinations", [(0, 0), (1, 0), (0, 1), (3, 2)])
def test_what_is_written_line_by_line_is_one_json_document(streams: int, destinations: int) -> None:
    made = writing(streams, destinations)
    read = whole(made)
    assert [one.stream for one in read.streams] == [one.stream for one in made.streams()]
    assert [one.destination for one in read.destinations] == [one.destination for one in made.destinations()]
    assert (len(read.streams), len(read.destinations)) == (streams, destinations)
    assert (read.since, read.until, read.digest) == (made.since, made.until, made.digest)
    assert made.size == len(bytes_of(made))


def test_whoever_has_the_json_can_verify_the_digest() -> None:
    text = bytes_of(writing(3)).decode()
    digest = msgspec.json.decode(text)["digest"]
    assert hashlib.sha256(text.replace(digest, "").encode()).hexdigest() == digest
    changed = text.replace('"events":240', '"events":241', 1)
    assert hashlib.sha256(changed.replace(digest, "").encode()).hexdigest() != digest


def test_what_is_kept_is_given_back_to_the_byte_however_it_is_cut() -> None:
    made = writing(STREAMS)
    body = bytes_of(made)
    kept = packed(made.chunks())
    assert len(kept) < len(body) / 5
    again = Written.of(unpacked(kept))
    assert bytes_of(again) == body
    assert list(again.streams()) == list(made.streams())
    assert brief_of(again) == brief_of(made)


def test_a_report_from_before_it_had_lines_is_read_as_it_is() -> None:
    """One line, and nothing of what was not counted then."""
    full = msgspec.to_builtins(Report(since=DAY.since, until=DAY.until, streams=[stream("pb.events", lost=6)]))
    [one] = full["streams"]
    del one["lag"], one["counts"]["superseded"]
    for line in one["hours"]:
        del line["lag"], line["gaps"], line["counts"]["superseded"]
    for lost in one["gaps"]["lost"]:
        lost |= {"opened_at": START.isoformat()}
        del lost["position"], lost["evidence"]
    body = msgspec.json.encode(full)
    old = Written.of([body[:1000], body[1000:]])
    assert bytes_of(old) == body
    [read] = old.streams()
    assert (read.counts.events, read.counts.superseded, read.gaps.lost[0].evidence) == (240, 0, "")
    for form in FORMS.values():
        assert b"".join(form.write(old))


def test_a_large_report_is_never_in_memory_as_a_whole() -> None:
    """Written, hashed, read, packed and unpacked: each within a part of what it is."""
    one = stream("pb.events")
    tracemalloc.start()
    begun = Writing(DAY.since, DAY.until)
    for _ in range(1_500):
        begun.stream(one)
    made = begun.sealed()
    assert sum(1 for _ in made.streams()) == 1_500
    assert sum(map(len, FORMS["csv"].write(made))) > IN_MEMORY_BYTES_MAX
    again = Written.of(unpacked(packed(made.chunks())))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert again.size == made.size > 4 * IN_MEMORY_BYTES_MAX
    assert most < 2.5 * IN_MEMORY_BYTES_MAX


def test_nothing_is_lost_of_a_period_with_an_hour_for_each_line() -> None:
    lines: Iterator[str] = iter(b"".join(FORMS["csv"].write(writing(STREAMS))).decode().splitlines())
    next(lines)
    assert len(list(lines)) == STREAMS * (DAY.until - DAY.since) // timedelta(hours=1)
