"""Ids and stamps as venues write them."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from bridge.sim.market.ids import ms_of, ulid_of, us_of, uuid_of, whole_ms, whole_s

TOKEN = "0123456789abcdef0123456789abcdef"
AT = datetime(2026, 2, 18, 23, 0, 1, 234_567, tzinfo=UTC)


def test_a_uuid_is_one_and_keeps_the_token_apart_from_others() -> None:
    assert UUID(uuid_of(TOKEN)).version == 4
    assert uuid_of(TOKEN) == "01234567-89ab-4def-8123-456789abcdef"
    assert uuid_of("f" + TOKEN[1:]) != uuid_of(TOKEN)


def test_ulids_sort_by_their_milliseconds() -> None:
    first, second = ulid_of("f" * 32, AT), ulid_of("0" * 32, AT + timedelta(milliseconds=1))
    assert len(first) == len(second) == 26
    assert first < second
    assert ulid_of(TOKEN, AT)[:10] == first[:10]
    assert ulid_of(TOKEN, datetime(1970, 1, 1, tzinfo=UTC)) == "0000000000" + "04HMASW9NF6YY093"


def test_stamps_are_exact_and_cut_off() -> None:
    assert us_of(AT) == 1_771_455_601_234_567
    assert ms_of(AT) == 1_771_455_601_234
    assert whole_ms(AT).microsecond == 234_000
    assert whole_s(AT).microsecond == 0
