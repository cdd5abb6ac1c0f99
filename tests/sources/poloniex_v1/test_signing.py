"""Signatures, against answers that were computed elsewhere."""

import base64
import hashlib
import hmac

from bridge.sources.poloniex_v1.signing import Keys, headers, signature

SECRET = "polo-secret-1"
AT_MS = 1760000000000
FILLS = "/api/v1/fills?symbol=BTCUSDTPERP&startAt=1759990000000"


def test_an_empty_body_is_signed_as_nothing() -> None:
    signed = signature(SECRET, AT_MS, "POST", "/api/v1/bullet-private", b"")
    assert signed == "K8prcD3FMIJGLjGFSGU0WcN+fza9dXG5z9PvbQyCQZA="


def test_the_query_is_signed_as_it_is_sent() -> None:
    assert signature(SECRET, AT_MS, "GET", FILLS, b"") == "OoYpPlWPGnfYX8BGdP2EBkg9d9C8h5jicF/5T7i5/zo="


def test_the_body_is_signed_behind_the_path() -> None:
    content = b'1760000000000POST/api/v1/orders{"a":1}'
    expected = base64.b64encode(hmac.new(SECRET.encode(), content, hashlib.sha256).digest()).decode()
    assert signature(SECRET, AT_MS, "POST", "/api/v1/orders", b'{"a":1}') == expected


def test_the_headers_carry_the_passphrase_as_it_is() -> None:
    keys = Keys(api_key="k", api_secret=SECRET, passphrase="open sesame")
    assert headers(keys, AT_MS, "GET", FILLS, b"") == {
        "PF-API-KEY": "k",
        "PF-API-SIGN": "OoYpPlWPGnfYX8BGdP2EBkg9d9C8h5jicF/5T7i5/zo=",
        "PF-API-TIMESTAMP": "1760000000000",
        "PF-API-PASSPHRASE": "open sesame",
    }


def test_others_who_speak_the_dialect_want_another_prefix_and_the_passphrases_hmac() -> None:
    keys = Keys(api_key="k", api_secret=SECRET, passphrase="open sesame", prefix="KC", passphrase_hmac=True)
    signed = headers(keys, AT_MS, "GET", FILLS, b"")
    expected = base64.b64encode(hmac.new(SECRET.encode(), b"open sesame", hashlib.sha256).digest()).decode()
    assert signed["KC-API-PASSPHRASE"] == expected
    assert signed["KC-API-KEY-VERSION"] == "2"


def test_a_key_does_not_show_itself() -> None:
    shown = repr(Keys(api_key="kkk", api_secret="sss", passphrase="ppp"))
    assert not {"kkk", "sss", "ppp"} & set(shown.replace("'", " ").replace(",", " ").split())
