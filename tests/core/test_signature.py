"""What counts as genuine. The vectors were computed apart from this code."""

import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.signature import SignatureProfile, learn, verify

SECRET = "0f1e2d3c4b5a"
BODY = b'{"id":"9e0d","eventType":"ORDER_MATCHED","sequence":1207}'
NOW = datetime.fromtimestamp(1_760_000_000, UTC)
STAMPED = SignatureProfile(content="{timestamp}.{body}")
PLAIN = "14df8951a0abff0e847fc40cbdf472913f9a6b5c110e8a5b3b7ddfadc72c45e7"
BASE64 = "FN+JUaCr/w6Ef8QMvfRykT+aa1wRDopbO33frccsRec="
WITH_TIME = "612a61aef0e91ceafed3bb4f5a01527e27ddf25c9fb7b41b3c04abf67caf7391"
HEX_KEY = "9c94e14208f478e15903d7d730b9328db4ca5a586674c155ad64cc8dd8081c91"

VECTORS = [
    (SignatureProfile(), PLAIN),
    (SignatureProfile(encoding="base64"), BASE64),
    (STAMPED, WITH_TIME),
    (SignatureProfile(key="hex"), HEX_KEY),
    (SignatureProfile(prefix="sha256="), f"sha256={PLAIN}"),
]


def headers(signature: str, *, stamp: str | None = "1760000000") -> list[tuple[bytes, bytes]]:
    given = [(b"host", b"bridge.test"), (b"x-webhook-signature", signature.encode())]
    return given if stamp is None else [*given, (b"x-webhook-timestamp", stamp.encode())]


def check(profile: SignatureProfile, given: list[tuple[bytes, bytes]], *secrets: str, body: bytes = BODY) -> bool:
    return verify(profile, secrets or (SECRET,), given, body, NOW)


@pytest.mark.parametrize("profile, signature", VECTORS)
def test_every_known_vector_verifies_under_its_profile_and_no_other(
    profile: SignatureProfile, signature: str
) -> None:
    accepting = [other for other, _ in VECTORS if check(other, headers(signature))]
    assert accepting == [profile]


@pytest.mark.parametrize("profile, signature", VECTORS)
def test_another_body_or_secret_does_not_verify(profile: SignatureProfile, signature: str) -> None:
    assert not check(profile, headers(signature), body=BODY + b" ")
    assert not check(profile, headers(signature), SECRET + "01")


def test_any_of_the_secrets_will_do_while_rotating() -> None:
    assert check(SignatureProfile(), headers(PLAIN), "aa", SECRET, "bb")
    assert not verify(SignatureProfile(), (), headers(PLAIN), BODY, NOW)


def test_hexadecimal_may_be_written_large_but_base64_and_prefix_may_not() -> None:
    assert check(SignatureProfile(), headers(PLAIN.upper()))
    assert not check(SignatureProfile(encoding="base64"), headers(BASE64.swapcase()))
    assert not check(SignatureProfile(prefix="sha256="), headers(f"SHA256={PLAIN}"))


def test_the_header_is_found_whatever_its_case_in_the_profile() -> None:
    assert check(SignatureProfile(header="X-WEBHOOK-signature"), headers(PLAIN))


def test_a_signature_that_stands_twice_or_not_at_all_is_none() -> None:
    twice = [*headers(PLAIN), (b"x-webhook-signature", PLAIN.encode())]
    assert not check(SignatureProfile(), twice)
    assert not check(SignatureProfile(), [])


@pytest.mark.parametrize("profile", [SignatureProfile(), STAMPED])
@pytest.mark.parametrize("stamp", ["", "soon", "-1", "1e9", "1760000000.5", "9" * 40, "²"])
def test_a_timestamp_that_cannot_be_read_is_refused(profile: SignatureProfile, stamp: str) -> None:
    assert not check(profile, headers(PLAIN if profile != STAMPED else WITH_TIME, stamp=stamp))


def test_a_timestamp_that_stands_twice_is_refused() -> None:
    assert not check(SignatureProfile(), [*headers(PLAIN), (b"x-webhook-timestamp", b"1760000000")])


def test_an_absent_timestamp_is_legal_only_where_it_is_not_signed() -> None:
    assert check(SignatureProfile(), headers(PLAIN, stamp=None))
    assert not check(STAMPED, headers(WITH_TIME, stamp=None))


@pytest.mark.parametrize("profile, signature", [(SignatureProfile(), PLAIN), (STAMPED, WITH_TIME)])
@pytest.mark.parametrize("off_s, genuine", [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_a_present_timestamp_must_be_within_tolerance(
    profile: SignatureProfile, signature: str, off_s: int, genuine: bool
) -> None:
    now = NOW + timedelta(seconds=off_s)
    assert verify(profile, (SECRET,), headers(signature), BODY, now) is genuine


def test_milliseconds_are_told_from_seconds() -> None:
    assert check(SignatureProfile(), headers(PLAIN, stamp="1760000000123"))


@pytest.mark.parametrize("secret", ["", "not hexadecimal", "\ud800"])
def test_a_secret_that_gives_no_key_matches_nothing(secret: str) -> None:
    for key in ("utf8", "hex"):
        profile = SignatureProfile(key="hex" if key == "hex" else "utf8")
        assert not check(profile, headers(PLAIN), secret)


@pytest.mark.parametrize("profile", [SignatureProfile(), SignatureProfile(key="hex")])
def test_an_empty_secret_is_no_secret_although_anybody_could_sign_with_it(profile: SignatureProfile) -> None:
    assert not check(profile, headers(hmac.digest(b"", BODY, "sha256").hex()), "")


@given(st.binary(max_size=90), st.sampled_from([profile for profile, _ in VECTORS]), st.binary(max_size=20))
def test_no_signature_raises_and_none_is_right_by_chance(
    signature: bytes, profile: SignatureProfile, stamp: bytes
) -> None:
    given_headers = [(b"x-webhook-signature", signature), (b"x-webhook-timestamp", stamp)]
    assert not verify(profile, (SECRET,), given_headers, BODY, NOW)


@pytest.mark.parametrize("content", ["", "body", "{body}{body}", "{timestamp}{timestamp}{body}"])
def test_a_profile_signs_the_body_once(content: str) -> None:
    with pytest.raises(ValueError, match="body"):
        SignatureProfile(content=content)


@pytest.mark.parametrize("profile, signature", VECTORS)
def test_one_captured_delivery_teaches_its_profile(profile: SignatureProfile, signature: str) -> None:
    captured = [(name.title(), value) for name, value in headers(signature)]
    assert learn(captured, BODY, SECRET) == [profile]


def test_an_old_delivery_teaches_as_well() -> None:
    given_headers = [(b"X-Signature", f"v1={WITH_TIME}".encode()), (b"X-Timestamp", b"1760000000")]
    assert learn(given_headers, BODY, SECRET) == [
        SignatureProfile(
            header="X-Signature", prefix="v1=", content="{timestamp}.{body}", timestamp_header="X-Timestamp"
        )
    ]


def test_a_delivery_of_another_secret_teaches_nothing() -> None:
    assert learn(headers(PLAIN), BODY, "ffff") == []
