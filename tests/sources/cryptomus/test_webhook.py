"""The event in a payment's callback, and everything that is none."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sources.base import Malformed
from bridge.sources.cryptomus.webhook import PaymentReader
from tests.sources.cryptomus.recorded import FOLDER

BODY = (FOLDER / "callback.json").read_bytes().rstrip()
PAYMENT = "7b1c0f6e-0000-4000-8000-000000000001"
TRANSACTION = "5f0000000000000000000000000000000000000000000000000000000000000a"
reader = PaymentReader()


def test_a_callback_is_known_by_payment_state_and_transaction() -> None:
    event = reader.parse_webhook(BODY, None)
    assert event.event_id == f"{PAYMENT}:paid:{TRANSACTION}"
    assert (event.type, event.key, event.sequence, event.occurred_at) == ("paid", PAYMENT, None, None)
    told = BODY.replace(b',"sign":"SIGNATURE"', b"")
    assert event.payload == told
    assert event.digest == hashlib.sha256(told).digest()


def test_signed_with_another_key_a_callback_is_the_same() -> None:
    again = reader.parse_webhook(BODY.replace(b"SIGNATURE", b"0" * 32), None)
    assert again == reader.parse_webhook(BODY, None)
    named = BODY.replace(b'"sign"', b'"signature"')
    assert PaymentReader("signature").parse_webhook(named, None) == again


@pytest.mark.parametrize("without", [b'"txid":null', b'"txid":""', b'"tx":1'])
def test_a_callback_without_a_transaction_goes_by_the_other_two(without: bytes) -> None:
    event = reader.parse_webhook(b'{"uuid":"u-1","status":"check",%b}' % without, "ignored")
    assert event.event_id == "u-1:check:"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"uuid":"u"}', b'{"uuid":1,"status":"paid"}', b'{"uuid":"u","status":"p\\u0000"}', b"\xff"],
)
def test_what_is_no_callback_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        reader.parse_webhook(body, None)


@given(st.integers(0, len(BODY)), st.binary(max_size=4))
def test_no_damage_raises_anything_else(place: int, junk: bytes) -> None:
    with contextlib.suppress(Malformed):
        reader.parse_webhook(BODY[:place] + junk + BODY[place + 1 :], None)
