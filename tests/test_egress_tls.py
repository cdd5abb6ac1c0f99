import asyncio

import pytest

from bridge.clock import SystemClock
from bridge.core.delivery import Answered, NotSent, Outcome
from bridge.egress import HttpEgress, tls_context
from tests.identities import Identity, make_identity
from tests.posting import LOOPS, OK, PATIENCE_S, Visit, answering, peering


@pytest.fixture(scope="module", params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return LOOPS[request.param]


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return make_identity(tmp_path_factory.mktemp("identity"))


async def post(url: str, *, trusting: Identity | None = None, timeout_s: float = PATIENCE_S) -> Outcome:
    tls = tls_context(None if trusting is None else str(trusting.certificate))
    async with HttpEgress(SystemClock(), tls=tls) as egress:
        return await egress.post(url, {}, b"{}", timeout_s=timeout_s, allow_private=True)


async def test_a_post_goes_over_tls_by_name_and_speaks_http_1(identity: Identity) -> None:
    spoken: list[str | None] = []
    named: list[str | None] = []

    async def talk(visit: Visit) -> None:
        spoken.append(visit.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await answering(OK)(visit)

    serving = identity.serving()
    serving.sni_callback = lambda _socket, name, _context: named.append(name)
    async with peering(talk, tls=serving) as peer:
        assert isinstance(await post(peer.url_at("localhost"), trusting=identity), Answered)
    assert spoken == ["http/1.1"]
    assert named == ["localhost"]


async def test_a_tls_connection_is_kept_too(identity: Identity) -> None:
    async with peering(answering(OK), tls=identity.serving()) as peer:
        async with HttpEgress(SystemClock(), tls=tls_context(str(identity.certificate))) as egress:
            for _ in range(3):
                outcome = await egress.post(
                    peer.url_at("localhost"), {}, b"x" * 100_000, timeout_s=PATIENCE_S, allow_private=True
                )
                assert isinstance(outcome, Answered)
        assert (peer.connections, len(peer.requests)) == (1, 3)


async def test_a_certificate_that_nobody_vouches_for_surely_gets_no_request(identity: Identity) -> None:
    async with peering(answering(OK), tls=identity.serving()) as peer:
        outcome = await post(peer.url_at("localhost"))
        assert isinstance(outcome, NotSent)
        assert outcome.reason == "the TLS handshake failed"
        assert peer.requests == []


async def test_a_certificate_of_another_name_surely_gets_no_request(identity: Identity) -> None:
    async with peering(answering(OK), tls=identity.serving()) as peer:
        outcome = await post(peer.url_at("127.0.0.1"), trusting=identity)
        assert isinstance(outcome, NotSent)
        assert outcome.reason == "the TLS handshake failed"
        assert peer.requests == []


async def test_a_server_without_tls_surely_gets_no_request(identity: Identity) -> None:
    async def talk(visit: Visit) -> None:
        await visit.reader.read(100)
        await visit.say(b"HTTP/1.1 400 Plain\r\n\r\n")

    async with peering(talk) as peer:
        outcome = await post(peer.url.replace("http:", "https:"), trusting=identity)
    assert isinstance(outcome, NotSent)
    assert outcome.reason == "the TLS handshake failed"


async def test_a_handshake_that_never_ends_is_given_up_in_time_and_its_connection_ended(identity: Identity) -> None:
    async with peering(Visit.end) as peer:
        outcome = await post(peer.url.replace("http:", "https:"), trusting=identity, timeout_s=0.2)
        assert isinstance(outcome, NotSent)
        assert outcome.reason == "no connection in time"
        await peer.until(lambda: peer.ended == 1)


async def test_a_connection_that_ends_within_the_handshake_surely_got_no_request(identity: Identity) -> None:
    async def talk(visit: Visit) -> None:
        await visit.reader.read(1)

    async with peering(talk) as peer, asyncio.timeout(PATIENCE_S):
        assert isinstance(await post(peer.url.replace("http:", "https:"), trusting=identity), NotSent)
