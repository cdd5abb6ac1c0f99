"""Every form of a hostile URL, name or answer that we know: refused, or harmless, and told without what is secret."""

import asyncio
import gzip
import socket
from collections.abc import Sequence

import pytest

from bridge.clock import SystemClock
from bridge.core.delivery import Answered, MaybeSent, NotSent, Outcome
from bridge.egress import EXCERPT_BYTES_MAX, HttpEgress
from tests.posting import LOOPS, PATIENCE_S, Talk, Visit, peering

URL_REFUSED = "the URL cannot be used"
PLAIN_REFUSED = "plain http is for private addresses, which are not allowed here"
UNRESOLVED = "the host name cannot be resolved"

HOSTS = {
    "loopback": "127.0.0.1",
    "loopback elsewhere": "127.255.255.254",
    "loopback by name": "localhost",
    "loopback by name, rooted": "localhost.",
    "loopback, rooted": "127.0.0.1.",
    "short form": "127.1",
    "shorter form": "127.0.1",
    "one decimal": "2130706433",
    "one hex": "0x7f000001",
    "parts in hex": "0x7f.0x0.0x0.0x1",
    "parts in octal": "0177.0.0.01",
    "one octal": "017700000001",
    "mixed bases": "0x7f.1",
    "this host": "0.0.0.0",
    "this host, short": "0",
    "private 10": "10.1.2.3",
    "private 172": "172.31.255.255",
    "private 192": "192.168.1.1",
    "link-local": "169.254.1.1",
    "metadata": "169.254.169.254",
    "metadata in decimal": "2852039166",
    "metadata of Oracle": "192.0.0.192",
    "metadata of Alibaba": "100.100.100.200",
    "metadata of Azure": "168.63.129.16",
    "metadata over IPv6": "[fd00:ec2::254]",
    "carrier-grade NAT": "100.64.0.1",
    "benchmarks": "198.18.0.1",
    "documentation 1": "192.0.2.1",
    "documentation 2": "198.51.100.7",
    "documentation 3": "203.0.113.9",
    "relays of 6to4": "192.88.99.1",
    "multicast": "224.0.0.251",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "IPv6 loopback": "[::1]",
    "IPv6 unspecified": "[::]",
    "IPv4-mapped": "[::ffff:127.0.0.1]",
    "IPv4-mapped in hex": "[::ffff:a9fe:a9fe]",
    "IPv4-compatible": "[::127.0.0.1]",
    "IPv4-translated": "[::ffff:0:127.0.0.1]",
    "6to4": "[2002:7f00:1::]",
    "Teredo": "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    "NAT64": "[64:ff9b::7f00:1]",
    "NAT64 of a network": "[64:ff9b:1::1]",
    "unique-local": "[fc00::1]",
    "site-local": "[fec0::1]",
    "IPv6 link-local": "[fe80::1]",
    "IPv6 link-local with a zone": "[fe80::1%lo]",
    "IPv6 multicast": "[ff02::1]",
    "IPv6 documentation": "[2001:db8::1]",
    "IPv6 documentation, newer": "[3fff::1]",
    "IPv6 discard": "[100::1]",
    "IPv6 not handed out": "[4000::1]",
    "fullwidth digits": "１２７.０.０.１",
    "ideographic dots": "127。0。0。1",
    "circled letters": "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "zero-width space": "\u200b127.0.0.1",
    "line feed": "127.0.\n0.1",
    "carriage return": "127.0.\r0.1",
    "tab": "local\thost",
}  # fmt: skip

