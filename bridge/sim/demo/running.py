"""The parts of a demo while they run: started in order, known by name, and all of them gone afterwards."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.core.errors import BridgeError
from bridge.sim.demo import parts
from bridge.sim.demo.children import Child, started
from bridge.sim.demo.markets import Market
from bridge.sim.demo.parts import Part
from bridge.sim.demo.scenario import (
    PLAYBATMAN,
    Keys,
    Scenario,
    bridge_toml,
    child_environ,
    consumer_arguments,
    free_port,
    market_arguments,
    venue_arguments,
)

LOOK_EVERY_S = 0.05
READY_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """The parts while they run. ``venue`` is the one that numbers its events, where it takes part."""

    children: tuple[Child, ...]
    venue: Part | None
    markets: tuple[Market, ...]
    bridge: Part
    consumer: Part
    database: AsyncEngine

    def require_alive(self) -> None:
        """Raises BridgeError where a part has ended."""
        for child in self.children:
            child.require_alive()


@asynccontextmanager
async def running(
    scenario: Scenario, *, folder: Path, environ: Mapping[str, str], clock: Clock
) -> AsyncIterator[Running]:
    """The parts, ready, with the venues silent as yet; all of them gone afterwards."""
    port = free_port()
    env = child_environ(environ, Keys(), folder=folder, port=port)
    async with AsyncExitStack() as stack:

        async def start(name: str, arguments: list[str]) -> Child:
            return await stack.enter_async_context(started(name, arguments, folder=folder, environ=env, clock=clock))

        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        consumer = await start("consumer", consumer_arguments(scenario, folder=folder))
        venues = await _start_venues(start, scenario, bridge_port=port)
        ports = {name: await child.port() for name, child in venues.items()}
        consumer_port = await consumer.port()
        (folder / "bridge.toml").write_text(bridge_toml(ports=ports, consumer_port=consumer_port))
        bridge = await start("bridge", ["run"])
        asked = Part("bridge", http, port)
        await _await_ready(bridge, asked, clock)
        database = parts.open_database(folder / "bridge")
        stack.push_async_callback(database.dispose)
        yield Running(
            children=(*venues.values(), bridge, consumer),
            venue=Part("venue", http, ports[PLAYBATMAN]) if PLAYBATMAN in ports else None,
            markets=tuple(Market(one, Part(one.venue, http, ports[one.venue])) for one in scenario.followed),
            bridge=asked,
            consumer=Part("consumer", http, consumer_port),
            database=database,
        )


async def _start_venues(
    start: Callable[[str, list[str]], Awaitable[Child]], scenario: Scenario, *, bridge_port: int
) -> dict[str, Child]:
    """Those that take part, by name, side by side: none is ready yet."""
    venues: dict[str, Child] = {}
    if scenario.numbered:
        venues[PLAYBATMAN] = await start("venue", venue_arguments(scenario, bridge_port=bridge_port))
    for one in scenario.followed:
        venues[one.venue] = await start(one.venue, market_arguments(scenario, one))
    return venues


async def _await_ready(bridge: Child, asked: Part, clock: Clock) -> None:
    until = clock.monotonic() + READY_TIMEOUT_S
    while True:
        bridge.require_alive()
        try:
            await asked.ask("/readyz", object)
        except BridgeError:
            if clock.monotonic() > until:
                raise BridgeError(
                    f"the bridge is not ready after {READY_TIMEOUT_S:.0f} s:\n{bridge.tail()}"
                ) from None
            await clock.sleep(LOOK_EVERY_S)
        else:
            return
