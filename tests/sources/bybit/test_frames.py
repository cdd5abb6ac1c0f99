"""One frame of a socket."""

import json
from datetime import datetime

import pytest

from bridge.core.channel import Link
from bridge.core.event import digest_of
from bridge.sources.base import Malformed
from bridge.sources.bybit.channels import topic_of
from bridge.sources.bybit.frames import FrameReader, News, Pong, Reply, Unknown
from tests.sources.bybit.recorded import FRAME_NAMES, FRAMES, PONGS, TOPICS, ms, recorded

READER = FrameReader(topic_of(name, category="linear") for name in TOPICS)
LENIENT = FrameReader([topic_of("orderbook.50.SOLUSDT", category="linear", book_policy="lenient")])


def news(frame: bytes, reader: FrameReader = READER) -> News:
    said = reader.read(frame)
    assert isinstance(said, News)
    return said


@pytest.mark.parametrize("frame, expected", FRAMES, ids=FRAME_NAMES)
def test_a_frame_tells_what_was_recorded(frame: bytes, expected: list[tuple[str, str, datetime]]) -> None:
    said = news(frame)
    assert [(told.series, told.event.event_id, told.event.occurred_at) for told in said.told] == expected
    assert said.malformed == 0
    for told in said.told:
        event = told.event
        assert event.payload in frame
        assert event.digest == digest_of(event.payload)
        assert event.sequence is None
        assert told.series.startswith(event.type) or event.type == "orderbook"


def test_an_item_of_a_list_is_the_payload_and_a_book_is_the_whole_frame() -> None:
    first, second = news(recorded("frame_execution")).told
    assert json.loads(first.event.payload) == json.loads(recorded("frame_execution"))["data"][0]
    assert json.loads(second.event.payload)["execQty"] == "1.0"
    assert news(recorded("frame_book_delta")).told[0].event.payload == recorded("frame_book_delta")


@pytest.mark.parametrize(
    "name, link",
    [
        ("frame_book_snapshot", Link(900104, snapshot=True)),
        ("frame_book_delta", Link(900105)),
        ("frame_book_restart", Link(1, snapshot=True)),
        ("frame_ticker", Link(None)),
        ("frame_top", None),
        ("frame_trades", None),
    ],
)
def test_a_books_place_in_its_chain_is_told(name: str, link: Link | None) -> None:
    assert news(recorded(name)).told[0].link == link


def test_a_lenient_books_numbers_are_not_counted() -> None:
    assert news(recorded("frame_book_delta"), LENIENT).told[0].link == Link(None)
    assert news(recorded("frame_book_snapshot"), LENIENT).told[0].link == Link(None, snapshot=True)


def test_the_best_of_a_book_told_again_later_is_the_same_event() -> None:
    frame = recorded("frame_top")
    again = frame.replace(b'"ts":1760000003140', b'"ts":1760000006140')
    assert again != frame
    assert news(again).told[0].event.event_id == news(frame).told[0].event.event_id
    assert news(again).sent_at == ms(1760000006140)


def test_an_order_that_was_filled_while_it_was_cancelled_is_told_twice() -> None:
    names = ("frame_order", "frame_order_twice_filled")
    assert len({news(recorded(name)).told[0].event.event_id for name in names}) == 2


def test_a_frame_proves_when_the_venue_said_it() -> None:
    assert news(recorded("frame_trades")).sent_at == ms(1760000000201)
    assert news(recorded("frame_wallet")).sent_at == ms(1760000000211)


@pytest.mark.parametrize("name, stamp", [*zip(PONGS, (None, None, 1760000000301, 1760000000302), strict=True)])
def test_every_shape_of_pong_is_one(name: str, stamp: int | None) -> None:
    assert READER.read(recorded(name)) == Pong(None if stamp is None else ms(stamp))


