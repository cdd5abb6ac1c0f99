import pytest

from bridge import __version__
from bridge.egress.target import Origin, Unsendable, target


def test_a_request_is_what_the_protocol_says() -> None:
    made = target("https://ledger.example:8443/hooks?a=1", allow_private=False)
    assert made.origin == Origin(tls=True, host="ledger.example", port=8443, allow_private=False)
    assert made.request({"webhook-id": "e-1", "x": "ü"}, b'{"a":1}') == (
        b"POST /hooks?a=1 HTTP/1.1\r\nhost: ledger.example:8443\r\nuser-agent: bridge/"
        + __version__.encode()
        + b"\r\n"
        b'content-length: 7\r\nwebhook-id: e-1\r\nx: \xfc\r\n\r\n{"a":1}'
    )


@pytest.mark.parametrize(
    "url, port, line, host",
    [
        ("http://h", 80, "/", "h"),
        ("https://h/", 443, "/", "h"),
        ("http://H.example:80/A", 80, "/A", "h.example"),
        ("http://h:8080?q=1", 8080, "/?q=1", "h:8080"),
        ("http://[::1]/a", 80, "/a", "[::1]"),
        ("http://[::1]:81/a", 81, "/a", "[::1]:81"),
        ("http://[fe80::1%eth0]/", 80, "/", "[fe80::1]"),
        ("http://h/a b/ü?ö=%20 x#part", 80, "/a%20b/%C3%BC?%C3%B6=%20%20x", "h"),
        ("http://h/\r\nx: y", 80, "/x:%20y", "h"),
        ("http://bücher.example/", 80, "/", "xn--bcher-kva.example"),
    ],
)
def test_a_url_is_written_as_a_request_needs_it(url: str, port: int, line: str, host: str) -> None:
    made = target(url, allow_private=True)
    assert made.origin.port == port
    assert made.head.startswith(f"POST {line} HTTP/1.1\r\nhost: {host}\r\n".encode())


@pytest.mark.parametrize(
    "url",
    [
        "", "hook", "ftp://h/", "http://", "http://h:99999/", "http://h:0/", "http://[::1/", "http://[::g]/",
        "http://name:word@h/", "http://name@h/", "http://a b/", "http://a..b/", "http://.b/", "http://h\0/",
        f"http://{'a' * 64}.example/", "ftp://h:21/", "http://[fe80::1%x: y]/", "http://a%0d%0ab/",
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_used_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(Unsendable) as refused:
        target(url, allow_private=True)
    assert str(refused.value) == "the URL cannot be used"


@pytest.mark.parametrize(
    "headers", [{"x": "a\r\ny: b"}, {"x": "a\n"}, {"x": "a\rb"}, {"x\r\ny": "b"}, {"x": "a\0"}, {"x": "\u20ac"}]
)
def test_a_header_that_would_leave_its_line_is_not_sent(headers: dict[str, str]) -> None:
    with pytest.raises(Unsendable):
        target("http://h/", allow_private=True).request(headers, b"")


def test_no_text_of_a_target_holds_its_secrets() -> None:
    assert "t0ken" not in repr(target("http://h/hook/t0ken?token=t0ken", allow_private=True))
