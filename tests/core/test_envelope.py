import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.envelope import batch_id, body, headers, webhook_id
from bridge.core.event import Kind, LogEntry, Transport, digest_of

PAYLOAD = b'{ "price" : 1.10, "big": 12345678901234567890, "name":"\xc3\x9c\\u0041" }'

ENTRY = LogEntry(
    stream="pb.events",
    position=17,
    kind=Kind.EVENT,
    epoch=1,
    sequence=1207,
    event_id="0b7e",
    type="ORDER_MATCHED",
    key="market",
    transport=Transport.REPLAY,
    occurred_at=datetime(2026, 2, 18, 23, 0, 0, 130_999, tzinfo=UTC),
    received_at=datetime(2026, 2, 18, 23, 0, 1, 0, tzinfo=UTC),
    digest=digest_of(PAYLOAD),
    chain=bytes(range(32)),
    payload=PAYLOAD,
)

GAP = replace(
    ENTRY, kind=Kind.GAP, sequence=None, event_id="", type="bridge.gap", key="", transport=None, occurred_at=None
)


def test_the_body_has_the_promised_members_in_the_promised_order() -> None:
    told = json.loads(body(ENTRY, previous=16))
    assert list(told.items())[:-1] == [
        ("type", "ORDER_MATCHED"),
        ("timestamp", "2026-02-18T23:00:00.130Z"),
        ("stream", "pb.events"),
        ("position", 17),
        ("previous", 16),
        ("kind", "event"),
        ("epoch", 1),
        ("sequence", 1207),
        ("id", "0b7e"),
        ("key", "market"),
        ("transport", "replay"),
        ("received_at", "2026-02-18T23:00:01.000Z"),
        ("digest", ENTRY.digest.hex()),
        ("chain", ENTRY.chain.hex()),
    ]
    assert list(told)[-1] == "data"


def test_the_payload_is_the_last_member_byte_for_byte() -> None:
    sent = body(ENTRY, previous=16)
    data = sent[sent.index(b'"data":') + len(b'"data":') : -1]
    assert data == PAYLOAD
    assert hashlib.sha256(data).digest() == ENTRY.digest


def test_what_the_bridge_itself_tells_has_no_sequence_and_an_id_of_its_own() -> None:
    told = json.loads(body(GAP, previous=16))
    assert (told["sequence"], told["transport"], told["id"]) == (None, None, "pb.events:17")
    assert told["timestamp"] == "2026-02-18T23:00:01.000Z"
    assert "bridge-sequence" not in headers(GAP, b"", keys=[b"k" * 32], timestamp_s=0, attempt=1)


@given(st.text(), st.text(), st.text())
def test_no_text_of_the_venue_breaks_the_body(type_: str, key: str, event_id: str) -> None:
    told = json.loads(body(replace(ENTRY, type=type_, key=key, event_id=event_id or "x"), previous=16))
    assert (told["type"], told["key"], told["id"]) == (type_, key, event_id or "x")


def test_the_webhook_id_is_stable_and_no_two_entries_share_one() -> None:
    one = webhook_id(ENTRY)
    assert one == webhook_id(replace(ENTRY, received_at=datetime(2027, 1, 1, tzinfo=UTC)))
    assert one != webhook_id(replace(ENTRY, chain=bytes(32)))
    assert one != webhook_id(replace(ENTRY, stream="other.events"))
    assert "." not in one


def test_the_headers_say_where_the_entry_stands_and_which_attempt_this_is() -> None:
    made = headers(ENTRY, b"{}", keys=[b"k" * 32, b"j" * 32], timestamp_s=1_700_000_000, attempt=3)
    signatures = made.pop("webhook-signature").split(" ")
    assert [one[:3] for one in signatures] == ["v1,", "v1,"]
    assert made == {
        "content-type": "application/json",
        "webhook-id": webhook_id(ENTRY),
        "webhook-timestamp": "1700000000",
        "bridge-stream": "pb.events",
        "bridge-position": "17",
        "bridge-sequence": "1207",
        "bridge-attempt": "3",
    }


def test_the_id_of_a_batch_is_stable_and_no_two_cuts_share_one() -> None:
    first, second, third = (replace(ENTRY, position=n, chain=bytes([n]) * 32) for n in (1, 2, 3))
    cuts = [[first], [first, second], [second, third], [first, second, third], [third]]
    assert [batch_id(cut) for cut in cuts] == [batch_id(list(cut)) for cut in cuts]
    elsewhere = [replace(entry, stream="other") for entry in (first, second)]
    ids = [batch_id(cut) for cut in (*cuts, elsewhere)] + [webhook_id(entry) for entry in (first, second, third)]
    assert len(set(ids)) == len(ids)
