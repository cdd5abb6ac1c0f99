"""The socket against the simulated venue, and against one of our own that misbehaves, on real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from http import HTTPStatus

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from bridge.clock import SystemClock
from bridge.core.event import Event
from bridge.sim.playbatman import API_KEY, MARKETS, SimConfig
from bridge.sources.base import Connected, Disconnected, LiveUpdate
from bridge.sources.playbatman.source import PlayBatman, PlayBatmanOptions
from bridge.sources.socket import SocketLimits
from bridge.sources.wire import WireLimits
from tests.sim.serving import running
from tests.sources.playbatman.recorded import MARKET, recorded

PATIENCE_S = 20
QUICK = SocketLimits(
    ping_interval_s=0.1, silence_s=0.5, acknowledge_timeout_s=1, backoff_first_s=0.02, backoff_max_s=0.1
)
WIRE = WireLimits(connect_timeout_s=5, close_timeout_s=0.2, frame_bytes_max=4096)
Talk = Callable[[ServerConnection], Awaitable[None]]


def source_at(
    port: int, *, key: str = API_KEY, markets: tuple[str, ...] = (MARKET,), query: bool = False
) -> PlayBatman:
    options = PlayBatmanOptions(
        name="pb",
        rest_url=f"http://127.0.0.1:{port}",
        ws_url=f"ws://127.0.0.1:{port}/ws",
        api_key=key,
        markets=markets,
        key_in_query=query,
        socket=QUICK,
        wire=WIRE,
    )
    return PlayBatman(options, clock=SystemClock(), jitter=lambda: 0.5)


@asynccontextmanager
async def venue(talk: Talk, *, refuse: HTTPStatus | None = None, location: str = "") -> AsyncIterator[int]:
    """A venue on a free port whose side of each connection is ``talk``."""

    def check(connection: ServerConnection, request: Request) -> Response | None:
        if refuse is None:
            return None
        response = connection.respond(refuse, "no")
        if location:
            response.headers["Location"] = location
        return response

    async with serve(talk, "127.0.0.1", 0, process_request=check, close_timeout=0.1) as server:
        yield server.sockets[0].getsockname()[1]


async def opened(connection: ServerConnection) -> None:
    await connection.send(recorded("frame_authenticated"), text=True)
    await connection.recv()
    await connection.send(recorded("frame_subscribed"), text=True)


async def until(updates: AsyncIterator[LiveUpdate], wanted: Callable[[LiveUpdate], bool]) -> list[LiveUpdate]:
    heard: list[LiveUpdate] = []
    async with asyncio.timeout(PATIENCE_S):
        async for update in updates:
            heard.append(update)
            if wanted(update):
                break
    return heard


def is_event(update: LiveUpdate) -> bool:
    return isinstance(update, Event)


def is_disconnected(update: LiveUpdate) -> bool:
    return isinstance(update, Disconnected)


@pytest.mark.parametrize("query", [False, True])
async def test_the_simulated_venue_is_heard_and_heard_again_after_a_cut(query: bool) -> None:
    async with running(SimConfig(events_per_s=50)) as sim:
        source = source_at(sim.port, markets=tuple(MARKETS), query=query)
        async with aclosing(source.live()) as updates:
            first = await until(updates, is_event)
            assert first[0] == Connected()
            await sim.told("cut-sockets")
            again = await until(updates, lambda update: update == Connected())
            assert any(is_disconnected(update) for update in again)
            await until(updates, is_event)
        await source.close()


async def test_the_simulated_venue_refuses_a_wrong_key_with_4001() -> None:
    async with (
        running(SimConfig(events_per_s=0)) as sim,
        aclosing(source_at(sim.port, key="wrong").live()) as updates,
    ):
        assert await until(updates, is_disconnected) == [Disconnected("closed with code 4001", misconfigured=True)]


@pytest.mark.parametrize("status", [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN])
async def test_a_key_refused_at_the_upgrade_is_a_refused_key(status: HTTPStatus) -> None:
    async with venue(opened, refuse=status) as port, aclosing(source_at(port).live()) as updates:
        assert await until(updates, is_disconnected) == [Disconnected(f"HTTP {status}", misconfigured=True)]


async def test_a_redirect_is_not_followed_because_it_would_carry_the_key() -> None:
    reached = asyncio.Event()

    async def trap(connection: ServerConnection) -> None:
        reached.set()

    async with venue(trap) as elsewhere:
        refusing = venue(opened, refuse=HTTPStatus.FOUND, location=f"ws://127.0.0.1:{elsewhere}/ws")
        async with refusing as port, aclosing(source_at(port).live()) as updates:
            assert await until(updates, is_disconnected) == [Disconnected("HTTP 302")]
    assert not reached.is_set()


async def test_nobody_at_home_is_a_disconnect_without_an_address() -> None:
    async with venue(opened) as port:
        pass
    async with aclosing(source_at(port, key="k3y", query=True).live()) as updates:
        heard = await until(updates, is_disconnected)
    assert isinstance(heard[0], Disconnected)
    assert "k3y" not in heard[0].reason
    assert str(port) not in heard[0].reason


async def test_a_frame_that_is_no_utf8_does_not_end_the_session() -> None:
    async def talk(connection: ServerConnection) -> None:
        await opened(connection)
        await connection.send(b"\xff\xfe", text=True)
        await connection.send(recorded("frame_trade"), text=True)
        await connection.wait_closed()

    async with venue(talk) as port:
        source = source_at(port)
        async with aclosing(source.live()) as updates:
            heard = await until(updates, is_event)
    assert [type(update).__name__ for update in heard] == ["Connected", "Event"]
    assert source.oddities == {"frame.malformed": 1}


async def test_a_frame_beyond_the_bound_ends_the_session_and_the_next_one_goes_on() -> None:
    async def talk(connection: ServerConnection) -> None:
        await opened(connection)
        await connection.send(b"x" * 5000, text=True)
        await connection.wait_closed()

    async with venue(talk) as port, aclosing(source_at(port).live()) as updates:
        heard = await until(updates, is_disconnected)
        assert [type(update).__name__ for update in heard] == ["Connected", "Disconnected"]
        await until(updates, lambda update: update == Connected())


async def test_a_silent_venue_is_left() -> None:
    async def talk(connection: ServerConnection) -> None:
        await opened(connection)
        await connection.wait_closed()

    async with venue(talk) as port, aclosing(source_at(port).live()) as updates:
        heard = await until(updates, is_disconnected)
        assert heard == [Connected(), Disconnected("silent: no pong")]
