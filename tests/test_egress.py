import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from bridge.clock import SystemClock
from bridge.core.delivery import Answered, MaybeSent, NotSent, Outcome
from bridge.egress import EXCERPT_BYTES_MAX, RESPONSE_BYTES_MAX, HttpEgress, is_public

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def peer(talk: Talk) -> AsyncIterator[str]:
    """A server that reads one request and then does what ``talk`` does; yields its URL."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?token=t0ken"


async def post(url: str, *, timeout_s: float = 5.0, allow_private: bool = True) -> Outcome:
    async with HttpEgress(SystemClock()) as egress:
        return await egress.post(url, {}, b"{}", timeout_s=timeout_s, allow_private=allow_private)


def saying(answer: bytes) -> Talk:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return talk


async def test_an_answer_is_told_with_the_clean_beginning_of_its_body() -> None:
    body = b"no\x00\n\x1b[31m " + b"x" * 2000
    head = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with peer(saying(head + body)) as url:
        outcome = await post(url)
    assert isinstance(outcome, Answered)
    assert (outcome.status, outcome.retry_after_s) == (503, 7.0)
    assert outcome.excerpt.startswith("no [31m xxx")
    assert len(outcome.excerpt) <= EXCERPT_BYTES_MAX


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with peer(saying(b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")) as url:
        outcome = await post(url)
    assert isinstance(outcome, Answered)
    assert outcome.status == 307


async def test_a_body_without_end_is_read_no_further_than_its_limit() -> None:
    sent = 0

    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"y" * 65_536)
            sent += 65_536
            try:
                await writer.drain()
            except ConnectionError:
                return

    async with peer(talk) as url:
        outcome = await post(url)
    assert isinstance(outcome, Answered)
    assert sent < 200 * RESPONSE_BYTES_MAX


async def test_silence_after_the_request_may_have_been_an_arrival() -> None:
    held = asyncio.Event()

    async def talk(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await held.wait()

    async with peer(talk) as url:
        outcome = await post(url, timeout_s=0.1)
        held.set()
    assert isinstance(outcome, MaybeSent)
    assert outcome.reason == "no answer in time"


async def test_a_connection_lost_after_the_request_may_have_been_an_arrival() -> None:
    async with peer(saying(b"")) as url:
        assert isinstance(await post(url), MaybeSent)


async def test_an_answer_that_is_no_http_may_have_been_an_arrival() -> None:
    async with peer(saying(b"SSH-2.0-OpenSSH\r\n\r\n")) as url:
        assert isinstance(await post(url), MaybeSent)


async def test_a_refused_connection_surely_did_not_arrive(free_port: int) -> None:
    outcome = await post(f"http://127.0.0.1:{free_port}/hook?token=t0ken")
    assert isinstance(outcome, NotSent)
    assert outcome.reason == "no connection: Connection refused"


@pytest.mark.parametrize("url", ["", "hook", "ftp://127.0.0.1/", "http://", "http://h:99999/", "http://[::1/"])
async def test_a_url_that_cannot_be_used_surely_did_not_arrive(url: str) -> None:
    assert isinstance(await post(url), NotSent)


async def test_a_name_that_does_not_resolve_surely_did_not_arrive() -> None:
    assert isinstance(await post("http://nobody.invalid/hook"), NotSent)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0"])
async def test_no_spelling_of_a_private_address_is_connected_to_unless_that_is_allowed(host: str) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    with listening:
        outcome = await post(f"https://{host}:{listening.getsockname()[1]}/", allow_private=False)
        assert isinstance(outcome, NotSent)
        with pytest.raises(BlockingIOError):
            listening.accept()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1",
        "fe80::1%eth0", "fc00::1", "ff02::1", "2001:db8::1", "::ffff:10.0.0.1", "2002:7f00:1::",
        "64:ff9b::169.254.169.254", "64:ff9b:1::1", "nonsense", "",
    ],
)  # fmt: skip
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)
