"""The course of a demo: let events flow under faults, let everything settle, judge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bridge.clock import Clock
from bridge.core.errors import BridgeError
from bridge.sim.demo import parts
from bridge.sim.demo.look import Look, Stage
from bridge.sim.demo.markets import Market, MarketState, has_begun
from bridge.sim.demo.parts import ConsumerState, VenueState
from bridge.sim.demo.plan import Spell, plan
from bridge.sim.demo.running import Running, running
from bridge.sim.demo.scenario import NUMBERED, Scenario
from bridge.sim.demo.series import SeriesVerdict
from bridge.sim.demo.verdict import Verdict, found_by_consumer, judge

LOOK_EVERY_S = 0.2
JUDGE_EVERY_S = 1.0
BEGIN_TIMEOUT_S = 30.0
DRAIN_TIMEOUT_S = 15
SETTLE_TIMEOUT_S = 60.0

Watch = Callable[[Look], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a demo went: the verdicts, the last look at everything, and what did not settle in time, if anything.

    ``verdict`` is that on the numbered stream, None where its venue took no part; ``series`` are those on the
    streams that the bridge numbers, ``breaches`` what the consumer itself found wrong.
    """

    verdict: Verdict | None
    look: Look
    unsettled: str | None
    seconds: float
    series: Mapping[str, SeriesVerdict] = field(default_factory=dict)
    breaches: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """Whatever is wrong, each thing once."""
        verdicts = [one for one in (self.verdict, *self.series.values()) if one is not None]
        found = [problem for verdict in verdicts for problem in verdict.problems]
        return tuple(dict.fromkeys([*found, *self.breaches, *self._silent_venues()]))

    @property
    def good(self) -> bool:
        return not self.problems and self.unsettled is None

    def _silent_venues(self) -> list[str]:
        """A venue that assigned nothing proves nothing."""
        return [
            f"{one.venue}: nothing was assigned, so nothing is proven"
            for one in self.look.scenario.followed
            if not any(
                self.series[name].assigned for channel in one.channels if (name := one.stream(channel)) in self.series
            )
        ]


async def run(scenario: Scenario, *, folder: Path, environ: Mapping[str, str], clock: Clock, watch: Watch) -> Ended:
    """One demo in ``folder``; ``watch`` is shown a look at everything several times a second.

    Raises:
        BridgeError: a part did not start, or ended; the text holds the last it said.
    """
    began = clock.monotonic()
    watch(Look(scenario, Stage.STARTING, 0.0))
    async with running(scenario, folder=folder, environ=environ, clock=clock) as parties:
        course = _Course(scenario, parties, clock, watch)
        await course.begun()
        await course.traffic()
        unsettled = await course.settle()
        verdict = await course.numbered_verdict()
        series = await course.judge()
        breaches = found_by_consumer(await parties.consumer.ask("/control/state", ConsumerState))
        seconds = clock.monotonic() - began
        return Ended(verdict, course.last, unsettled, seconds, series, tuple(breaches))


