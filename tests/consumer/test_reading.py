"""What a POST holds, and what is told of one that must not be taken."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.consumer import (
    Altered,
    Entries,
    Notice,
    NotOurs,
    NotTaken,
    TooOld,
    Unreadable,
    open_request,
    read_entry,
    read_page,
)
from bridge.core.envelope import body, headers
from bridge.core.signing import encode_secret, sign
from tests.consumer.bodies import AT, KEY, NOW_S, ODD, OTHER, SECRET, log, several, single, told


def opened(sent: tuple[dict[str, str], bytes], *secrets: str, now_s: float = NOW_S) -> Entries | Notice:
    return open_request(*sent, secrets=secrets or [SECRET], now_s=now_s)


def test_an_entry_is_read_with_its_content_byte_for_byte() -> None:
    for entry in log(told=[2]):
        came = opened(single(entry, previous=entry.position - 1))
        assert isinstance(came, Entries)
        [read] = came.entries
        assert (read.data, read.position, read.previous) == (entry.payload, entry.position, entry.position - 1)
        assert (read.kind, read.sequence, read.chain) == (entry.kind, entry.sequence, entry.chain.hex())
        assert (read.timestamp, read.id) == (AT, entry.event_id or f"pb.events:{entry.position}")


def test_every_entry_of_a_batch_is_read_as_it_would_be_alone() -> None:
    entries = log(told=[3])
    came = opened(several(entries, previous=0))
    assert isinstance(came, Entries)
    assert [one.data for one in came.entries] == list(ODD)
    alone = [opened(single(entry, previous=entry.position - 1)) for entry in entries]
    assert [(one,) for one in came.entries] == [one.entries for one in alone if isinstance(one, Entries)]


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_whatever_the_content_is_it_is_read_back(content: object) -> None:
    for payload in (json.dumps(content).encode(), json.dumps(content, ensure_ascii=False, indent=1).encode()):
        came = opened(several(log([payload, payload]), previous=0))
        assert isinstance(came, Entries)
        assert [one.data for one in came.entries] == [payload, payload]


def test_any_of_several_secrets_may_have_signed() -> None:
    [entry] = log(ODD[:1])
    both = [encode_secret(OTHER), SECRET]
    opened(single(entry, previous=0), *both)
    opened(single(entry, previous=0, keys=[OTHER, KEY]), encode_secret(OTHER))
    opened(single(entry, previous=0, keys=[OTHER, KEY]), SECRET)
    with pytest.raises(NotOurs):
        opened(single(entry, previous=0), encode_secret(OTHER))


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_request_without_one_of_its_headers_is_not_ours(missing: str) -> None:
    made, content = single(log()[0], previous=0)
    del made[missing]
    with pytest.raises(NotOurs):
        opened((made, content))


def test_headers_count_however_they_are_written() -> None:
    made, content = single(log()[0], previous=0)
    opened(({name.upper(): value for name, value in made.items()}, content))


def test_what_was_signed_with_other_bytes_is_not_ours_however_old() -> None:
    made, content = single(log()[0], previous=0)
    with pytest.raises(NotOurs):
        opened((made, content.replace(b"0.44000", b"0.45000")), now_s=NOW_S + 900)


@pytest.mark.parametrize("apart_s, is_taken", [(300, True), (-300, True), (301, False), (-301, False)])
def test_what_is_ours_and_was_not_signed_now_is_too_old(apart_s: int, is_taken: bool) -> None:
    sent = single(log()[0], previous=0)
    if is_taken:
        opened(sent, now_s=NOW_S + apart_s)
    else:
        with pytest.raises(TooOld, match="seconds ago"):
            opened(sent, now_s=NOW_S + apart_s)


def test_content_without_its_digest_is_altered() -> None:
    entry = log()[0]
    content = body(entry, previous=0).replace(b"0.44000", b"0.45000")
    with pytest.raises(Altered, match="position 1"):
        opened((headers(entry, content, keys=[KEY], timestamp_s=NOW_S, attempt=1), content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"type":"TYPE","position":1}',
        b'{"type":"TYPE","position":1,"data":1}',
        b'{"type":"TYPE","position":1,"data":1} ',
        b'{"type":"bridge.batch","stream":"s","first":1,"last":1,"entries":[]}',
        b'{"type":"bridge.batch","stream":"s","first":1,"last":1,"entries":[{}]}',
        b'{"type":"bridge.test"}',
    ],
)
def test_what_is_ours_but_cannot_be_read_is_told(content: bytes) -> None:
    signature = sign([KEY], webhook_id="msg_1", timestamp_s=NOW_S, body=content)
    made = {"webhook-id": "msg_1", "webhook-timestamp": str(NOW_S), "webhook-signature": signature}
    with pytest.raises(Unreadable):
        opened((made, content))


def test_a_batch_out_of_order_or_with_less_than_it_says_is_unreadable() -> None:
    entries = log()
    made, content = several(entries, previous=0)
    for wrong in (content.replace(b'"last":4', b'"last":5'), several(entries[::-1], previous=0)[1]):
        signature = sign([KEY], webhook_id="msg_1", timestamp_s=NOW_S, body=wrong)
        with pytest.raises(Unreadable, match="batch"):
            opened(({**made, "webhook-id": "msg_1", "webhook-signature": signature}, wrong))


def test_notices_are_told_apart_from_entries() -> None:
    expired = opened(told("bridge.expired", first=3, last=9))
    assert isinstance(expired, Notice)
    assert (expired.type, expired.stream, expired.timestamp) == ("bridge.expired", "pb.events", AT)
    assert expired.members == {"first": 3, "last": 9}
    checkpoint = opened(told("bridge.checkpoint", chain="ab", gaps=[{"first": 1, "last": 2}], **{"from": 1, "to": 9}))
    assert isinstance(checkpoint, Notice)
    assert checkpoint.members["to"] == 9


def test_a_page_and_a_single_entry_are_read_without_a_signature() -> None:
    raw = [body(entry, previous=entry.position - 1) for entry in log()]
    page = read_page(b'{"entries":[%b],"next":4,"next_token":"t"}' % b",".join(raw))
    assert (page.entries, page.next, page.token) == (tuple(read_entry(one) for one in raw), 4, "t")
    assert read_page(b'{"entries":[],"next":4}').token is None
    with pytest.raises(Unreadable):
        read_page(b'{"entries":1}')


def test_every_fault_says_what_to_answer() -> None:
    assert {(kind.__name__, kind.status) for kind in NotTaken.__subclasses__()} == {
        ("NotOurs", 401),
        ("TooOld", 401),
        ("Unreadable", 400),
        ("Altered", 409),
        ("Skipped", 409),
    }
