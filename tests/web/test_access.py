"""Who may read: decided from token, headers and peer alone."""

import pytest

from bridge.web.access import refusal

HOST = (b"host", b"127.0.0.1:8000")


@pytest.mark.parametrize(
    "headers, status",
    [
        ([(b"authorization", b"Bearer right")], None),
        ([(b"authorization", b"bearer right")], None),
        ([(b"authorization", b"Bearer wrong")], 401),
        ([(b"authorization", b"Bearer righ")], 401),
        ([(b"authorization", b"Bearer ")], 401),
        ([(b"authorization", b"Basic right")], 401),
        ([(b"authorization", b"right")], 401),
        ([(b"authorization", b"Bearer \xff\xfe")], 401),
        ([(b"authorization", b"Bearer wrong"), (b"authorization", b"Bearer right")], 401),
        ([(b"authorization", b"Bearer right"), (b"authorization", b"Bearer wrong")], 401),
        ([], 401),
    ],
)
def test_with_a_token_its_bearer_may_read_and_nobody_else_from_anywhere(
    headers: list[tuple[bytes, bytes]], status: int | None
) -> None:
    for peer in ("127.0.0.1", "203.0.113.9", None):
        refused = refusal("right", [HOST, *headers], peer)
        assert (None if refused is None else refused.status) == status


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_without_a_token_this_machine_may_read(peer: str) -> None:
    assert refusal(None, [HOST], peer) is None
    assert refusal(None, [(b"host", b"localhost")], peer) is None
    assert refusal(None, [(b"host", b"[::1]:8000")], peer) is None


@pytest.mark.parametrize("peer", ["203.0.113.9", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "", "localhost", None])
def test_without_a_token_no_other_machine_may_read(peer: str | None) -> None:
    refused = refusal(None, [HOST], peer)
    assert refused is not None
    assert refused.status == 403


@pytest.mark.parametrize("header", [b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via", b"x-forwarded-proto"])
def test_without_a_token_whoever_comes_through_a_proxy_may_not_read(header: bytes) -> None:
    refused = refusal(None, [HOST, (header, b"127.0.0.1")], "127.0.0.1")
    assert refused is not None
    assert refused.status == 403


@pytest.mark.parametrize(
    "hosts", [[], [b"evil.example"], [b"127.0.0.1.evil.example"], [b"localhost", b"evil.example"]]
)
def test_without_a_token_a_browser_led_here_by_somebody_elses_page_may_not_read(hosts: list[bytes]) -> None:
    refused = refusal(None, [(b"host", host) for host in hosts], "127.0.0.1")
    assert refused is not None
    assert refused.status == 403