@pytest.mark.parametrize(
    "frame, said",
    [
        (
            b'{"success":true,"ret_msg":"subscribe","conn_id":"c","req_id":"s1","op":"subscribe"}',
            Reply("subscribe", True, "s1", "subscribe"),
        ),
        (
            b'{"success":true,"ret_msg":"","conn_id":"c","req_id":"","op":"subscribe"}',
            Reply("subscribe", True),
        ),
        (b'{"success":true,"ret_msg":"","op":"subscribe","conn_id":"c"}', Reply("subscribe", True)),
        (
            b'{"success":true,"conn_id":"c","data":{"failTopics":["x"],"successTopics":["y"]},"type":"COMMAND_RESP"}',
            Reply("", True, failed=frozenset({"x"})),
        ),
        (b'{"success":true,"ret_msg":"","op":"auth","conn_id":"c"}', Reply("auth", True)),
        (b'{"retCode":0,"retMsg":"OK","op":"auth","connId":"c"}', Reply("auth", True, reason="OK")),
        (
            b'{"retCode":10003,"retMsg":"Invalid apikey","op":"auth","connId":"c","reqId":"1"}',
            Reply("auth", False, "1", "retCode 10003 Invalid apikey"),
        ),
        (b'{"topic":"weather.SOLUSDT","data":[]}', Unknown("weather.SOLUSDT")),
        (b'{"op":"maintenance"}', Unknown("maintenance")),
    ],
)
def test_what_answers_us_is_told_from_events(frame: bytes, said: object) -> None:
    assert READER.read(frame) == said


def test_what_the_venue_says_is_shown_without_what_could_harm() -> None:
    said = READER.read(
        json.dumps({"success": False, "ret_msg": "a\x1b[31m\n" + "b" * 999, "op": "subscribe"}).encode()
    )
    assert isinstance(said, Reply)
    assert said.reason.isprintable()
    assert len(said.reason) <= 160


def test_one_bad_item_does_not_take_the_others_with_it() -> None:
    frame = recorded("frame_trades").replace(b"6f0e2b1c-0000-5000-8000-000000000001", b"")
    said = news(frame)
    assert (len(said.told), said.malformed) == (1, 1)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff\xfe",
        b"pong",
        b"[]",
        b'{"topic":5}',
        b'{"topic":"publicTrade.SOLUSDT"}',
        b'{"topic":"publicTrade.SOLUSDT","ts":1760000000201,"data":{}}',
        b'{"topic":"publicTrade.SOLUSDT","ts":1760000000201,"data":[{"T":1,"s":"SOLUSDT","i":"x"}]}',
        b'{"topic":"publicTrade.SOLUSDT","data":[{"T":1760000000201,"s":"SOLUSDT","i":"a\\u0000"}]}',
        b'{"topic":"publicTrade.SOLUSDT","data":[{"T":1760000000201,"s":"SOLUSDT","i":"a","x":"\xff"}]}',
        b'{"topic":"publicTrade.SOLUSDT","data":' + b"[" * 50_000,
        b'{"topic":"publicTrade.SOLUSDT","data":[{"T":1760000000201,"s":"S","i":"a","x":'
        + b"[" * 99
        + b"]" * 99
        + b"}]}",
        b'{"topic":"orderbook.50.SOLUSDT","type":"delta","data":{"s":"SOLUSDT","u":5}}',
        b'{"topic":"orderbook.50.SOLUSDT","type":"delta","ts":1760000000201,"data":{"s":"SOLUSDT"}}',
        b'{"topic":"orderbook.50.SOLUSDT","type":"other","ts":1760000000201,"data":{"s":"SOLUSDT","u":5}}',
        b'{"topic":"orderbook.50.SOLUSDT","type":"delta","ts":1760000000201,"data":{"s":"S","u":9223372036854775807}}',
        b'{"topic":"orderbook.50.SOLUSDT","type":"delta","ts":1760000000201,"data":{"s":"S","u":1.5}}',
        b'{"topic":"wallet","creationTime":1760000000201,"data":[{}]}',
        b'{"topic":"wallet","id":"x","data":[{}]}',
        b'{"topic":"order","data":[{"orderId":"x","updatedTime":"soon","orderStatus":"New","symbol":"S"}]}',
        (
            b'{"topic":"order","data":[{"orderId":"x","updatedTime":"1760000000201","orderStatus":"New","symbol":"S",'
            b'"cumExecQty":"1e999999"}]}'
        ),
        b'{"type":"COMMAND_RESP","success":true,"data":[]}',
    ],
)
def test_junk_is_malformed(frame: bytes) -> None:
    with pytest.raises(Malformed):
        READER.read(frame)
