"""The simulated venue."""

import msgspec

from bench.parts.edge import CLOCK, say_port, until_closed
from bridge.sim.playbatman import Faults, SimConfig, serve


class Options(msgspec.Struct, frozen=True):
    """What differs from the simulator's own defaults."""

    faults: dict[str, object] = {}
    history_count: int = 0
    webhook_url: str | None = None
    webhook_secret: str | None = None


async def run(options: Options) -> None:
    """Run until the input is closed."""
    config = SimConfig(
        port=0,
        events_per_s=0,
        faults=Faults().patched(options.faults),
        history_count=options.history_count,
        webhook_url=options.webhook_url,
        webhook_secret=options.webhook_secret,
    )
    await until_closed(lambda: serve(config, clock=CLOCK, ready=say_port))
