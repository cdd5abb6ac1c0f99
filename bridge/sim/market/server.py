"""A market's venue as a running thing: REST, sockets and control plane on one port."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from bridge.clock import Clock
from bridge.sim.market.control import Control
from bridge.sim.market.dialect import Kit, Scene
from bridge.sim.market.engine import Engine
from bridge.sim.market.faults import Faults
from bridge.sim.market.front import Front, Outage
from bridge.sim.market.market import Market, Shape
from bridge.sim.market.sockets import Sockets
from bridge.sim.market.truth import Truth
from bridge.sim.market.weather import Weather
from bridge.sim.market.wire import Wire
from bridge.sim.serving import Ready, serve_app


@dataclass(frozen=True, slots=True, kw_only=True)
class SimConfig:
    """Everything a simulated venue is told at start; port 0 takes a free one. ``shape`` None is the kit's own."""

    kit: Kit
    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    events_per_s: float = 20.0
    faults: Faults = field(default_factory=Faults)
    shape: Shape | None = None
    options: Mapping[str, object] = field(default_factory=dict, repr=False)
    control: bool = True


class Stage:
    """The parts of one venue, put together: ``app`` answers, ``engine`` makes it go. A test may hold them itself."""

    def __init__(self, config: SimConfig, *, clock: Clock) -> None:
        self._config = config
        self.market = Market(config.shape or config.kit.shape, seed=config.seed)
        self.truth = Truth()
        self.weather = Weather(config.faults, start=clock.now())
        self.wire = Wire(seed=config.seed)
        self.market.emit(self.weather.venue_time(clock.now()), 0)
        scene = Scene(self.market, self.truth, config.seed, config.options)
        self.dialect = config.kit.make(scene)
        self.sockets = Sockets(self.dialect, truth=self.truth, weather=self.weather, clock=clock, seed=config.seed)
        self.front = Front(self.dialect, truth=self.truth, weather=self.weather, clock=clock, seed=config.seed)
        self.engine = Engine(
            self.market,
            dialect=self.dialect,
            sockets=self.sockets,
            truth=self.truth,
            wire=self.wire,
            weather=self.weather,
            clock=clock,
            events_per_s=config.events_per_s,
        )
        routes: list[BaseRoute] = [*self.front.routes(), *self.sockets.routes()]
        if config.control:
            control = Control(
                engine=self.engine,
                sockets=self.sockets,
                front=self.front,
                truth=self.truth,
                wire=self.wire,
                weather=self.weather,
                clock=clock,
            )
            routes += control.routes()
        self.app: ASGIApp = Outage(Starlette(routes=routes), dialect=self.dialect, weather=self.weather, clock=clock)

    async def run(self, *, ready: Ready | None = None) -> None:
        """Serve until cancelled; ``ready`` is told the bound port once requests are answered."""
        host, port = self._config.host, self._config.port
        async with asyncio.TaskGroup() as parts:
            parts.create_task(serve_app(self.app, host=host, port=port, ready=ready, breakable=True))
            parts.create_task(self.engine.run())


async def serve(config: SimConfig, *, clock: Clock, ready: Ready | None = None) -> None:
    """Run until cancelled. Raises ValueError for options that the dialect does not know."""
    await Stage(config, clock=clock).run(ready=ready)


def with_symbols(shape: Shape, symbols: tuple[str, ...]) -> Shape:
    """The shape with these symbols alone, each like the instrument of that name or else like the first."""
    if not symbols:
        return shape
    known = {instrument.symbol: instrument for instrument in shape.instruments}
    first = shape.instruments[0]
    return replace(shape, instruments=tuple(known.get(name) or replace(first, symbol=name) for name in symbols))
