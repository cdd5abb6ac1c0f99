import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import UTC, datetime

import pytest

from bridge.clock import ManualClock
from bridge.core.delivery import Answered, MaybeSent, NotSent, Outcome
from bridge.egress import HttpEgress
from bridge.egress.pool import IDLE_S
from tests.posting import LOOPS, OK, PATIENCE_S, Peer, Visit, answering, peering

Post = Callable[..., Coroutine[None, None, Outcome]]


@pytest.fixture(scope="module", params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return LOOPS[request.param]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 2, 18, tzinfo=UTC))


@pytest.fixture
async def egress(clock: ManualClock) -> AsyncIterator[HttpEgress]:
    async with HttpEgress(clock, connections_max=3, idle_per_origin_max=2) as made:
        yield made


@pytest.fixture
def post(egress: HttpEgress) -> Post:
    async def send(
        url: str, body: bytes = b"{}", *, timeout_s: float = PATIENCE_S, allow_private: bool = True
    ) -> Outcome:
        return await egress.post(url, {"x": "y"}, body, timeout_s=timeout_s, allow_private=allow_private)

    return send


def status(outcome: Outcome) -> int:
    assert isinstance(outcome, Answered), outcome
    return outcome.status


class Gate:
    """Answers only when it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def talk(self, visit: Visit) -> None:
        while True:
            await visit.request()
            await self.opened.wait()
            await visit.say(OK)


async def abandoned(peer: Peer, *, ended: int) -> None:
    await peer.until(lambda: peer.ended >= ended)


async def test_a_connection_is_kept_for_the_next_request(post: Post) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nRetry-After: 9\r\n\r\n"
    async with peering(answering(OK, chunked, b"HTTP/1.1 204 No\r\n\r\n", OK)) as peer:
        assert [status(await post(peer.url)) for _ in range(4)] == [200, 200, 204, 200]
        assert (peer.connections, len(peer.requests)) == (1, 4)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Other\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        OK + b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_a_connection_that_the_answer_spoils_is_ended_by_us(post: Post, answer: bytes) -> None:
    async with peering(answering(answer)) as peer:
        first = status(await post(peer.url))
        await abandoned(peer, ended=1)
        assert status(await post(peer.url)) == first
        assert peer.connections == 2


async def test_an_answer_may_end_with_its_connection(post: Post) -> None:
    async def talk(visit: Visit) -> None:
        await visit.request()
        await visit.say(b"HTTP/1.0 503 Busy\r\nRetry-After: 7\r\n\r\nlater")

    async with peering(talk) as peer:
        outcome = await post(peer.url)
    assert isinstance(outcome, Answered)
    assert (outcome.status, outcome.retry_after_s, outcome.excerpt) == (503, 7.0, "later")


async def test_a_kept_connection_that_ended_meanwhile_is_replaced(post: Post) -> None:
    async def talk(visit: Visit) -> None:
        await visit.request()
        await visit.say(OK)

    async with peering(talk) as peer:
        for _ in range(3):
            assert status(await post(peer.url)) == 200
        assert len(peer.requests) == 3


async def closing_on_the_second(visit: Visit) -> None:
    """What a server does whose patience with an idle connection ends as a request is on its way."""
    await visit.request()
    await visit.say(OK)
    if visit.ordinal > 1:
        await visit.end()
        return
    await visit.request()


async def test_a_request_that_met_the_end_of_its_connection_is_sent_once_more_on_a_new_one(post: Post) -> None:
    async with peering(closing_on_the_second) as peer:
        assert status(await post(peer.url, b"one")) == 200
        assert status(await post(peer.url, b"two")) == 200
        assert [request[-3:] for request in peer.requests] == [b"one", b"two", b"two"]
        assert peer.connections == 2


async def test_a_second_try_is_the_last_one(post: Post) -> None:
    async def talk(visit: Visit) -> None:
        await visit.request()
        if visit.ordinal == 1:
            await visit.say(OK)
            await visit.request()

    async with peering(talk) as peer:
        assert status(await post(peer.url)) == 200
        outcome = await post(peer.url)
        assert isinstance(outcome, MaybeSent)
        assert outcome.reason == "the connection was lost before the answer"
        assert len(peer.requests) == 3


async def test_a_request_is_not_sent_again_once_part_of_an_answer_came(post: Post) -> None:
    async def talk(visit: Visit) -> None:
        await visit.request()
        await visit.say(OK)
        await visit.request()
        await visit.say(b"H")

    async with peering(talk) as peer:
        assert status(await post(peer.url)) == 200
        assert isinstance(await post(peer.url), MaybeSent)
        assert len(peer.requests) == 2


async def test_a_request_that_was_written_once_may_have_arrived_even_if_the_new_connection_is_refused(
    post: Post,
) -> None:
    stop = asyncio.Event()
    closed = asyncio.Event()

    async def talk(visit: Visit) -> None:
        await visit.request()
        await visit.say(OK)
        await visit.request()
        stop.set()
        await closed.wait()

    async with peering(talk) as peer:
        url = peer.url
        assert status(await post(url)) == 200
        async with asyncio.TaskGroup() as group:
            posting = group.create_task(post(url))
            await stop.wait()
            assert peer.listening is not None
            peer.listening.close()
            closed.set()
        outcome = posting.result()
    assert isinstance(outcome, MaybeSent)
    assert outcome.reason == "no connection: Connection refused"


@pytest.mark.parametrize(
    "answer, reason",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Le", "the connection was lost before the answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "the connection was lost before the answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9, 8\r\n\r\n", "the answer cannot be read"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "the connection was lost before the answer"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000, "the answer cannot be read"),
        (b"\x16\x03\x01", "the answer cannot be read"),
    ],
)
async def test_half_an_answer_is_none(post: Post, answer: bytes, reason: str) -> None:
    async def talk(visit: Visit) -> None:
        await visit.request()
        await visit.say(answer)

    async with peering(talk) as peer:
        outcome = await post(peer.url)
    assert isinstance(outcome, MaybeSent)
    assert outcome.reason == reason


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"])
async def test_an_answer_that_comes_too_slowly_is_given_up_and_its_connection_ended(post: Post, begin: bytes) -> None:
    async def talk(visit: Visit) -> None:
        await visit.request()
        await visit.say(begin)
        await visit.end()

    async with peering(talk) as peer:
        outcome = await post(peer.url, timeout_s=0.1)
        assert isinstance(outcome, MaybeSent)
        assert outcome.reason == "no answer in time"
        await abandoned(peer, ended=1)


async def test_the_time_limit_holds_for_both_tries_together(post: Post) -> None:
    held = asyncio.Event()

    async def talk(visit: Visit) -> None:
        await visit.request()
        if visit.ordinal == 1:
            await visit.say(OK)
            await visit.request()
            return
        await held.wait()

    loop = asyncio.get_running_loop()
    async with peering(talk) as peer:
        assert status(await post(peer.url)) == 200
        began = loop.time()
        assert isinstance(await post(peer.url, timeout_s=0.2), MaybeSent)
        assert 0.15 < loop.time() - began < 2
        assert len(peer.requests) == 3


async def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one(post: Post) -> None:
    heard = asyncio.Event()

    async def talk(visit: Visit) -> None:
        await visit.request()
        await visit.say(OK)
        if visit.ordinal == 1:
            await heard.wait()
            await visit.say(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        await visit.end()

    async with peering(talk) as peer:
        assert status(await post(peer.url)) == 200
        heard.set()
        await abandoned(peer, ended=1)
        assert status(await post(peer.url)) == 200
        assert peer.connections == 2


async def test_the_connection_that_was_used_last_is_used_first(post: Post) -> None:
    gate, used = Gate(), []

    async def talk(visit: Visit) -> None:
        while True:
            await visit.request()
            if gate.opened.is_set():
                used.append(visit.ordinal)
            elif visit.ordinal == 1:
                await gate.opened.wait()
            await visit.say(OK)

    async with peering(talk) as peer:
        async with asyncio.TaskGroup() as group:
            group.create_task(post(peer.url))
            await peer.until(lambda: len(peer.requests) == 1)
            assert status(await post(peer.url)) == 200
            gate.opened.set()
        assert [status(await post(peer.url)) for _ in range(3)] == [200] * 3
        assert used == [1, 1, 1]


async def test_a_request_that_was_answered_before_it_was_read_spoils_its_connection(post: Post) -> None:
    async def talk(visit: Visit) -> None:
        await visit.reader.readuntil(b"\r\n\r\n")
        await visit.say(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
        await visit.end()

    async with peering(talk) as peer:
        assert status(await post(peer.url, b"x" * 16_000_000)) == 413
        await abandoned(peer, ended=1)


async def test_cancelling_ends_the_connection(post: Post) -> None:
    async def talk(visit: Visit) -> None:
        await visit.request()
        await visit.end()

    async with peering(talk) as peer, asyncio.TaskGroup() as group:
        posting = group.create_task(post(peer.url))
        await peer.until(lambda: len(peer.requests) == 1)
        posting.cancel()
        await abandoned(peer, ended=1)


async def test_a_connection_that_was_idle_too_long_is_not_used_again(post: Post, clock: ManualClock) -> None:
    async with peering(answering(OK)) as peer:
        assert status(await post(peer.url)) == 200
        clock.advance(IDLE_S)
        assert status(await post(peer.url)) == 200
        assert peer.connections == 1
        clock.advance(IDLE_S + 0.001)
        assert status(await post(peer.url)) == 200
        assert peer.connections == 2


async def test_a_connection_that_is_idle_too_long_is_ended_though_nobody_asks(
    post: Post, egress: HttpEgress, clock: ManualClock
) -> None:
    async with peering(answering(OK)) as peer:
        await post(peer.url)
        clock.advance(IDLE_S)
        egress._pool._sweep()
        await abandoned(peer, ended=1)
        assert egress._pool._idle == {}


async def test_requests_side_by_side_have_a_connection_each_and_only_so_many_are_kept(post: Post) -> None:
    gate = Gate()
    async with peering(gate.talk) as peer:
        async with asyncio.TaskGroup() as group:
            posting = [group.create_task(post(peer.url)) for _ in range(3)]
            await peer.until(lambda: len(peer.requests) == 3)
            gate.opened.set()
        assert [status(task.result()) for task in posting] == [200] * 3
        assert peer.connections == 3
        await abandoned(peer, ended=1)
        assert peer.ended == 1


async def test_more_connections_than_there_may_be_are_refused_before_anything_is_sent(post: Post) -> None:
    gate = Gate()
    async with peering(gate.talk) as peer, asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(post(peer.url))
        await peer.until(lambda: len(peer.requests) == 3)
        outcome = await post(peer.url)
        gate.opened.set()
    assert isinstance(outcome, NotSent)
    assert outcome.reason == "no connection: too many connections are open"
    assert len(peer.requests) == 3


async def test_an_idle_connection_gives_way_to_one_that_is_needed(post: Post) -> None:
    async with (
        peering(answering(OK)) as one,
        peering(answering(OK)) as two,
        peering(answering(OK)) as three,
        peering(answering(OK)) as four,
    ):
        for peer in (one, two, three, four):
            assert status(await post(peer.url)) == 200
        await abandoned(one, ended=1)
        assert (two.ended, three.ended, four.ended) == (0, 0, 0)


async def test_connections_that_may_be_private_are_no_others(post: Post) -> None:
    async with peering(answering(OK)) as peer:
        assert status(await post(peer.url)) == 200
        assert isinstance(await post(peer.url, allow_private=False), NotSent)
        assert len(peer.requests) == 1


async def test_leaving_ends_every_connection(clock: ManualClock) -> None:
    async with peering(answering(OK)) as peer:
        async with HttpEgress(clock) as egress:
            await egress.post(peer.url, {}, b"", timeout_s=PATIENCE_S, allow_private=True)
        await abandoned(peer, ended=1)


def naming(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> list[str]:
    """Let ``ledger.example`` lead to ``addresses``; returns the names that were looked up, as they come."""
    loop, asked = asyncio.get_running_loop(), []
    resolve = loop.getaddrinfo

    async def getaddrinfo(host: str, port: int, **how: int) -> Sequence[tuple[object, ...]]:
        if host != "ledger.example":
            return await resolve(host, port, **how)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    return asked


async def test_addresses_are_tried_in_their_order_until_one_takes_the_connection(
    post: Post, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    async with peering(answering(OK)) as first, peering(answering(OK)) as second:
        naming(monkeypatch, ("127.0.0.1", free_port), ("127.0.0.1", second.port), ("127.0.0.1", first.port))
        assert status(await post("http://ledger.example/")) == 200
        assert (first.connections, second.connections) == (0, 1)


async def test_a_name_is_looked_up_once_and_its_private_addresses_are_passed_over(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with peering(answering(OK)) as peer:
        asked = naming(monkeypatch, ("127.0.0.1", peer.port), ("10.0.0.1", peer.port))
        outcome = await post("https://ledger.example/", allow_private=False)
        assert isinstance(outcome, NotSent)
        assert outcome.reason == "no connection: 10.0.0.1 is not a public address"
        assert (asked, peer.connections) == (["ledger.example"], 0)


async def test_a_header_with_a_line_of_its_own_is_never_sent(egress: HttpEgress) -> None:
    async with peering(answering(OK)) as peer:
        headers = {"x": "y\r\nz: injected"}
        outcome = await egress.post(peer.url, headers, b"", timeout_s=PATIENCE_S, allow_private=True)
        assert isinstance(outcome, NotSent)
        assert peer.connections == 0
