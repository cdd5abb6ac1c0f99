"""One frame of a socket, and the rows in it."""

import json
from datetime import datetime

import pytest

from bridge.core.channel import Link, Step
from bridge.core.event import digest_of
from bridge.sources.base import Malformed
from bridge.sources.poloniex_v3.frames import (
    Authentication,
    Ignored,
    Pong,
    Pushed,
    Refused,
    Subscription,
    Unknown,
    read_frame,
)
from bridge.sources.poloniex_v3.rows import items_of
from tests.sources.poloniex_v3.recorded import FRAMES, POSITION, SYMBOL, recorded

EVENTS = [frame for frame in FRAMES if frame[1]]


def pushed(frame: bytes) -> Pushed:
    said = read_frame(frame)
    assert isinstance(said, Pushed)
    return said


@pytest.mark.parametrize("frame, expected", EVENTS)
def test_every_row_becomes_the_event_it_is(frame: bytes, expected: list[tuple[str, str, datetime]]) -> None:
    said = pushed(frame)
    got = []
    for item in said.items:
        assert item.event.digest == digest_of(item.event.payload)
        assert item.event.payload in frame
        assert item.event.sequence is None
        series = f"{said.word}.{item.symbol}" if item.symbol else said.word
        got.append((series, item.event.event_id, item.event.occurred_at))
    assert got == expected
    assert said.malformed is None


def test_a_book_keeps_its_whole_frame_and_its_place_in_the_chain() -> None:
    snapshot, update = recorded("book_lv2_snapshot"), recorded("book_lv2_update")
    (first,), (second,) = pushed(snapshot).items, pushed(update).items
    assert (first.event.payload, first.link) == (snapshot, Link(880104, None, True))
    assert (second.event.payload, second.link) == (update, Link(880109, 880104, False))


def test_of_two_books_in_one_frame_each_gets_a_frame_of_its_own() -> None:
    row = json.loads(recorded("book_lv2_update"))["data"][0]
    both = {"channel": "book_lv2", "data": [row, {**row, "lid": 880109, "id": 880111}], "action": "update"}
    items = pushed(json.dumps(both).encode()).items
    assert [item.link for item in items] == [Link(880109, 880104), Link(880111, 880109)]
    assert [len(json.loads(item.event.payload)["data"]) for item in items] == [1, 1]


def test_a_position_says_what_it_was_and_what_it_is() -> None:
    (item,) = pushed(recorded("positions")).items
    assert item.step == Step(POSITION, "10", "14")
    assert item.event.key == SYMBOL


def test_a_row_says_when_it_was_pushed() -> None:
    assert [item.sent_ms for item in pushed(recorded("trades")).items] == [1760000000512] * 2
    assert [item.sent_ms for item in pushed(recorded("trade")).items] == [1760000003004]


@pytest.mark.parametrize(
    "word, name, changes",
    [
        ("trades", "trades", {"s": None, "ts": None, "id": "70001"}),
        ("trade", "trade", {"fpx": None, "px": "64010", "id": "9", "cTime": "1760000003000", "ts": None}),
        ("orders", "orders", {"ts": None, "execQty": 4}),
        ("positions", "positions", {"oldQty": None, "qty": "14", "uTime": 1760000003000}),
    ],
)
def test_a_row_of_a_list_has_the_id_and_the_time_of_the_sockets_row(
    word: str, name: str, changes: dict[str, object]
) -> None:
    row = json.loads(recorded(name))["data"][0]
    listed = {key: value for key, value in {**row, **changes}.items() if value is not None}
    (heard, *_), (read,) = pushed(recorded(name)).items, items_of(word, json.dumps(listed).encode(), symbol=SYMBOL)
    assert (read.event.event_id, read.event.occurred_at) == (heard.event.event_id, heard.event.occurred_at)


def test_twins_among_liquidations_have_the_same_id_whenever_they_were_pushed() -> None:
    row = json.loads(recorded("liquidation"))["data"][0]
    one, two, other = (
        items_of("liquidation_orders", json.dumps(row | change).encode())[0].event.event_id
        for change in ({}, {"ts": 1760000009999}, {"sz": "16"})
    )
    assert one == two != other


@pytest.mark.parametrize(
    "name, said",
    [
        ("ack", Subscription("trades", frozenset({SYMBOL}))),
        ("ack_bare", Subscription("orders", frozenset())),
        ("authenticated", Authentication(True, "")),
        ("authentication_failed", Authentication(False, "Authentication failed!")),
        ("pong", Pong()),
        ("error", Refused("no valid symbols")),
        ("subscriptions", Ignored()),
    ],
)
def test_what_steers_the_session_is_told_from_events(name: str, said: object) -> None:
    assert read_frame(recorded(name)) == said


def test_a_channel_nobody_knows_is_named_and_no_event() -> None:
    assert read_frame(b'{"channel":"weather","data":[{"s":"X"}]}') == Unknown("weather")


def test_an_errors_text_is_cut_to_what_is_safe_to_show() -> None:
    said = read_frame(json.dumps({"event": "error", "message": "A\n\x1b[31m：" + "B" * 500}).encode())
    assert isinstance(said, Refused)
    assert said.reason.isascii()
    assert said.reason.isprintable()
    assert len(said.reason) <= 128


def test_one_bad_row_costs_its_neighbours_nothing() -> None:
    rows = json.loads(recorded("trades"))
    rows["data"][0]["cT"] = "yesterday"
    said = pushed(json.dumps(rows).encode())
    assert [item.event.event_id for item in said.items] == [f"{SYMBOL}:70002"]
    assert said.malformed


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff\xfe",
        b"pong",
        b"[]",
        b'{"event":5}',
        b'{"channel":"trades"}',
        b'{"channel":"trades","data":5}',
        b'{"channel":"trades","data":[{"id":1,"s":"X"}]}',
        b'{"channel":"trades","data":[{"id":1,"s":"a\\u0000","cT":1760000000000}]}',
        b'{"channel":"trades","data":[{"id":1,"s":"X","cT":17600000000000000}]}',
        b'{"channel":"trades","data":[{"id":1,"s":"X","cT":1760000000000,"x":"\xff"}]}',
        b'{"channel":"trades","data":' + b"[" * 50_000,
        b'{"channel":"trades","data":[{"id":1,"s":"X","cT":1760000000000,"x":' + b"[" * 99 + b"]" * 99 + b"}]}",
        b'{"channel":"book_lv2","data":[{"id":1,"s":"X","ts":1760000000000}],"action":"update"}',
        b'{"channel":"book_lv2","data":[{"id":1,"s":"X","ts":1760000000000}],"action":"other"}',
        b'{"channel":"positions","data":[{"symbol":"X","uTime":1760000000000,"qty":"NaN"}]}',
        b'{"channel":"positions","data":[{"symbol":"X","uTime":1760000000000,"qty":"1e999999"}]}',
        b'{"channel":"candles_minute_1","data":[[1,2,3,4,5,6,7,8]]}',
        b'{"channel":"auth","data":[]}',
    ],
)
def test_junk_is_malformed(frame: bytes) -> None:
    with pytest.raises(Malformed):
        read_frame(frame)