class _Course:
    """What happens once everything runs."""

    def __init__(self, scenario: Scenario, parties: Running, clock: Clock, watch: Watch) -> None:
        self._scenario = scenario
        self._parties = parties
        self._clock = clock
        self._watch = watch
        self._began = clock.monotonic()
        self._away_until = 0.0
        self._told_away = scenario.fail_rate == 0
        self._judged_at = 0.0
        self._ahead = _planned(scenario, parties.markets)
        self.last = Look(scenario, Stage.TRAFFIC, 0.0, page=f"{parties.bridge.address}/")

    async def begun(self) -> None:
        """Wait until the bridge follows every channel: what was before is not its to tell.

        Raises:
            BridgeError: it does not.
        """
        until = self._clock.monotonic() + BEGIN_TIMEOUT_S
        while True:
            bridge, now_s = await parts.look_into(self._parties.database), self._clock.now().timestamp()
            waiting = [one for one in self._scenario.followed if not has_begun(one, bridge.streams, now_s)]
            if not waiting:
                return
            self._parties.require_alive()
            if self._clock.monotonic() > until:
                names = ", ".join(one.venue for one in waiting)
                raise BridgeError(f"the bridge does not follow {names} after {BEGIN_TIMEOUT_S:.0f} s")
            await self._clock.sleep(LOOK_EVERY_S)

    async def traffic(self) -> None:
        """Let events flow; lines break by plan, and some way through the consumer is away for a while."""
        scenario = self._scenario
        if self._parties.venue is not None:
            await self._parties.venue.tell("/control/rate", {"events_per_s": scenario.events_per_s})
        for market in self._parties.markets:
            await market.begin(happenings_per_s=scenario.events_per_s, faulty=scenario.heavy)
        self._began = self._clock.monotonic()
        while (elapsed_s := self._clock.monotonic() - self._began) < scenario.seconds:
            await self._break(elapsed_s)
            await self._look(Stage.TRAFFIC)
            await self._clock.sleep(min(LOOK_EVERY_S, max(0.0, scenario.seconds - elapsed_s)))
        if self._parties.venue is not None:
            await self._parties.venue.tell("/control/stop-emitting")

    async def _break(self, elapsed_s: float) -> None:
        """Give the orders that are due."""
        scenario = self._scenario
        while self._ahead and self._ahead[0][0].at_s <= elapsed_s:
            spell, market = self._ahead.pop(0)
            await market.order(spell)
        if not self._told_away and elapsed_s >= scenario.away_at_s:
            self._told_away, self._away_until = True, elapsed_s + scenario.away_s
            away = {"mode": "503", "for_seconds": scenario.away_s}
            await self._parties.consumer.tell("/control/behave", away)

    async def settle(self) -> str | None:
        """End the faults and wait until all is proven and delivered; returns what was not, in time."""
        await self._end_faults()
        until = self._clock.monotonic() + SETTLE_TIMEOUT_S
        while True:
            look = await self._look(Stage.SETTLING)
            unsettled = look.unsettled()
            now = self._clock.monotonic()
            if unsettled is None or now > until:
                return unsettled
            if now - self._judged_at >= JUDGE_EVERY_S:
                await self.judge([name for name in self._names() if not _is_good(look, name)])
                self._judged_at = self._clock.monotonic()
            await self._clock.sleep(LOOK_EVERY_S)

    async def _end_faults(self) -> None:
        """Markets go on for a while without faults: a loss shows by what comes next."""
        parties = self._parties
        for market in parties.markets:
            await market.calm()
        await parties.consumer.tell("/control/behave", {"mode": "ok"})
        if parties.venue is not None:
            await parts.end_faults(parties.venue)
        until = self._clock.monotonic() + (self._scenario.calm_s if parties.markets else 0.0)
        while self._clock.monotonic() < until:
            await self._look(Stage.CALM)
            await self._clock.sleep(LOOK_EVERY_S)
        for market in parties.markets:
            await market.stop(drain_timeout_s=DRAIN_TIMEOUT_S)
        if parties.venue is not None:
            await parties.venue.tell(f"/control/drain?timeout_s={DRAIN_TIMEOUT_S}")

    async def numbered_verdict(self) -> Verdict | None:
        """The verdict on the numbered stream, where there is one."""
        parties = self._parties
        if parties.venue is None:
            return None
        return judge(
            await parts.truth(parties.venue),
            await parts.holdings(parties.consumer, NUMBERED),
            NUMBERED,
            await parties.consumer.ask("/control/state", ConsumerState),
        )

    async def judge(self, wanted: Sequence[str] | None = None) -> Mapping[str, SeriesVerdict]:
        """The verdicts on the streams that the bridge numbers; ``wanted`` ones anew, all unless told."""
        bridge = await parts.look_into(self._parties.database)
        judged = dict(self.last.judged)
        for market in self._parties.markets:
            names = self._names() if wanted is None else wanted
            judged |= await market.judge(self._parties.consumer, bridge.streams, names)
        self.last = replace(self.last, judged=judged)
        return judged

    def _names(self) -> list[str]:
        return [one.stream(channel) for one in self._scenario.followed for channel in one.channels]

    async def _look(self, stage: Stage) -> Look:
        parties = self._parties
        parties.require_alive()
        elapsed_s = self._clock.monotonic() - self._began
        markets: dict[str, MarketState] = {one.followed.venue: await one.state() for one in parties.markets}
        self.last = replace(
            self.last,
            stage=stage,
            elapsed_s=elapsed_s,
            consumer_away=stage is Stage.TRAFFIC and elapsed_s < self._away_until,
            venue=None if parties.venue is None else await parties.venue.ask("/control/state", VenueState),
            bridge=await parts.look_into(parties.database),
            consumer=await parties.consumer.ask("/control/state", ConsumerState),
            markets=markets,
        )
        self._watch(self.last)
        return self.last


def _is_good(look: Look, name: str) -> bool:
    return name in look.judged and look.judged[name].good


def _planned(scenario: Scenario, markets: Sequence[Market]) -> list[tuple[Spell, Market]]:
    """Every order to come, the earliest first."""
    if not scenario.heavy:
        return []
    ahead = [
        (spell, market)
        for market in markets
        for spell in plan(market.followed.venue, seed=scenario.seed, seconds=scenario.seconds)
    ]
    return sorted(ahead, key=lambda due: due[0].at_s)
