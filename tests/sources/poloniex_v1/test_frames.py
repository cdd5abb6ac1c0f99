"""One frame of a socket, and the event in it."""

import json
from datetime import datetime

import pytest

from bridge.core.channel import Link
from bridge.core.event import digest_of
from bridge.sources.base import Malformed
from bridge.sources.poloniex_v1.channels import channels_of
from bridge.sources.poloniex_v1.frames import Acknowledged, FrameReader, Pong, Refused, Said, Unwanted, Welcome
from tests.sources.poloniex_v1.recorded import CONNECT_ID, FRAMES, SYMBOL, TOPICS, data_of, recorded

CHANNELS = channels_of(TOPICS)
READER = FrameReader(CHANNELS)
EVENTS = [frame for frame in FRAMES if frame[1]]


def said(frame: bytes) -> Said:
    heard = READER.read(frame)
    assert isinstance(heard, Said)
    return heard


def changed(name: str, **data: object) -> bytes:
    """A recorded frame with other data; None takes a field away."""
    frame = json.loads(recorded(name))
    frame["data"] = {key: value for key, value in (frame["data"] | data).items() if value is not None}
    return json.dumps(frame).encode()


@pytest.mark.parametrize("frame, expected", EVENTS)
def test_every_frame_becomes_the_event_it_is(frame: bytes, expected: list[tuple[str, str, datetime]]) -> None:
    told = said(frame).told
    assert [(told.series, told.event.event_id, told.event.occurred_at)] == expected
    assert told.event.payload in frame
    assert told.event.digest == digest_of(told.event.payload)
    assert told.event.sequence is None
    assert told.event.type == told.series.partition(".")[0]


def test_a_bundle_of_changes_is_linked_over_its_numbers_and_has_an_id_that_no_single_number_has() -> None:
    told = said(recorded("level2")).told
    assert told.link == Link(5009, 5006)
    assert told.event.event_id == "5007-5009"
    assert told.event.payload == recorded("level2")


def test_a_change_without_its_predecessor_is_contiguous() -> None:
    assert said(recorded("level2_older")).told.link == Link(5011)
    assert said(recorded("level3")).told.link == Link(900001)


def test_what_the_subject_means_is_kept_by_keeping_the_frame() -> None:
    assert said(recorded("settlement")).told.event.payload == recorded("settlement")
    assert said(recorded("execution")).told.event.payload == data_of("execution")


def test_partial_positions_are_linked_by_nothing_but_their_connection() -> None:
    assert said(recorded("position_tick")).told.link == Link(None)


def test_events_are_found_under_their_symbol_or_currency() -> None:
    assert said(recorded("level2")).told.event.key == SYMBOL
    assert said(recorded("order_match")).told.event.key == SYMBOL
    assert said(recorded("wallet")).told.event.key == "USDT"


def test_only_the_matching_engines_stamps_prove_how_late_it_is() -> None:
    assert said(recorded("execution")).proves
    assert not said(recorded("funding_begin")).proves
    assert not said(recorded("wallet")).proves


def test_what_steers_the_session_is_told_apart() -> None:
    assert READER.read(recorded("welcome")) == Welcome()
    assert READER.read(recorded("ack")) == Acknowledged("1")
    assert READER.read(b'{"id":1,"type":"ack"}') == Acknowledged("1")
    assert READER.read(recorded("pong")) == Pong("p1")
    assert READER.read(recorded("error")) == Refused("1", "404", "topic /contractMarket/level2:NOSUCH is not found")
    assert READER.read(recorded("notice")) == Unwanted("frame.notice", "maintenance")
    assert READER.read(recorded("command")) == Unwanted("frame.command", "reconnect")
    assert READER.read(b'{"type":"brandnew"}') == Unwanted("frame.unknown", "brandnew")
    assert CONNECT_ID in recorded("welcome").decode()


def test_a_private_frame_on_a_public_topic_is_no_part_of_what_all_are_told() -> None:
    frame = json.dumps(json.loads(recorded("level3")) | {"userId": "u-7"}).encode()
    assert READER.read(frame) == Unwanted("frame.private", f"/contractMarket/level3v2:{SYMBOL}")


def test_a_topic_nobody_asked_for_is_no_event() -> None:
    frame = recorded("execution").replace(SYMBOL.encode(), b"XBTUSDTPERP")
    assert READER.read(frame) == Unwanted("frame.other_topic", "/contractMarket/execution:XBTUSDTPERP")


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"7",
        recorded("level2")[:-9],
        recorded("execution").replace(b'"6a02c1"', b'"\xff"'),
        recorded("execution").replace(b'"4310.05"', b'"\xff"'),
        changed("execution", tradeId=None),
        changed("execution", tradeId=["x"]),
        changed("execution", tradeId="a\0b"),
        changed("execution", tradeId="x" * 200),
        changed("execution", ts=None),
        changed("execution", ts=7),
        changed("execution", extra="\ud800"),
        changed("level2", sequence="x"),
        changed("level2", sequence=-1),
        changed("level2", sequence=2**70),
        changed("level2", lastSequence=5009),
        changed("wallet", timestamp=None),
        changed("funding_begin", fundingTime=None),
        changed("order_match", type=None),
        changed("order_match", orderId=None),
        recorded("execution").replace(b'"symbol"', b'"deep":' + b"[" * 200 + b"]" * 200 + b',"symbol"'),
    ],
)
def test_junk_is_malformed(frame: bytes) -> None:
    with pytest.raises(Malformed):
        READER.read(frame)


def test_a_nanosecond_stamp_never_passes_through_a_float() -> None:
    told = said(changed("execution", ts=1760000000123456999)).told
    assert told.event.occurred_at is not None
    assert told.event.occurred_at.microsecond == 123_456
