"""The recipes against vectors that were computed elsewhere, from invented keys."""

import json

from bridge.sources.bybit.signing import auth_frame, request_headers

KEY, SECRET = "bybit-key-1", "bybit-secret-1"


def test_the_private_socket_is_opened_with_the_expected_signature() -> None:
    assert json.loads(auth_frame(KEY, SECRET, expires_ms=1760000001000)) == {
        "op": "auth",
        "args": [KEY, 1760000001000, "065824c41b015fe9d58a7676b0cec1546f1487c73ebb1130840a8ee8da4c47b1"],
    }


def headers(method: str, target: str, body: bytes = b"") -> dict[str, str]:
    made = request_headers(
        KEY,
        SECRET,
        method=method,
        target=target,
        body=body,
        timestamp_ms=1760000000000,
        recv_window_ms=5000,
    )
    return dict(made)


def test_a_question_is_signed_over_its_query_as_it_is_sent() -> None:
    assert headers("GET", "/v5/order/history?category=linear&limit=50&symbol=BTCUSDT") == {
        "X-BAPI-API-KEY": KEY,
        "X-BAPI-TIMESTAMP": "1760000000000",
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": "717e19e9fb1318911e275e792d259e22d76265d9c8f27903ea72311baa8c4833",
    }


def test_a_request_with_a_body_is_signed_over_the_body() -> None:
    signed = headers("POST", "/v5/x?ignored=1", b'{"category":"linear"}')
    assert signed["X-BAPI-SIGN"] == "6bc0bc265bbf2fb402bec92c8e4def50727ef2d5439993e36a97fa0c8d6090e0"


def test_what_is_encoded_in_the_query_is_signed_encoded() -> None:
    assert headers("GET", "/x?cursor=a%2525")["X-BAPI-SIGN"] != headers("GET", "/x?cursor=a%25")["X-BAPI-SIGN"]
