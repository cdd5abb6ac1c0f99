"""The course of a demo: start the parts, let events flow under faults, let everything settle, judge."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.clock import Clock
from bridge.core.errors import BridgeError
from bridge.sim.demo import parts
from bridge.sim.demo.children import Child, started
from bridge.sim.demo.look import Look, Stage
from bridge.sim.demo.parts import ConsumerState, Part, VenueState
from bridge.sim.demo.scenario import (
    NUMBERED,
    Keys,
    Scenario,
    bridge_toml,
    child_environ,
    consumer_arguments,
    free_port,
    venue_arguments,
)
from bridge.sim.demo.verdict import Verdict, judge

LOOK_EVERY_S = 0.2
READY_TIMEOUT_S = 60.0
DRAIN_TIMEOUT_S = 15
SETTLE_TIMEOUT_S = 60.0

Watch = Callable[[Look], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a demo went: the verdict, the last look at everything, and what did not settle in time, if anything."""

    verdict: Verdict
    look: Look
    unsettled: str | None
    seconds: float

    @property
    def good(self) -> bool:
        return self.verdict.good and self.unsettled is None


@dataclass(frozen=True, slots=True)
class Running:
    """The parts while they run."""

    children: tuple[Child, ...]
    venue: Part
    bridge: Part
    consumer: Part
    database: AsyncEngine


async def run(scenario: Scenario, *, folder: Path, environ: Mapping[str, str], clock: Clock, watch: Watch) -> Ended:
    """One demo in ``folder``; ``watch`` is shown a look at everything several times a second.

    Raises:
        BridgeError: a part did not start, or ended; the text holds the last it said.
    """
    began = clock.monotonic()
    watch(Look(scenario, Stage.STARTING, 0.0))
    async with running(scenario, folder=folder, environ=environ, clock=clock) as parties:
        course = _Course(scenario, parties, clock, watch)
        await course.traffic()
        unsettled = await course.settle()
        verdict = judge(
            await parts.truth(parties.venue),
            await parts.holdings(parties.consumer, NUMBERED),
            NUMBERED,
            await parties.consumer.ask("/control/state", ConsumerState),
        )
        return Ended(verdict, course.last, unsettled, clock.monotonic() - began)


@asynccontextmanager
async def running(
    scenario: Scenario, *, folder: Path, environ: Mapping[str, str], clock: Clock
) -> AsyncIterator[Running]:
    """The three parts, ready, with the venue silent as yet; all of them gone afterwards."""
    port = free_port()
    env = child_environ(environ, Keys(), folder=folder, port=port)
    async with AsyncExitStack() as stack:

        async def start(name: str, arguments: list[str]) -> Child:
            return await stack.enter_async_context(started(name, arguments, folder=folder, environ=env, clock=clock))

        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        consumer = await start("consumer", consumer_arguments(scenario, folder=folder))
        venue = await start("venue", venue_arguments(scenario, bridge_port=port))
        venue_port, consumer_port = await venue.port(), await consumer.port()
        (folder / "bridge.toml").write_text(bridge_toml(venue_port=venue_port, consumer_port=consumer_port))
        bridge = await start("bridge", ["run"])
        asked = Part("bridge", http, port)
        await _await_ready(bridge, asked, clock)
        database = parts.open_database(folder / "bridge")
        stack.push_async_callback(database.dispose)
        yield Running(
            children=(venue, bridge, consumer),
            venue=Part("venue", http, venue_port),
            bridge=asked,
            consumer=Part("consumer", http, consumer_port),
            database=database,
        )


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
            await clock.sleep(LOOK_EVERY_S / 4)
        else:
            return


class _Course:
    """What happens once everything runs."""

    def __init__(self, scenario: Scenario, parties: Running, clock: Clock, watch: Watch) -> None:
        self._scenario = scenario
        self._parties = parties
        self._clock = clock
        self._watch = watch
        self._began = clock.monotonic()
        self._away_until = 0.0
        self.last = Look(scenario, Stage.TRAFFIC, 0.0)

    async def traffic(self) -> None:
        """Let events flow; some way through the consumer is away for a while."""
        scenario = self._scenario
        await self._parties.venue.tell("/control/rate", {"events_per_s": scenario.events_per_s})
        self._began = self._clock.monotonic()
        told_away = scenario.fail_rate == 0
        while (elapsed_s := self._clock.monotonic() - self._began) < scenario.seconds:
            if not told_away and elapsed_s >= scenario.away_at_s:
                told_away, self._away_until = True, elapsed_s + scenario.away_s
                away = {"mode": "503", "for_seconds": scenario.away_s}
                await self._parties.consumer.tell("/control/behave", away)
            await self._look(Stage.TRAFFIC)
            await self._clock.sleep(min(LOOK_EVERY_S, max(0.0, scenario.seconds - elapsed_s)))
        await self._parties.venue.tell("/control/stop-emitting")

    async def settle(self) -> str | None:
        """End the faults and wait until all is proven and delivered; returns what was not, in time."""
        await parts.end_faults(self._parties.venue)
        await self._parties.consumer.tell("/control/behave", {"mode": "ok"})
        await self._parties.venue.tell(f"/control/drain?timeout_s={DRAIN_TIMEOUT_S}")
        until = self._clock.monotonic() + SETTLE_TIMEOUT_S
        while True:
            look = await self._look(Stage.SETTLING)
            unsettled = look.unsettled()
            if unsettled is None or self._clock.monotonic() > until:
                return unsettled
            await self._clock.sleep(LOOK_EVERY_S)

    async def _look(self, stage: Stage) -> Look:
        for child in self._parties.children:
            child.require_alive()
        elapsed_s = self._clock.monotonic() - self._began
        self.last = replace(
            self.last,
            stage=stage,
            elapsed_s=elapsed_s,
            consumer_away=stage is Stage.TRAFFIC and elapsed_s < self._away_until,
            venue=await self._parties.venue.ask("/control/state", VenueState),
            bridge=await parts.look_into(self._parties.database),
            consumer=await self._parties.consumer.ask("/control/state", ConsumerState),
        )
        self._watch(self.last)
        return self.last
