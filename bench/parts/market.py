"""A simulated venue of the shared market, with its control plane."""

import msgspec

from bench.parts.edge import CLOCK, say_port, until_closed
from bridge.sim.dialects import DIALECTS
from bridge.sim.market import SimConfig, Stage


class Options(msgspec.Struct, frozen=True):
    """The dialect, and happenings a second."""

    dialect: str
    events_per_s: float


async def run(options: Options) -> None:
    """Run until the input is closed."""
    config = SimConfig(kit=DIALECTS[options.dialect], events_per_s=options.events_per_s)
    stage = Stage(config, clock=CLOCK)
    await until_closed(lambda: stage.run(ready=say_port))
