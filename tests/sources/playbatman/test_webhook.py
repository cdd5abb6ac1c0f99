"""A webhook's body, whatever of the documented and undocumented forms it takes."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.event import SEQUENCE_MAX, Event, digest_of
from bridge.sources.base import Malformed
from bridge.sources.playbatman.envelope import EnvelopeNames
from bridge.sources.playbatman.webhook import WebhookReader
from tests.sources.playbatman.recorded import MARKET, changed, recorded

READER = WebhookReader()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = ("id", "eventId", "sequence", "eventType", "event", "type", "marketId", "createdAt", "payload", "data")


def read(body: bytes, delivery_id: str | None = None) -> Event:
    return READER.event(body, delivery_id)


def test_a_body_shaped_like_a_replay_row_is_read_whole() -> None:
    body = recorded("webhook_row")
    event = read(body)
    assert event.event_id == "5d0c9f52-0000-4000-8000-0000000004b7"
    assert (event.type, event.key, event.sequence) == ("ORDER_MATCHED", MARKET, 1207)
    assert event.occurred_at == datetime(2025, 10, 9, 8, 53, 20, 130_000, UTC)
    assert event.payload in body
    assert json.loads(event.payload) == json.loads(body)["payload"]
    assert event.digest == digest_of(event.payload)


def test_the_payloads_bytes_travel_as_they_came() -> None:
    payload = b'{ "price" : 0.1000,\t"n":1e2, "t":"\\u00e9\xc3\xa9" }'
    assert read(b'{"sequence":1, "payload": %b }' % payload).payload == payload


def test_the_other_documented_names_are_found_in_the_payload_too() -> None:
    event = read(recorded("webhook_event_data"), "delivery-1")
    assert (event.type, event.key, event.sequence) == ("ORDER_PLACED", MARKET, 1208)
    assert event.event_id == ""
    assert event.occurred_at is None, "the payload may tell a time that is years off: it decides nothing"


def test_names_of_another_dialect_can_be_configured() -> None:
    names = EnvelopeNames(type=("kind",), payload=("content",), id=("uid",), sequence=("payload.no",))
    event = WebhookReader(names).event(b'{"kind":"K","uid":"u","content":{"no":7}}', None)
    assert (event.type, event.event_id, event.sequence) == ("K", "u", 7)


@pytest.mark.parametrize("sequence, number", [(1, 1), ("0017", 17), (SEQUENCE_MAX, SEQUENCE_MAX)])
def test_a_number_is_an_integer_or_its_digits(sequence: object, number: int) -> None:
    assert read(changed("webhook_row", sequence=sequence)).sequence == number


@pytest.mark.parametrize(
    "sequence",
    [0, -1, True, False, 1.0, 1.5, "", "1.0", "-1", " 1", "١", "1e3", [], {}, SEQUENCE_MAX + 1, 10**30, str(10**19)],
)
def test_anything_else_is_no_number_and_no_guess_is_made(sequence: object) -> None:
    with pytest.raises(Malformed):
        read(changed("webhook_row", sequence=sequence))


@pytest.mark.parametrize("absent", [None, ...])
def test_a_delivery_without_a_number_is_legal(absent: object) -> None:
    event = read(changed("webhook_row", sequence=absent))
    assert event.sequence is None
    assert event.event_id == "5d0c9f52-0000-4000-8000-0000000004b7"


@pytest.mark.parametrize("absent", [None, ...])
def test_a_number_without_content_is_a_sighting_only(absent: object) -> None:
    body = changed("webhook_row", payload=absent)
    event = read(body)
    assert event.sequence is None
    assert event.payload == body


def test_a_delivery_that_names_nothing_goes_by_the_deliverys_id() -> None:
    body = changed("webhook_row", id=..., sequence=...)
    assert read(body, "delivery-7").event_id == "delivery-7"


@pytest.mark.parametrize("delivery_id", [None, "", "x" * 300, "a\0b"])
def test_without_a_usable_deliverys_id_it_goes_by_its_digest(delivery_id: str | None) -> None:
    body = changed("webhook_row", id=..., sequence=...)
    assert read(body, delivery_id).event_id == f"sha256:{hashlib.sha256(body).hexdigest()}"


@pytest.mark.parametrize("name", ["id", "eventType", "marketId"])
@pytest.mark.parametrize("value", ["a\0b", "x" * 257, 1.5, True, [], {}, 10**30])
def test_text_that_postgres_cannot_hold_or_that_is_none_is_refused(name: str, value: object) -> None:
    with pytest.raises(Malformed):
        read(changed("webhook_row", **{name: value}))


def test_half_a_surrogate_pair_is_legal_in_content_but_not_in_an_id() -> None:
    payload = b'{"title":"cut \\ud83d"}'
    event = read(b'{"id":"i","sequence":9,"eventType":"T","payload":%b}' % payload)
    assert (event.payload, event.sequence, event.event_id) == (payload, 9, "i")
    with pytest.raises(Malformed):
        read(b'{"id":"\\ud83d","sequence":9,"payload":{}}')


@pytest.mark.parametrize(
    "created", ["yesterday", "", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z", 1e300, -5, True, [], {}]
)
def test_an_absurd_time_is_no_time_and_no_error(created: object) -> None:
    assert read(changed("webhook_row", createdAt=created, payload={})).occurred_at is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"{} {}",
        b'{"payload":{"a":NaN}}',
        b'{"payload":{"a":"\xff"}}',
        b'{"id":"\xff"}',
        b'\xef\xbb\xbf{"id":"a"}',
        b'{"payload":' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"payload":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"id":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"sequence":' + b"9" * 5_000 + b"}",
    ],
)
def test_junk_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read(body)


def test_what_is_malformed_is_not_quoted() -> None:
    with pytest.raises(Malformed) as refused:
        read(changed("webhook_row", sequence="my-secret"))
    assert "my-secret" not in str(refused.value)


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_malformed(body: bytes) -> None:
    check(body)


@given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_no_values_do_anything_but_be_malformed(envelope: dict[str, object]) -> None:
    check(json.dumps(envelope).encode())


@given(st.integers(0, 600), st.binary(max_size=4))
def test_no_damage_does_anything_but_be_malformed(at: int, damage: bytes) -> None:
    body = recorded("webhook_row")
    check(body[:at] + damage + body[at + len(damage) :])


def check(body: bytes) -> None:
    try:
        event = read(body)
    except Malformed:
        return
    assert event.sequence is None or 1 <= event.sequence <= SEQUENCE_MAX
    assert event.event_id or event.sequence is not None
    for text in (event.event_id, event.type, event.key):
        assert "\0" not in text
        assert len(text.encode()) <= 4 * 256
    json.loads(event.payload.decode())
