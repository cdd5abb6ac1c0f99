"""One answer of the replay: strict at the top, one bad row never costs its neighbours theirs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import VenueError
from bridge.sources.base import Page
from bridge.sources.playbatman.page import PageReader
from tests.sources.playbatman.recorded import changed, page_of, recorded

READER = PageReader()
GOOD = [changed("webhook_row", sequence=number, id=f"id-{number}") for number in (1, 2, 3)]


def read(body: bytes) -> Page:
    return READER.page(body, None)


def test_a_page_is_its_rows_in_their_order() -> None:
    page = read(recorded("page"))
    assert [event.sequence for event in page.events] == [1207, 1211]
    assert (page.rows, page.malformed, page.more) == (2, 0, False)


@pytest.mark.parametrize(
    "word, more", [(b"true", True), (b"false", False), (b"null", None), (b'"yes"', None), (b"1", None)]
)
def test_only_a_plain_yes_or_no_says_whether_there_is_more(word: bytes, more: bool | None) -> None:
    assert read(page_of(more=word)).more is more
    assert read(page_of(b"NaN", more=word)).more is more


def test_the_word_for_more_can_be_configured() -> None:
    body = b'{"success":true,"data":{"events":[],"rest":true}}'
    assert PageReader(("hasMore", "rest")).page(body, None).more is True
    assert read(body).more is None


@pytest.mark.parametrize(
    "bad",
    [
        b"null",
        b"[]",
        b"7",
        b"{}",
        b"NaN",
        b'{"sequence":5}',
        b'{"sequence":5,"payload":null}',
        b'{"payload":{}}',
        b'{"sequence":true,"payload":{}}',
        b'{"sequence":5.0,"payload":{}}',
        b'{"sequence":5,"payload":{"a":"\xff"}}',
        b'{"sequence":5,"payload":{"a":01}}',
        b'{"sequence":5,"payload":{"a":"\x01"}}',
        b'{"sequence":5,"payload":{"a":"\\q"}}',
        b'{"sequence":5,"id":"a\\u0000b","payload":{}}',
        b'{"sequence":5,"payload":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"sequence":' + b"9" * 5_000 + b',"payload":{}}',
    ],
)
def test_a_bad_row_is_counted_and_costs_no_neighbour(bad: bytes) -> None:
    page = read(page_of(GOOD[0], bad, GOOD[1], GOOD[2]))
    assert [event.sequence for event in page.events] == [1, 2, 3]
    assert (page.rows, page.malformed, page.more) == (4, 1, True)


def test_a_row_with_half_a_surrogate_pair_is_a_row() -> None:
    payload = b'{"title":"\\"]},{ \\ud83d"}'
    page = read(page_of(GOOD[0], b'{"sequence":2,"payload":%b}' % payload, GOOD[2]))
    assert page.malformed == 0
    assert page.events[1].payload == payload
    assert page.events[0] == read(page_of(GOOD[0])).events[0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"success":true}',
        b'{"success":true,"data":null}',
        b'{"success":true,"data":{}}',
        b'{"success":true,"data":{"events":{}}}',
        b'{"success":true,"data":{"events":null}}',
        b'{"data":{"events":[]}}',
        b'{"success":true,"data":{"events":[',
        page_of(success=b"1"),
        page_of(success=b"false"),
        page_of(b"NaN", success=b"false"),
        b"<html>busy</html>",
    ],
)
def test_what_is_no_page_is_never_an_empty_page(body: bytes) -> None:
    with pytest.raises(VenueError):
        read(body)


def test_a_refusal_is_told_by_its_code_and_never_by_its_text() -> None:
    with pytest.raises(VenueError) as refused:
        read(recorded("page_refused"))
    assert "UNAUTHORIZED" in str(refused.value)
    assert "the key" not in str(refused.value)


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_refused(body: bytes) -> None:
    try:
        page = read(body)
    except VenueError:
        return
    # A row that is no JSON is one that cannot be read: it is counted, and the whole need not be JSON.
    assert page.malformed == page.rows or json.loads(body)["success"] is True


def test_a_row_that_is_no_json_is_counted_as_malformed() -> None:
    page = read(b'{"success":true,"data":{"events":[%]}}')
    assert (page.rows, page.malformed, page.events) == (1, 1, ())


@given(st.integers(0, 1300), st.binary(min_size=1, max_size=4))
def test_damage_is_refused_or_counted_never_invented(at: int, damage: bytes) -> None:
    body = page_of(*GOOD)
    try:
        page = read(body[:at] + damage + body[at + len(damage) :])
    except VenueError:
        return
    assert page.rows == len(page.events) + page.malformed