URLS = {
    "user and password": "https://books:t0ken@127.0.0.1:{port}/",
    "user that looks like a host": "https://ledger.example@127.0.0.1:{port}/t0ken",
    "user with a port that looks like a host": "https://ledger.example:443@127.0.0.1:{port}/t0ken",
    "backslash before the host": "https://ledger.example\\@127.0.0.1:{port}/t0ken",
    "backslash after the host": "https://127.0.0.1:{port}\\.ledger.example/t0ken",
    "percent-encoded host": "https://%31%32%37.0.0.1:{port}/t0ken",
    "percent-encoded line end": "https://127.0.0.1%0d%0ax:{port}/t0ken",
    "NUL in the host": "https://127.0.0.1\0.ledger.example:{port}/t0ken",
    "space in the host": "https://127.0.0.1 .ledger.example:{port}/t0ken",
    "semicolon in the host": "https://127.0.0.1;ledger.example:{port}/t0ken",
    "two ports": "https://127.0.0.1:{port}:443/t0ken",
    "port 0": "https://127.0.0.1:0/t0ken",
    "port beyond 65535": "https://127.0.0.1:65536/t0ken",
    "port that is negative": "https://127.0.0.1:-1/t0ken",
    "port with a sign": "https://127.0.0.1:+80/t0ken",
    "port in fullwidth digits": "https://127.0.0.1:８０/t0ken",
    "IPv4 in brackets": "https://[127.0.0.1]:{port}/t0ken",
    "bracket without end": "https://[::1:{port}/t0ken",
    "zone with words": "https://[fe80::1%x: y]:{port}/t0ken",
    "zone with a path": "https://[::1%/../]:{port}/t0ken",
    "empty label": "https://ledger..example:{port}/t0ken",
    "label too long": "https://" + "a" * 64 + ".example:{port}/t0ken",
    "no host": "https:///t0ken",
    "no scheme": "//127.0.0.1:{port}/t0ken",
    "scheme without slashes": "https:127.0.0.1/t0ken",
    "file": "file:///etc/passwd?t0ken",
    "gopher": "gopher://127.0.0.1:{port}/_POST%20t0ken",
    "ftp": "ftp://127.0.0.1:{port}/t0ken",
    "data": "data:text/plain,t0ken",
    "socket of this machine": "unix:///var/run/t0ken.sock",
    "web socket": "wss://127.0.0.1:{port}/t0ken",
    "nothing": "",
}


