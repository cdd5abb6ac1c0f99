"""Signatures against vectors of our own keys, and the venue's clock that they are made with."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest

from bridge.sources.poloniex_v3.answers import VenueTime
from bridge.sources.poloniex_v3.signing import authentication, headers

SECRET = "polo3-secret-1"
AT_MS = 1760000000000
NOW = datetime(2026, 2, 18, tzinfo=UTC)


def test_the_sockets_first_frame_signs_the_same_path_whatever_its_address() -> None:
    frame = json.loads(authentication("k", SECRET, AT_MS))
    assert (frame["event"], frame["channel"]) == ("subscribe", ["auth"])
    assert frame["params"]["signTimestamp"] == AT_MS
    assert frame["params"]["signature"] == "vHtFjoBOnUHuaUAOcXjaq3aXqabiq7W19sFSLexoCeo="


@pytest.mark.parametrize("query", ["symbol=BTC_USDT_PERP&limit=100", "limit=100&symbol=BTC_USDT_PERP"])
def test_a_question_is_signed_over_its_parameters_in_the_order_of_their_names(query: str) -> None:
    signed = headers("k", SECRET, "GET", f"/v3/trade/order/trades?{query}", b"", AT_MS)
    assert signed["signature"] == "LQJdagwRmTvpA9RlMRXfKRchlgQ1FKEhL4V4fwtLE/8="
    assert (signed["key"], signed["signTimestamp"]) == ("k", str(AT_MS))


def test_a_body_is_signed_as_it_is_sent() -> None:
    body = b'{"symbol":"BTC_USDT_PERP","sz":"1"}'
    signed = headers("k", SECRET, "POST", "/v3/trade/order", body, AT_MS)
    assert signed["signature"] == "UFzni23nRN5MGRqTrHzbdJU8GAD5eBuRd4jY/FtLyrg="


def test_a_question_without_parameters_is_signed_over_its_time_alone() -> None:
    expected = hmac.new(SECRET.encode(), f"GET\n/v3/x\nsignTimestamp={AT_MS}".encode(), hashlib.sha256)
    signed = headers("k", SECRET, "GET", "/v3/x", b"", AT_MS, window_ms=5000)
    assert signed["signature"] == base64.b64encode(expected.digest()).decode()
    assert signed["recvWindow"] == "5000"


@pytest.mark.parametrize("ahead_s", [-7200.0, -2.0, 3.0])
def test_the_venues_clock_is_taken_from_its_answers_and_never_believed_to_be_ahead(ahead_s: float) -> None:
    time = VenueTime()
    assert time.at(NOW) == NOW
    dated = (NOW + timedelta(seconds=ahead_s)).replace(microsecond=0)
    assert time.learn(dated, NOW)
    assert not time.learn(dated, NOW)
    assert time.at(NOW) <= NOW + timedelta(seconds=ahead_s)


def test_a_difference_that_whole_seconds_explain_is_none() -> None:
    time = VenueTime()
    assert not time.learn(NOW, NOW + timedelta(milliseconds=990))
    assert time.at(NOW) == NOW
