"""The venue as a running thing: REST, sockets and control plane on one port, webhooks going out."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from starlette.applications import Starlette
from starlette.routing import BaseRoute, WebSocketRoute

from bridge.clock import Clock
from bridge.sim.playbatman.control import Control
from bridge.sim.playbatman.engine import Engine
from bridge.sim.playbatman.faults import Faults
from bridge.sim.playbatman.rest import API_KEY, Outage, RestFront
from bridge.sim.playbatman.session import SocketLimits
from bridge.sim.playbatman.signing import Signing
from bridge.sim.playbatman.socket import Sockets
from bridge.sim.playbatman.venue import MARKETS, Venue
from bridge.sim.playbatman.webhooks import Sender
from bridge.sim.serving import serve_app

PORT = 8084


@dataclass(frozen=True, slots=True, kw_only=True)
class SimConfig:
    """Everything a simulated venue is told at start; port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = PORT
    seed: int = 1
    faults: Faults = field(default_factory=Faults)
    events_per_s: float = 20.0
    api_key: str = field(default=API_KEY, repr=False)
    operators: int = 3
    markets: Sequence[str] = MARKETS
    contiguous: bool = False
    retention_s: float = 86_400.0
    history_count: int = 0
    history_age_s: float = 3_600.0
    webhook_url: str | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    signing: Signing = field(default_factory=Signing)
    side_by_side_max: int = 64
    limits: SocketLimits = field(default_factory=SocketLimits)
    control: bool = True


async def serve(config: SimConfig, *, clock: Clock, ready: Callable[[int], None] | None = None) -> None:
    """Run until cancelled; ``ready`` is told the bound port once requests are answered."""
    venue = _venue(config, clock)
    front = RestFront(venue, clock=clock, api_key=config.api_key)
    sockets = Sockets(venue, clock=clock, knows=front.knows, limits=config.limits)
    sender = Sender(venue, clock=clock, signing=config.signing, side_by_side_max=config.side_by_side_max)
    engine = Engine(venue, clock=clock, sockets=sockets, sender=sender, events_per_s=config.events_per_s)
    routes: list[BaseRoute] = [*front.routes(), WebSocketRoute("/ws", sockets.endpoint)]
    if config.control:
        control = Control(venue, clock=clock, engine=engine, sockets=sockets, sender=sender, replay=front.replay)
        routes += control.routes()
    app = Outage(Starlette(routes=routes), venue=venue, clock=clock)
    async with asyncio.TaskGroup() as parts:
        parts.create_task(serve_app(app, host=config.host, port=config.port, ready=ready, breakable=True))
        parts.create_task(sender.run())
        parts.create_task(engine.run())


def _venue(config: SimConfig, clock: Clock) -> Venue:
    faults = replace(config.faults, contiguous=True) if config.contiguous else config.faults
    venue = Venue(
        seed=config.seed,
        start=clock.now(),
        faults=faults,
        operators=config.operators,
        markets=config.markets,
        retention_s=config.retention_s,
        in_process=False,
    )
    venue.seed_history(config.history_count, config.history_age_s)
    if config.webhook_url is not None:
        venue.register(config.webhook_url, now=clock.now(), secret=config.webhook_secret)
    return venue
