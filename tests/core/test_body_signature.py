"""Signatures inside the body. The vector was computed apart from this code."""

import base64
import hashlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.body_signature import BodySignature, cut_member

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "cm-pay-key-1"
SIGNATURE = "a10a12f223ca489fc2e426aef593d515"
UNESCAPED = "cc4e63aa3ebfd50b16365e618d2d1ce0"
REST = (
    '{"type":"payment","uuid":"7b1c0f6e-0000-4000-8000-000000000001","order_id":"inv-77","amount":"12.50",'
    '"status":"paid","is_final":true,"additional_data":"a\\/b é"}'
).encode()


def member(value: str = SIGNATURE) -> bytes:
    return b'"sign":"%b"' % value.encode()


def last(value: str = SIGNATURE, rest: bytes = REST) -> bytes:
    return rest[:-1] + b"," + member(value) + b"}"


def genuine(body: bytes, *keys: str) -> bool:
    return BodySignature(keys=keys or (KEY,)).verify([], body, NOW)


@pytest.mark.parametrize(
    "body",
    [
        last(),
        b"{" + member() + b"," + REST[1:],
        REST.replace(b',"status"', b"," + member() + b',"status"'),
        last(SIGNATURE.upper()),
        REST[:-1] + b', "sign" : "' + SIGNATURE.encode() + b'"}',
    ],
)
def test_the_known_vector_verifies_wherever_the_signature_stands(body: bytes) -> None:
    cut = cut_member(body, "sign")
    assert cut is not None
    assert cut.rest == REST
    assert genuine(body)


def test_what_was_changed_or_written_anew_does_not() -> None:
    assert not genuine(last(rest=REST.replace(b"12.50", b"12.51")))
    assert not genuine(last(rest=REST.replace(b"\\/", b"/")))
    assert not genuine(last(UNESCAPED))
    assert not genuine(json.dumps(json.loads(last())).encode())
    assert not genuine(last(SIGNATURE[:-1] + "6"))


def test_any_key_will_do_and_no_empty_one() -> None:
    assert genuine(last(), "payout", KEY, "")
    assert not genuine(last(), "payout")
    assert not BodySignature(keys=()).verify([], last(), NOW)
    forged = hashlib.md5(base64.b64encode(REST)).hexdigest()
    assert not genuine(last(forged), "", KEY)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        REST,
        last() + b"x",
        last()[:-1],
        b"[" + last() + b"]",
        b'{"convert":{' + member() + b"}}",
        b'{"a":"sign","b":"' + SIGNATURE.encode() + b'"}',
        b"{" + member() + b"," + member() + b"}",
        b'{"sign":null}',
        b'{"sign":"' + b"0" * 31 + b'"}',
        b'{"sign"',
        b'{"sign":',
        b'}{"sign":1}',
        b'"sign":"' + SIGNATURE.encode() + b'"',
    ],
)
def test_a_body_without_exactly_one_signature_is_not_genuine(body: bytes) -> None:
    assert not genuine(body)


def test_a_nested_member_of_that_name_is_content() -> None:
    rest = b'{"convert":{"sign":"x","list":[1,{"sign":2}]},"note":"\\",\\"sign\\":\\"y\\""}'
    signed = hashlib.md5(base64.b64encode(rest) + KEY.encode()).hexdigest()
    assert genuine(last(signed, rest))


def test_a_body_that_is_signed_with_a_second_signature_in_it_is_not_genuine() -> None:
    rest = b'{"amount":1,"sign":"' + SIGNATURE.encode() + b'"}'
    signed = hashlib.md5(base64.b64encode(rest) + KEY.encode()).hexdigest()
    assert not genuine(last(signed, rest))
    assert not genuine(b"{" + member(signed) + b"," + rest[1:])


def test_keys_are_not_shown() -> None:
    assert KEY not in repr(BodySignature(keys=(KEY,)))


@given(st.binary(max_size=200))
def test_no_body_raises(body: bytes) -> None:
    assert not genuine(body)


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=6)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner))
objects = st.dictionaries(st.text(max_size=6).filter(lambda name: name != "sign"), values, max_size=5)


@given(objects, st.integers(0, 5), st.booleans())
def test_any_object_that_is_signed_verifies(content: dict[str, object], place: int, plain: bool) -> None:
    rest = json.dumps(content, separators=(",", ":"), ensure_ascii=plain).encode("utf-8", "surrogatepass")
    items = [
        json.dumps({name: value}, separators=(",", ":"), ensure_ascii=plain).encode("utf-8", "surrogatepass")[1:-1]
        for name, value in content.items()
    ]
    signed = hashlib.md5(base64.b64encode(rest) + KEY.encode()).hexdigest()
    items.insert(min(place, len(items)), member(signed))
    assert genuine(b"{" + b",".join(items) + b"}")
