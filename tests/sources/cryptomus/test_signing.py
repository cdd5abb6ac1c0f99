"""The signature of requests, against vectors that were computed apart from this code."""

from datetime import UTC, datetime

import pytest

from bridge.sources.cryptomus.signing import RequestSigner, signature

KEY = "cm-api-key-1"


@pytest.mark.parametrize(
    "body, expected",
    [
        (b"", "20c66401c3885e66d0332e437f5100b1"),
        (b'{"market":"TRX_USDT","direction":"buy"}', "35fe19ff71608ff29eee4cd93aa0d418"),
    ],
)
def test_the_known_vectors(body: bytes, expected: str) -> None:
    assert signature(body, KEY) == expected


def test_a_request_bears_the_user_and_the_signature_of_its_body_but_not_of_its_query() -> None:
    sign = RequestSigner("user-1", KEY)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    plain = sign("GET", "/v2/user-api/exchange/orders", b"", now)
    assert plain == {"userId": "user-1", "sign": "20c66401c3885e66d0332e437f5100b1"}
    assert sign("GET", "/v2/user-api/exchange/orders?limit=1", b"", now) == plain