@pytest.fixture(scope="module", params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return LOOPS[request.param]


@pytest.fixture
async def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that somebody tried to connect to; none of them answers."""
    loop, tried = asyncio.get_running_loop(), list[str]()

    async def sock_connect(_sock: socket.socket, address: tuple[str, int]) -> None:
        tried.append(address[0])
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    return tried


def naming(monkeypatch: pytest.MonkeyPatch, *answers: Sequence[str]) -> list[str]:
    """Let ``ledger.example`` lead to each of ``answers`` in turn, the last one from then on; what was asked for."""
    loop, asked, left = asyncio.get_running_loop(), list[str](), list(answers)

    async def getaddrinfo(host: str, port: int, **_how: int) -> Sequence[tuple[object, ...]]:
        asked.append(host)
        now = left.pop(0) if len(left) > 1 else left[0]
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in now
        ]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    return asked


async def post(url: str, *, timeout_s: float = PATIENCE_S, allow_private: bool = False) -> Outcome:
    async with HttpEgress(SystemClock()) as egress:
        return await egress.post(url, {}, b"{}", timeout_s=timeout_s, allow_private=allow_private)


def test_there_are_enough_forms() -> None:
    assert len(HOSTS) + len(URLS) + len(ANSWERS) >= 40


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
async def test_no_spelling_of_an_address_that_is_not_public_is_connected_to(dialled: list[str], host: str) -> None:
    outcome = await post(f"https://{host}:8443/hooks?token=t0ken")
    assert isinstance(outcome, NotSent)
    assert outcome.reason == UNRESOLVED or outcome.reason.endswith("is not a public address"), outcome.reason
    assert dialled == []


@pytest.mark.parametrize("url", URLS.values(), ids=URLS)
@pytest.mark.parametrize("allow_private", [False, True], ids=["public", "private"])
async def test_a_url_that_may_mean_two_things_is_refused_and_not_quoted(
    dialled: list[str], url: str, allow_private: bool
) -> None:
    outcome = await post(url.format(port=8443), allow_private=allow_private)
    assert isinstance(outcome, NotSent)
    assert outcome.reason == URL_REFUSED
    assert dialled == []


@pytest.mark.parametrize("host", ["ledger.example", "8.8.8.8", "127.0.0.1"])
async def test_plain_http_is_refused_where_private_addresses_are_not_allowed(dialled: list[str], host: str) -> None:
    outcome = await post(f"http://{host}/hooks?token=t0ken")
    assert isinstance(outcome, NotSent)
    assert outcome.reason == PLAIN_REFUSED
    assert dialled == []


async def test_a_name_that_changes_after_it_was_looked_at_leads_nowhere_else(
    dialled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = naming(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    assert isinstance(await post("https://ledger.example/"), NotSent)
    assert (asked, dialled) == (["ledger.example"], ["8.8.8.8"])
    assert isinstance(await post("https://ledger.example/"), NotSent)
    assert (len(asked), dialled) == (2, ["8.8.8.8"])


async def test_of_mixed_addresses_only_the_public_ones_are_tried(
    dialled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    naming(monkeypatch, ["10.0.0.1", "8.8.8.8", "::1", "2606:4700::1111", "169.254.169.254"])
    assert isinstance(await post("https://ledger.example/"), NotSent)
    assert dialled == ["8.8.8.8", "2606:4700::1111"]


async def test_a_name_in_letters_that_look_alike_is_asked_for_as_what_it_is(
    dialled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = naming(monkeypatch, ["127.0.0.1"])
    assert isinstance(await post("https://l\u0435dger.example/"), NotSent)
    assert asked == ["xn--ldger-zwe.example"]
    assert dialled == []


async def test_no_proxy_of_the_environment_is_asked_to_connect(
    dialled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:3128")
    assert isinstance(await post("https://8.8.8.8/"), NotSent)
    assert dialled == ["8.8.8.8"]


def pieces(first: bytes, *rest: bytes) -> Talk:
    """Say ``first``, then ``rest`` again and again for as long as somebody listens."""

    async def talk(visit: Visit) -> None:
        await visit.request()
        await visit.say(first)
        while rest:
            for piece in rest:
                await visit.say(piece)

    return talk


BOMB = gzip.compress(b"\0" * 60_000_000)[:65_000]

ANSWERS: dict[str, tuple[tuple[bytes, ...], type[Outcome], int]] = {
    "redirect to loopback": (
        (b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",), Answered, 307,
    ),
    "redirect for good to metadata": (
        (b"HTTP/1.1 308 Go\r\nLocation: //169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n",), Answered, 308,
    ),
    "redirect to a file": (
        (b"HTTP/1.1 302 Go\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",), Answered, 302,
    ),
    "refresh": (
        (b"HTTP/1.1 200 OK\r\nRefresh: 0; url=http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",), Answered, 200,
    ),
    "body without end": ((b"HTTP/1.1 200 OK\r\n\r\n", b"y" * 65_536), Answered, 200),
    "chunks without end": (
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"800\r\n" + b"y" * 2048 + b"\r\n"), Answered, 200,
    ),
    "chunk of all there is": (
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff0\r\n", b"y" * 4096), Answered, 200,
    ),
    "length of all there is": (
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n", b"y" * 4096), Answered, 200,
    ),
    "length beyond a number": (
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", b"y" * 4096), MaybeSent, 0,
    ),
    "head without end": ((b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 1000 + b"\r\n"), MaybeSent, 0),
    "header without end": ((b"HTTP/1.1 200 OK\r\nX: ", b"y" * 4096), MaybeSent, 0),
    "interim answers without end": ((b"", b"HTTP/1.1 100 Continue\r\n\r\n"), MaybeSent, 0),
    "bomb": (
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB,),
        Answered, 200,
    ),
    "tunnel": ((b"HTTP/1.1 200 Connection established\r\n\r\n", b"\x16\x03\x01" * 1000), Answered, 200),
    "other protocol": (
        (b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", b"x" * 1000), Answered, 101,
    ),
    "second answer": (
        (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",), Answered, 503,
    ),
    "two lengths": ((b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",), MaybeSent, 0),
    "signs for a terminal": (
        (b"HTTP/1.1 500 No\r\nContent-Length: 12\r\n\r\n\x1b]0;owned\x07\r\n",), Answered, 500,
    ),
    "no words at all": ((b"\0" * 100,), MaybeSent, 0),
}  # fmt: skip


@pytest.mark.parametrize("said, kind, status", ANSWERS.values(), ids=ANSWERS)
async def test_no_answer_takes_more_than_its_bounds(
    said: tuple[bytes, ...], kind: type[Outcome], status: int
) -> None:
    async with peering(pieces(*said)) as peer:
        outcome = await post(peer.url, allow_private=True)
        assert isinstance(outcome, kind)
        assert peer.connections == 1
    if isinstance(outcome, Answered):
        assert outcome.status == status
        assert len(outcome.excerpt) <= EXCERPT_BYTES_MAX
        assert outcome.excerpt.isprintable()
    else:
        assert "t0ken" not in outcome.reason


@pytest.mark.parametrize("said", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n"])
async def test_an_answer_that_drips_ends_with_the_time_for_all_of_it(said: bytes) -> None:
    loop = asyncio.get_running_loop()

    async def talk(visit: Visit) -> None:
        await visit.request()
        await visit.say(said)
        while not visit.reader.at_eof():
            await visit.say(b"y")
            try:
                async with asyncio.timeout(0.01):
                    await visit.end()
            except TimeoutError:
                continue

    async with peering(talk) as peer:
        began = loop.time()
        outcome = await post(peer.url, timeout_s=0.2, allow_private=True)
        assert isinstance(outcome, MaybeSent)
        assert outcome.reason == "no answer in time"
        assert loop.time() - began < 2
        await peer.until(lambda: peer.ended == 1)
