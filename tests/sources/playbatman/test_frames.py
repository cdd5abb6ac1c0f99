"""One frame of the socket."""

import hashlib
import json
from datetime import UTC, datetime

import pytest

from bridge.core.event import Event
from bridge.sources.base import Malformed
from bridge.sources.playbatman.frames import (
    EVENT_TYPES,
    Authenticated,
    Pong,
    Refused,
    Subscribed,
    Unknown,
    read_frame,
)
from tests.sources.playbatman.recorded import MARKET, recorded


@pytest.mark.parametrize("kind", sorted(EVENT_TYPES))
def test_every_kind_of_event_keeps_its_payload_byte_for_byte(kind: str) -> None:
    frame = recorded(f"frame_{kind.lower()}")
    event = read_frame(frame)
    assert isinstance(event, Event)
    assert (event.type, event.key, event.sequence) == (kind, MARKET, None)
    assert event.occurred_at == datetime(2025, 10, 9, 8, 53, 20, 123_000, UTC)
    assert event.payload in frame
    assert json.loads(event.payload) == json.loads(frame)["payload"]
    assert event.event_id == f"ws:{hashlib.sha256(frame).hexdigest()[:32]}"


@pytest.mark.parametrize(
    "name, said",
    [
        ("frame_authenticated", Authenticated()),
        ("frame_subscribed", Subscribed(frozenset({MARKET}))),
        ("frame_pong", Pong()),
        ("frame_error", Refused("INVALID_MESSAGE")),
    ],
)
def test_what_steers_the_session_is_told_from_events(name: str, said: object) -> None:
    assert read_frame(recorded(name)) == said


def test_a_kind_nobody_knows_is_named_and_no_event() -> None:
    assert read_frame(b'{"type":"WEATHER","payload":{"marketId":"m"}}') == Unknown("WEATHER")


def test_an_acknowledgement_may_name_one_market_bare() -> None:
    assert read_frame(b'{"type":"SUBSCRIBED","payload":{"marketIds":"m"}}') == Subscribed(frozenset({"m"}))


def test_an_errors_code_is_cut_to_what_is_safe_to_show() -> None:
    said = read_frame(json.dumps({"type": "ERROR", "payload": {"code": "A\n\x1b[31m" + "B" * 500}}).encode())
    assert isinstance(said, Refused)
    assert said.code.isascii()
    assert said.code.isprintable()
    assert len(said.code) <= 64


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff\xfe",
        b"PONG",
        b"[]",
        b"{}",
        b'{"type":5}',
        b'{"type":"TRADE"}',
        b'{"type":"TRADE","payload":[]}',
        b'{"type":"TRADE","payload":{"marketId":"a\\u0000"}}',
        b'{"type":"TRADE","payload":{"marketId":"m","x":"\xff"}}',
        b'{"type":"TRADE","payload":' + b"[" * 50_000,
        b'{"type":"SUBSCRIBED","payload":{"marketIds":[1]}}',
    ],
)
def test_junk_is_malformed(frame: bytes) -> None:
    with pytest.raises(Malformed):
        read_frame(frame)
